"""How a campaign counts, tells and ends."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Summary:
    """What became of a campaign's cases: how many came to what, and the failures in words."""

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


def main(campaign: Callable[..., Summary | str], **defaults: Any) -> None:
    """Run a campaign with options of these names and defaults, and exit with status 1 if anything failed.

    A campaign that does not go on after a failure returns no more than its line.
    """
    parser = argparse.ArgumentParser(description=sys.modules[campaign.__module__].__doc__)
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    summary = campaign(**vars(parser.parse_args()))
    print(summary)
    failures = summary.failures if isinstance(summary, Summary) else []
    print("\n".join(failures[:50]), file=sys.stderr, end="")
    sys.exit(bool(failures))
