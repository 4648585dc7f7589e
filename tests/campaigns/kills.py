"""Kill training with SIGKILL at random moments, resume, kill again; the result must not show it.

``python -m tests.campaigns.kills --kills 1000 --seconds 3000 --seed 0``

A moment is one in the processor's seconds, which no other process shortens: most lie in the first eighth of what a
whole run takes, so that a run dies several times, and one in twenty anywhere. Between two parts the working directory
may be renamed. A run that is killed before its first checkpoint begins again by the same command.
"""

import math
import random
import shutil
import signal
import tempfile
import time
from itertools import cycle
from pathlib import Path

import psutil
from tqdm import tqdm

from project import Run
from tests.campaigns.checkpoints import train
from tests.campaigns.summary import Summary, main, start, start_ranks

SAME = ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "history.csv")
STEPS = 300
MODES = {
    "full": [],
    "mini": ["--data.batch_size", "100"],
    "often": ["--trainer.val_check_interval", "7", "--data.track_test", "true"],
    "adam": ["--optimizer", "Adam", "--lr_scheduler", "StepLR", "--lr_scheduler.step_size", "30"],
    "ranks": ["--trainer.strategy", "ddp", "--trainer.devices", "2", "--data.batch_size", "100"],
}
BEGIN = ["fit", "--name", "victim", "--trainer.max_steps", str(STEPS), "--trainer.val_check_interval", "10"]
BEGIN += ["--trainer.accelerator", "cpu"]  # A fork cannot use a GPU that its parent has used.
RESUME = ["fit", "--name", "victim", "--ckpt_path", "last"]
VICTIM = Path("lightning_logs") / "victim"


def execute(arguments: list[str], folder: Path, mode: str, moment: float = math.inf) -> tuple[int | None, float]:
    """Run a command, killed after so many of the processor's seconds; return its exit code, and the seconds it took."""
    processes = start_ranks(arguments, folder) if mode == "ranks" else [start(arguments, folder)]
    first, seconds = psutil.Process(processes[0].pid), 0.0
    while processes[0].is_alive():
        seconds = sum(first.cpu_times()[:2])
        if seconds >= moment:
            for process in processes:
                process.kill()
        time.sleep(0.01 * random.random())  # noqa: S311 (The system counts hundredths of a second.)
    for process in processes:
        process.join()
    return processes[0].exitcode, seconds


def train_under_fire(folder: Path, mode: str, rng: random.Random, whole: float, summary: Summary, kills: int) -> None:
    """Train one run to its end, killed as often as that takes; a whole one takes so many of the processor's seconds."""
    reference = folder.parent / mode
    while not (run := Run(folder / VICTIM)).last.exists() or run.checkpoint()["global_step"] < STEPS:
        moment = rng.uniform(0, whole if rng.random() < 0.05 else whole / 8)
        if summary.counts["kills"] >= kills:
            moment = math.inf
        code, _ = execute(RESUME if run.last.exists() else [*BEGIN, *MODES[mode]], folder, mode, moment)
        assert code in (0, -signal.SIGKILL), folder.with_suffix(".err").read_text()
        if code == 0:
            assert not list(folder.rglob(".*.tmp")), f"debris ({mode})"
            continue
        summary.counts.update({"kills": 1, "before the first checkpoint": not run.last.exists(), f"of {mode}": 1})
        if rng.random() < 0.3:
            folder = folder.rename(folder.with_name(f"{folder.name}-moved"))
            summary.counts["folders moved"] += 1
    for file in SAME:
        is_same = (run.path / file).read_bytes() == (reference / VICTIM / file).read_bytes()
        assert is_same, f"{file} ({mode}) differs from the uninterrupted run's"
    summary.counts["runs that ended byte-identical to the uninterrupted one"] += 1
    shutil.rmtree(folder)


def campaign(kills: int, seconds: float, seed: int, modes: str) -> Summary:
    """Kill until there were enough or the time is over; raise AssertionError at the first run that shows it."""
    tqdm.monitor_interval = 0  # Its thread would be missing in a fork.
    rng = random.Random(seed)  # noqa: S311 (a moment to be killed at is no secret)
    summary = Summary("kill -9")
    with tempfile.TemporaryDirectory() as name:
        train(Path(name))  # so that a fork need not import anything
        whole = {}
        for mode in modes.split(","):
            (folder := Path(name) / mode).mkdir()
            code, whole[mode] = execute([*BEGIN, *MODES[mode]], folder, mode)
            assert code == 0
        for number, mode in enumerate(cycle(whole)):
            if summary.counts["kills"] >= kills or summary.seconds > seconds:
                break
            (folder := Path(name) / f"run{number}").mkdir()
            train_under_fire(folder, mode, rng, whole[mode], summary, kills)
    return summary


if __name__ == "__main__":
    main(campaign, kills=1000, seconds=3000.0, seed=0, modes=",".join(MODES))
