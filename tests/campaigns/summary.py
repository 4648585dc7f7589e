"""Counts and failures of a campaign, and its options."""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Summary:
    """How many of a campaign's cases came to what, and the failures in words."""

    title: str
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    begin: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.begin

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {what}" for what, count in self.counts.items())
        return f"{self.title}: {counts}, {len(self.failures)} failures ({self.seconds:.0f} s)"


def redirect(folder: Path, output: str) -> None:
    """Let a forked process work in a folder, and write what it prints into a file there."""
    os.chdir(folder)
    for number in 1, 2:
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)


def main(campaign: Callable[..., Summary], **defaults: Any) -> None:
    """Run a campaign with options of these names and defaults, and exit with status 1 if anything failed."""
    parser = argparse.ArgumentParser(description=sys.modules[campaign.__module__].__doc__)
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    summary = campaign(**vars(parser.parse_args()))
    print(summary)
    sys.exit("\n".join(summary.failures[:50]) or 0)
