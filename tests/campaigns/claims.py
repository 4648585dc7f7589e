"""Processes that start together, again and again: no two may get the same run folder.

python -m tests.campaigns.claims --rounds 50 --processes 8 --trainings 5 --seconds 300
"""

import multiprocessing
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from project.__main__ import load_commands
from project.__main__ import main as project_main
from project.errors import InputError
from project.runs.run import LOGS, RunFolder
from tests.campaigns.summary import Summary, main, redirect


def together(processes: int, work: Callable[[int], int]) -> list[int]:
    """Fork processes that wait for each other and then do the same work; return their exit statuses, in order."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(processes)

    def wait_and_work(number: int) -> None:
        barrier.wait()
        sys.exit(work(number))

    children = [context.Process(target=wait_and_work, args=[number]) for number in range(processes)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    return sorted(child.exitcode for child in children)


def claim_together(folder: Path, processes: int, name: str | None) -> None:
    """Claim folders at once: each process its own or, if all want one name, one process alone."""

    def work(number: int) -> int:
        try:
            claimed = RunFolder.claim(folder / LOGS, name)
        except InputError:
            return 2
        (claimed.path / f"owner{number}").touch()
        claimed.last.parent.mkdir(exist_ok=True)
        claimed.last.touch()  # A name without a checkpoint is free again once its process has ended.
        return 0

    statuses, winners = together(processes, work), processes if name is None else 1
    owners = [len(list(path.glob("owner*"))) for path in (folder / LOGS).iterdir() if path.is_dir()]
    assert statuses == [0] * winners + [2] * (processes - winners), statuses
    assert owners == [1] * winners, owners


def train_together(folder: Path, processes: int) -> None:
    """Run ``fit`` in processes that start at once, in one working directory: each trains in a folder of its own."""

    def work(number: int) -> int:
        redirect(folder, f"output{number}.txt")
        options = ["--trainer.max_steps", "2", "--trainer.val_check_interval", "1"]
        return project_main(["fit", "--seed_everything", str(number), *options])

    statuses = together(processes, work)
    assert statuses == [0] * processes, "\n".join(path.read_text() for path in folder.glob("output*.txt"))
    tables = [RunFolder(folder / LOGS / f"version_{number}").table for number in range(processes)]
    assert [table.rows for table in tables] == [2] * processes
    assert len({table.path.read_bytes() for table in tables}) == processes, "a seed trained twice, and another not"


def run(rounds: int, processes: int, trainings: int, seconds: float) -> Summary:
    """Claim and train so many times, or as often as there is time; raise AssertionError if a folder was shared."""
    load_commands()  # once here, so that a fork starts at once
    summary = Summary(f"run folders, {processes} processes at once")
    with tempfile.TemporaryDirectory() as name:
        for turn in range(rounds + trainings):
            if summary.seconds > seconds:
                break
            (folder := Path(name) / str(turn)).mkdir()
            if turn < rounds:
                claim_together(folder, processes, None if turn % 5 else "the same")
            else:
                train_together(folder, processes)
            summary.counts["times claiming" if turn < rounds else "times training"] += 1
    return summary


if __name__ == "__main__":
    main(run, rounds=50, processes=8, trainings=5, seconds=300.0)
