"""Kill training with SIGKILL at random moments, resume, kill again; the result must not show it.

``python -m tests.campaigns.kills --kills 200 --seconds 1200 --seed 0``
"""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from project.__main__ import main as project_main
from project.commands import run_command  # noqa: F401 (imported once here, so that a fork starts at once)
from project.run import Run
from tests.campaigns.summary import main

SAME = ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "history.csv", "figures/boundary.png")
MODES = {"full": [], "mini": ["--data.batch_size", "100"]}


def start(arguments: list[str], folder: Path) -> int:
    """Run a command in a child process, and return its number."""
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        with (folder / "output.txt").open("a") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        os._exit(project_main(arguments))
    return child


def finish(arguments: list[str], folder: Path) -> None:
    """Run a command to its end."""
    _, status = os.waitpid(start(arguments, folder), 0)
    if status != 0:
        sys.exit((folder / "output.txt").read_text())


def train_under_fire(folder: Path, begin: list[str], rng: random.Random, longest: float, kills: int) -> tuple[int, int]:
    """Train one run to its end; return how often it was killed, and how often before there was anything to resume."""
    killed = early = 0
    run = Run(folder / "lightning_logs" / "victim")
    while killed < kills:
        child = start(["fit", "--name", "victim", "--ckpt_path", "last"] if run.last.exists() else begin, folder)
        time.sleep(rng.uniform(0, longest))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            break
        killed += 1
        if not run.last.exists():
            early += 1
            shutil.rmtree(run.path, ignore_errors=True)
    if not run.last.exists():
        finish(begin, folder)
    elif run.checkpoint()["global_step"] < run.options()["trainer"]["max_steps"]:
        finish(["fit", "--name", "victim", "--ckpt_path", "last"], folder)
    else:  # It may have been killed after the last iteration, and before its figures were drawn.
        finish(["plot", "victim"], folder)
    return killed, early


def campaign(kills: int, seconds: float, seed: int) -> str:
    """Return the summary line; end at the first run that shows that it was killed."""
    rng = random.Random(seed)  # noqa: S311 (a moment to be killed at is no secret)
    start_time = time.monotonic()
    survived = early = runs = 0
    begin = ["fit", "--name", "victim", "--trainer.max_steps", "200"]
    with tempfile.TemporaryDirectory() as name:
        for mode, options in MODES.items():
            (Path(name) / mode).mkdir()
            before = time.monotonic()
            finish([*begin, *options], Path(name) / mode)
            longest = time.monotonic() - before
        while survived < kills and time.monotonic() - start_time < seconds:
            mode = list(MODES)[runs % 2]
            folder = Path(name) / f"run{runs}"
            folder.mkdir()
            counts = train_under_fire(folder, [*begin, *MODES[mode]], rng, longest, min(3, kills - survived))
            survived, early, runs = survived + counts[0], early + counts[1], runs + 1
            for file in SAME:
                one, other = (place / "lightning_logs" / "victim" / file for place in (folder, Path(name) / mode))
                if one.read_bytes() != other.read_bytes():
                    sys.exit(f"{file} of run {runs} ({mode}) differs from the uninterrupted run's")
            if debris := list(folder.rglob(".*")):
                sys.exit(f"{debris} stayed behind in run {runs} ({mode})")
            shutil.rmtree(folder)
    return (
        f"kill -9: {survived} kills in {runs} runs, all ended byte-identical to the uninterrupted run; {early} kills "
        f"came before the first checkpoint, and the run began again ({time.monotonic() - start_time:.0f} s)"
    )


if __name__ == "__main__":
    main(campaign, kills=200, seconds=1200.0, seed=0)
