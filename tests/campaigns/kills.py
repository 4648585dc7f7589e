"""Kill training with SIGKILL at random moments, resume, kill again; the result must not show it.

``python -m tests.campaigns.kills --kills 1000 --seconds 3000 --seed 0``

The moments are spread evenly over the whole run, its start and the drawing of its figures included. Between two parts
the working directory may be renamed. A run that is killed before its first checkpoint begins again by the same command.
"""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from itertools import cycle
from pathlib import Path

from project import Run
from project.__main__ import load_commands
from project.__main__ import main as project_main
from tests.campaigns.summary import Summary, main, redirect

SAME = ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "history.csv", "figures/boundary.png")
MODES = {
    "full": [],
    "mini": ["--data.batch_size", "100"],
    "often": ["--trainer.val_check_interval", "7", "--data.track_test", "true"],
    "adam": ["--optimizer", "Adam", "--lr_scheduler", "StepLR", "--lr_scheduler.step_size", "30"],
    "ranks": ["--trainer.strategy", "ddp", "--trainer.devices", "2", "--data.batch_size", "100"],
}
BEGIN = ["fit", "--name", "victim", "--trainer.max_steps", "200"]
RESUME = ["fit", "--name", "victim", "--ckpt_path", "last"]
VICTIM = Path("lightning_logs") / "victim"


def start(arguments: list[str], folder: Path, mode: str) -> int:
    """Start a command in a process group of its own: a fork or, if it has several processes, a fresh interpreter."""
    process = os.fork()
    if process == 0:
        os.setsid()
        redirect(folder, "output.txt")
        if mode == "ranks":
            os.execv(sys.executable, [sys.executable, "-m", "project", *arguments])  # noqa: S606
        os._exit(project_main(arguments))
    return process


def finish(arguments: list[str], folder: Path, mode: str) -> None:
    """Run a command to its end."""
    assert os.waitpid(start(arguments, folder, mode), 0)[1] == 0, (folder / "output.txt").read_text()


def train_under_fire(folder: Path, mode: str, rng: random.Random, longest: float, summary: Summary, kills: int) -> None:
    """Train one run to its end; it is killed up to three times."""
    begin = [*BEGIN, *MODES[mode]]
    for _ in range(min(3, kills - summary.counts["kills"])):
        process = start(RESUME if Run(folder / VICTIM).last.exists() else begin, folder, mode)
        time.sleep(rng.uniform(0, longest))
        with suppress(ProcessLookupError):  # The group of a fork is there a moment after the fork is.
            os.kill(process, signal.SIGKILL)
            os.killpg(process, signal.SIGKILL)
        if os.waitpid(process, 0)[1] != signal.SIGKILL:
            break
        is_early = not Run(folder / VICTIM).last.exists()
        summary.counts.update({"kills": 1, "before the first checkpoint": is_early, f"of {mode}": 1})
        if rng.random() < 0.3:
            folder = folder.rename(folder.with_name(f"{folder.name}-moved"))
            summary.counts["folders moved"] += 1
    run = Run(folder / VICTIM)
    if not run.last.exists():
        finish(begin, folder, mode)
    elif run.checkpoint()["global_step"] < run.options()["trainer"]["max_steps"]:
        finish(RESUME, folder, mode)
    else:  # It may have been killed after the last iteration, and before its figures were drawn.
        finish(["plot", "victim"], folder, "full")
    for file in SAME:
        one, other = (place / VICTIM / file for place in (folder, folder.parent / mode))
        assert one.read_bytes() == other.read_bytes(), f"{file} ({mode}) differs from the uninterrupted run's"
    assert not list(folder.rglob(".*.tmp")), f"debris ({mode})"
    summary.counts["runs that ended byte-identical to the uninterrupted one"] += 1
    shutil.rmtree(folder)


def campaign(kills: int, seconds: float, seed: int, modes: str) -> Summary:
    """Kill until there were enough or the time is over; raise AssertionError at the first run that shows it."""
    load_commands()  # once here, so that a fork starts at once
    rng = random.Random(seed)  # noqa: S311 (a moment to be killed at is no secret)
    summary, longest = Summary("kill -9"), dict[str, float]()
    summary.counts["kills"] = 0
    with tempfile.TemporaryDirectory() as name:
        for mode in modes.split(","):
            (folder := Path(name) / mode).mkdir()
            before = time.monotonic()
            finish([*BEGIN, *MODES[mode]], folder, mode)
            longest[mode] = time.monotonic() - before
        turns = [mode for turn in range(10) for mode in longest if turn == 0 or mode != "ranks"]  # Those are slow.
        for number, mode in enumerate(cycle(turns)):
            if summary.counts["kills"] >= kills or summary.seconds > seconds:
                break
            (folder := Path(name) / f"run{number}").mkdir()
            train_under_fire(folder, mode, rng, longest[mode], summary, kills)
    return summary


if __name__ == "__main__":
    main(campaign, kills=1000, seconds=3000.0, seed=0, modes=",".join(MODES))
