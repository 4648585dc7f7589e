"""Kill training with SIGKILL at random moments, resume, kill again; the result must not show it.

``python -m tests.campaigns.kills --kills 1000 --seconds 3000 --seed 0``

The moments are spread evenly over the whole run, its start and the drawing of its figures included. Between two parts
the working directory may be renamed. A run that is killed before its first checkpoint begins again by the same command.
"""

import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from project import Run
from project.__main__ import load_commands
from project.__main__ import main as project_main
from tests.campaigns.summary import main

SAME = ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "history.csv", "figures/boundary.png")
MODES = {
    "full": [],
    "mini": ["--data.batch_size", "100"],
    "often": ["--trainer.val_check_interval", "7", "--data.track_test", "true"],
    "adam": ["--optimizer", "Adam", "--lr_scheduler", "StepLR", "--lr_scheduler.step_size", "30"],
    "ranks": ["--trainer.strategy", "ddp", "--trainer.devices", "2", "--data.batch_size", "100"],
}
RARE = {"ranks": 10}  # of so many runs of the others there is one: its processes import everything anew
BEGIN = ["fit", "--name", "victim", "--trainer.max_steps", "200"]
RESUME = ["fit", "--name", "victim", "--ckpt_path", "last"]
VICTIM = Path("lightning_logs") / "victim"


def start(arguments: list[str], folder: Path, mode: str) -> int:
    """Start a command in a process group of its own: a fork or, if it has several processes, a fresh interpreter."""
    process = os.fork()
    if process == 0:
        os.setsid()
        os.chdir(folder)
        output = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        if mode == "ranks":
            os.execv(sys.executable, [sys.executable, "-m", "project", *arguments])  # noqa: S606
        os._exit(project_main(arguments))
    return process


def kill(process: int) -> None:
    for send in os.killpg, os.kill:  # The group of a fork is there a moment after the fork is.
        with contextlib.suppress(ProcessLookupError):
            send(process, signal.SIGKILL)
            return


def wait(process: int) -> int:
    """Wait for the end of a process, and return its exit status, or minus a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def finish(arguments: list[str], folder: Path, mode: str) -> None:
    """Run a command to its end."""
    if wait(start(arguments, folder, mode)) != 0:
        sys.exit((folder / "output.txt").read_text())


def train_under_fire(folder: Path, mode: str, rng: random.Random, longest: float, kills: int) -> Counter[str]:
    """Train one run to its end; count how often it was killed, before there was anything to resume, and moved."""
    counts = Counter[str]()
    run, begin = Run(folder / VICTIM), [*BEGIN, *MODES[mode]]
    while counts["killed"] < kills:
        process = start(RESUME if run.last.exists() else begin, folder, mode)
        time.sleep(rng.uniform(0, longest))
        kill(process)
        if wait(process) != -signal.SIGKILL:
            break
        counts += Counter(killed=1, early=not run.last.exists())
        if rng.random() < 0.3:
            folder, counts["moved"] = folder.rename(folder.with_name(f"{folder.name}-moved")), counts["moved"] + 1
            run = Run(folder / VICTIM)
    if not run.last.exists():
        finish(begin, folder, mode)
    elif run.checkpoint()["global_step"] < run.options()["trainer"]["max_steps"]:
        finish(RESUME, folder, mode)
    else:  # It may have been killed after the last iteration, and before its figures were drawn.
        finish(["plot", "victim"], folder, "full")
    check(folder, mode)
    shutil.rmtree(folder)
    return counts


def check(folder: Path, mode: str) -> None:
    """End the campaign if a run differs from the uninterrupted one of its mode, or if something was left behind."""
    for file in SAME:
        one, other = (place / VICTIM / file for place in (folder, folder.parent / mode))
        if one.read_bytes() != other.read_bytes():
            sys.exit(f"{file} of {folder.name} ({mode}) differs from the uninterrupted run's")
    if debris := list(folder.rglob(".*.tmp")):
        sys.exit(f"{debris} stayed behind in {folder.name} ({mode})")


def campaign(kills: int, seconds: float, seed: int, modes: str = ",".join(MODES)) -> str:
    """Return the summary line; end at the first run that shows that it was killed."""
    load_commands()  # once here, so that a fork starts at once
    rng = random.Random(seed)  # noqa: S311 (a moment to be killed at is no secret)
    start_time, longest = time.monotonic(), dict[str, float]()
    counts, by_mode = Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory() as name:
        for mode in modes.split(","):
            (Path(name) / mode).mkdir()
            before = time.monotonic()
            finish([*BEGIN, *MODES[mode]], Path(name) / mode, mode)
            longest[mode] = time.monotonic() - before
        turns = [mode for i in range(max(RARE.values())) for mode in longest if i % RARE.get(mode, 1) == 0]
        for number, mode in enumerate(turns * kills):
            if counts["killed"] >= kills or time.monotonic() - start_time > seconds:
                break
            folder = Path(name) / f"run{number}"
            folder.mkdir()
            found = train_under_fire(folder, mode, rng, longest[mode], min(3, kills - counts["killed"]))
            counts, by_mode = counts + found + Counter(runs=1), by_mode + Counter({mode: found["killed"]})
    spread = ", ".join(f"{mode} {killed}" for mode, killed in by_mode.items())
    return (
        f"kill -9: {counts['killed']} kills ({spread}) in {counts['runs']} runs, all ended byte-identical to the "
        f"uninterrupted run; {counts['early']} came before the first checkpoint, and the run began again; "
        f"{counts['moved']} runs were moved ({time.monotonic() - start_time:.0f} s)"
    )


if __name__ == "__main__":
    main(campaign, kills=1000, seconds=3000.0, seed=0, modes=",".join(MODES))
