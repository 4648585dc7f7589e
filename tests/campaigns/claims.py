"""Processes that start together, again and again: no two may get the same run folder.

python -m tests.campaigns.claims --rounds 50 --processes 8 --seconds 300
"""

import multiprocessing
import sys
import tempfile
from multiprocessing.synchronize import Barrier
from pathlib import Path

from project.errors import InputError
from project.runs.run import LOGS, RunFolder
from tests.campaigns.summary import Summary, main


def claim(logs: Path, name: str | None, number: int, barrier: Barrier) -> None:
    """Wait for the other processes, claim a folder, and leave a mark in it."""
    barrier.wait()
    try:
        claimed = RunFolder.claim(logs, name)
    except InputError:
        sys.exit(2)
    (claimed.path / f"owner{number}").touch()
    claimed.last.parent.mkdir(exist_ok=True)
    claimed.last.touch()  # A name without a checkpoint is free again once its process has ended.


def run(rounds: int, processes: int, seconds: float) -> Summary:
    """Let processes claim at once so many times: each its own or, in each fifth round, one name for all."""
    summary, context = Summary(f"run folders, {processes} processes at once"), multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds):
            if summary.seconds > seconds:
                break
            logs, name, barrier = (
                Path(folder) / str(turn) / LOGS,
                None if turn % 5 else "the same",
                context.Barrier(processes),
            )
            children = [context.Process(target=claim, args=(logs, name, each, barrier)) for each in range(processes)]
            for child in children:
                child.start()
            for child in children:
                child.join()
            owners = [len(list(path.glob("owner*"))) for path in logs.iterdir() if path.is_dir()]
            winners = processes if name is None else 1
            found = sorted(child.exitcode for child in children), owners
            if found != ([0] * winners + [2] * (processes - winners), [1] * winners):
                summary.failures.append(f"exit statuses, and owners of each folder: {found}")
            summary.counts["times claiming"] += 1
    return summary


if __name__ == "__main__":
    main(run, rounds=50, processes=8, seconds=300.0)
