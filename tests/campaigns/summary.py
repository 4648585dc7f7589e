"""Counts and failures of a campaign, its options, and commands in forks."""

import argparse
import multiprocessing
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from project.__main__ import main as project_main


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


def start(arguments: Sequence[str], folder: Path, **variables: str) -> BaseProcess:
    """Start a command in a folder, in a fork of this process, which has imported everything.

    What it prints goes into files beside the folder: FOLDER.out and FOLDER.err, with its rank behind if it has one.
    """
    rank = variables.get("RANK", "")

    def run() -> None:
        os.chdir(folder)
        os.environ.update(variables)
        for number, suffix in (1, ".out"), (2, ".err"):
            file = folder.with_name(f"{folder.name}{suffix}{rank}")
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.path.insert(0, str(folder))
        sys.stdout, sys.stderr = (os.fdopen(number, "w") for number in (1, 2))
        sys.exit(project_main(arguments))

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    return process


def start_ranks(arguments: Sequence[str], folder: Path) -> list[BaseProcess]:
    """Start a command in two processes, as torchrun does."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        host, port = free.getsockname()
    shared = {"MASTER_ADDR": host, "MASTER_PORT": str(port), "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "none"}
    shared |= {"GROUP_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
    return [start(arguments, folder, **shared, RANK=rank, LOCAL_RANK=rank) for rank in "01"]


def main(campaign: Callable[..., Summary], **defaults: Any) -> None:
    """Run a campaign with options of these names and defaults, and exit with status 1 if anything failed."""
    parser = argparse.ArgumentParser(description=sys.modules[campaign.__module__].__doc__)
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    summary = campaign(**vars(parser.parse_args()))
    print(summary)
    sys.exit("\n".join(summary.failures[:50]) or 0)
