"""Kill training with SIGKILL at random moments, resume, kill again; the result must not show it.

``python -m tests.campaigns.kills --kills 200 --seconds 1200 --seed 0``
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from project.__main__ import main
from project.cli import run_command  # noqa: F401 (imported once here, so that a fork starts at once)
from project.run import Run

SAME = ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "history.csv", "losses.csv", "figures/boundary.png")
MODES = {"full": [], "mini": ["--data.batch_size", "100"]}
STEPS = "200"


def start(arguments: list[str], folder: Path) -> int:
    """Run a command in a child process, and return its number."""
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        with (folder / "output.txt").open("a") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        os._exit(main(arguments))
    return child


def train_under_fire(folder: Path, mode: str, rng: random.Random, longest: float, kills: int) -> int:
    """Train one run to its end, killing it up to ``kills`` times; return how often it was killed."""
    killed = 0
    run = Run(folder / "lightning_logs" / "victim")
    while True:
        if run.last.exists():
            arguments = ["fit", "--name", "victim", "--ckpt_path", "last"]
        else:  # killed before the first checkpoint: nothing was trained
            shutil.rmtree(run.path, ignore_errors=True)
            arguments = ["fit", "--name", "victim", "--trainer.max_steps", STEPS, *MODES[mode]]
        child = start(arguments, folder)
        if killed < kills:
            time.sleep(rng.uniform(0, longest))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            killed += 1
        elif os.waitstatus_to_exitcode(status) == 0:
            return killed
        elif killed == 0 or "already has" not in (folder / "output.txt").read_text():
            sys.exit((folder / "output.txt").read_text())
        else:  # killed after the last checkpoint, and so after everything
            return killed


def campaign(kills: int, seconds: float, seed: int) -> str:
    """Return the summary line; raise if any run shows that it was killed."""
    rng = random.Random(seed)  # noqa: S311 (a moment to be killed at is no secret)
    begin = time.monotonic()
    survived = runs = 0
    with tempfile.TemporaryDirectory() as name:
        references = {}
        for mode, options in MODES.items():
            folder = Path(name) / mode
            folder.mkdir()
            began = time.monotonic()
            arguments = ["fit", "--name", "victim", "--trainer.max_steps", STEPS, *options]
            _, status = os.waitpid(start(arguments, folder), 0)
            if status != 0:
                sys.exit((folder / "output.txt").read_text())
            references[mode] = Run(folder / "lightning_logs" / "victim")
            longest = time.monotonic() - began
        while survived < kills and time.monotonic() - begin < seconds:
            mode = ("full", "mini")[runs % 2]
            folder = Path(name) / f"run{runs}"
            folder.mkdir()
            survived += train_under_fire(folder, mode, rng, longest, min(3, kills - survived))
            runs += 1
            for file in SAME:
                result = (folder / "lightning_logs" / "victim" / file).read_bytes()
                if result != (references[mode].path / file).read_bytes():
                    sys.exit(f"{file} of run {runs} ({mode}) differs from the uninterrupted run's")
            if debris := list(folder.rglob(".*")):
                sys.exit(f"{debris} stayed behind in run {runs} ({mode})")
            shutil.rmtree(folder)
    took = time.monotonic() - begin
    return f"kill -9: {survived} kills in {runs} runs, all ended byte-identical to the uninterrupted run ({took:.0f} s)"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(campaign(options.kills, options.seconds, options.seed))
