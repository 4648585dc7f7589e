"""Kill training with SIGKILL at random moments, resume, kill again; the result must not show it.

``python -m tests.campaigns.kills --kills 1000 --seconds 3000 --seed 0``

Commands run in forks of a process that has trained once, so that a start costs a tenth of a second. A moment is one in
the processor's seconds, which no other process shortens: most lie in the first eighth of what a whole run takes, so
that a run dies several times before its figures are drawn, and one in twenty anywhere. Between two parts the working
directory may be renamed. A run that is killed before its first checkpoint begins again by the same command.
"""

import math
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

import psutil
from tqdm import tqdm

from project import Run
from project.__main__ import main as project_main
from project.reports.plot import draw, write_figure
from tests.campaigns.checkpoints import train
from tests.campaigns.summary import Summary, main, redirect

SAME = ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "history.csv", "figures/boundary.png")
MODES = {
    "full": [],
    "mini": ["--data.batch_size", "100"],
    "often": ["--trainer.val_check_interval", "7", "--data.track_test", "true"],
    "adam": ["--optimizer", "Adam", "--lr_scheduler", "StepLR", "--lr_scheduler.step_size", "30"],
    "ranks": ["--trainer.strategy", "ddp", "--trainer.devices", "2", "--data.batch_size", "100"],
}
BEGIN = ["fit", "--name", "victim", "--trainer.max_steps", "300", "--trainer.val_check_interval", "10"]
RESUME = ["fit", "--name", "victim", "--ckpt_path", "last"]
VICTIM = Path("lightning_logs") / "victim"


def execute(arguments: list[str], folder: Path, mode: str, moment: float = math.inf) -> tuple[int, float]:
    """Run a command, killed after so many of the processor's seconds; return its wait status, and the seconds it took.

    It is a fork or, if it has several processes, a fresh interpreter, in a process group of its own.
    """
    if (child := os.fork()) == 0:
        os.setsid()
        redirect(folder, "output.txt")
        if mode == "ranks":
            os.execv(sys.executable, [sys.executable, "-m", "project", *arguments])  # noqa: S606
        os._exit(project_main(arguments))
    process, ended, status, seconds = psutil.Process(child), 0, 0, 0.0
    while not ended:
        seconds = sum(process.cpu_times()[:2])
        if seconds >= moment:
            with suppress(ProcessLookupError):  # The group of a fork is there a moment after the fork is.
                os.kill(child, signal.SIGKILL)
                os.killpg(child, signal.SIGKILL)
        time.sleep(0.01 * random.random())  # noqa: S311 (The system counts hundredths of a second.)
        ended, status = os.waitpid(child, os.WNOHANG)
    return status, seconds


def finish(arguments: list[str], folder: Path, mode: str) -> float:
    """Run a command to its end; return the processor's seconds that it took."""
    status, seconds = execute(arguments, folder, mode)
    assert status == 0, (folder / "output.txt").read_text()
    return seconds


def train_under_fire(folder: Path, mode: str, rng: random.Random, whole: float, summary: Summary, kills: int) -> None:
    """Train one run to its end, killed as often as that takes; a whole one takes so many of the processor's seconds."""
    begin, reference = [*BEGIN, *MODES[mode]], folder.parent / mode
    while summary.counts["kills"] < kills:
        # Two processes spend most of their time on their imports.
        moment = rng.uniform(0, whole if mode == "ranks" or rng.random() < 0.05 else whole / 8)
        if execute(RESUME if Run(folder / VICTIM).last.exists() else begin, folder, mode, moment)[0] != signal.SIGKILL:
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
        write_figure(run, "boundary", draw(run, "boundary"))
    for file in SAME:
        is_same = (run.path / file).read_bytes() == (reference / VICTIM / file).read_bytes()
        assert is_same, f"{file} ({mode}) differs from the uninterrupted run's"
    assert not list(folder.rglob(".*.tmp")), f"debris ({mode})"
    summary.counts["runs that ended byte-identical to the uninterrupted one"] += 1
    shutil.rmtree(folder)


def campaign(kills: int, seconds: float, seed: int, modes: str) -> Summary:
    """Kill until there were enough or the time is over; raise AssertionError at the first run that shows it."""
    tqdm.monitor_interval = 0  # Its thread would be missing in a fork.
    rng = random.Random(seed)  # noqa: S311 (a moment to be killed at is no secret)
    summary = Summary("kill -9")
    summary.counts["kills"] = 0
    with tempfile.TemporaryDirectory() as name:
        train(Path(name))
        whole = {}
        for mode in modes.split(","):
            (folder := Path(name) / mode).mkdir()
            whole[mode] = finish([*BEGIN, *MODES[mode]], folder, mode)
        turns = [mode for turn in range(10) for mode in whole if turn == 0 or mode != "ranks"]  # Those are slow.
        for number, mode in enumerate(cycle(turns)):
            if summary.counts["kills"] >= kills or summary.seconds > seconds:
                break
            (folder := Path(name) / f"run{number}").mkdir()
            train_under_fire(folder, mode, rng, whole[mode], summary, kills)
    return summary


if __name__ == "__main__":
    main(campaign, kills=1000, seconds=3000.0, seed=0, modes=",".join(MODES))
