"""Processes that start together, again and again: no two may get the same run folder.

python -m tests.campaigns.claims --rounds 50 --processes 8 --trainings 5 --seconds 300
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from project.__main__ import load_commands
from project.__main__ import main as project_main
from project.errors import InputError
from project.runs.run import LOGS, RunFolder
from tests.campaigns.summary import main


def together(processes: int, work: Callable[[int], int]) -> list[int]:
    """Fork processes that wait for each other and then do the same work; return their exit statuses, in order."""
    gate, opening = os.pipe()
    children = []
    for number in range(processes):
        child = os.fork()
        if child == 0:
            status = 70
            try:
                os.close(opening)
                os.read(gate, 1)  # returns when the parent closes the other end, for all at the same moment
                status = work(number)
            finally:
                os._exit(status)
        children.append(child)
    os.close(gate)
    os.close(opening)
    return sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)


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
    folder.mkdir()

    def work(number: int) -> int:
        os.chdir(folder)
        output = os.open(f"output{number}.txt", os.O_WRONLY | os.O_CREAT)
        os.dup2(output, 1)
        os.dup2(output, 2)
        options = ["--trainer.max_steps", "2", "--trainer.val_check_interval", "1"]
        return project_main(["fit", "--seed_everything", str(number), *options])

    statuses = together(processes, work)
    assert statuses == [0] * processes, "\n".join(path.read_text() for path in folder.glob("output*.txt"))
    runs = [RunFolder(path) for path in (folder / LOGS).iterdir() if path.is_dir()]
    assert sorted(run.path.name for run in runs) == [f"version_{number}" for number in range(processes)]
    assert all(run.table.rows == 2 for run in runs)
    assert len({run.table.path.read_bytes() for run in runs}) == processes, "a seed trained twice, and another not"


def run(rounds: int, processes: int, trainings: int, seconds: float) -> str:
    """Return the summary line; raise AssertionError if a folder was shared."""
    load_commands()  # once here, so that a fork starts at once
    begin, claimed, trained = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as name:
        while claimed < rounds and time.monotonic() - begin < seconds:
            claim_together(Path(name) / f"claim{claimed}", processes, None if claimed % 5 else "the same")
            claimed += 1
        while trained < trainings and time.monotonic() - begin < seconds:
            train_together(Path(name) / f"training{trained}", processes)
            trained += 1
    return (
        f"run folders: {processes} processes at once, {claimed} times claiming and {trained} times training, "
        f"no folder shared ({time.monotonic() - begin:.0f} s)"
    )


if __name__ == "__main__":
    main(run, rounds=50, processes=8, trainings=5, seconds=300.0)
