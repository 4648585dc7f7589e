"""Killed or stopped anywhere and resumed, a run ends as if nothing had happened."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import pytest

from project.__main__ import main
from project.checkpoint import load
from project.model import BinaryClassifier
from project.run import Run
from tests.campaigns import kills
from tests.conftest import wait_for_rows

CONTEXT = get_context("forkserver")  # forks from a process that has imported everything and started no thread
CONTEXT.set_forkserver_preload(["project.cli"])
ENDLESS = ["--trainer.max_steps", "1000000", "--name", "parts"]
OPTIONS = {  # by signal: what is trained
    signal.SIGINT: [],
    signal.SIGTERM: ["--data.batch_size", "100"],
    signal.SIGHUP: ["--trainer.val_check_interval", "7", "--data.track_test", "true"],
}


def test_kill_9_leaves_no_mark() -> None:
    with ProcessPoolExecutor(1, CONTEXT) as pool:
        summary = pool.submit(kills.campaign, kills=6, seconds=300, seed=0).result()
    assert summary.startswith("kill -9: 6 kills")


@dataclass(frozen=True)
class Stopped:
    """A run that a signal has stopped, and how it ended."""

    run: Run
    status: int
    stderr: str


def train(folder: Path, arguments: list[str]) -> None:
    """Run ``fit`` in a process of its own."""
    os.chdir(folder)
    with Path("stderr.txt").open("wb") as stderr, Path("stdout.txt").open("wb") as stdout:
        os.dup2(stderr.fileno(), 2)
        os.dup2(stdout.fileno(), 1)
    sys.exit(main(["fit", *arguments]))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> dict[signal.Signals, Stopped]:
    """Three runs at once, each stopped by a signal of its own; the first of them as a user types it."""
    folders = {number: tmp_path_factory.mktemp(number.name) for number in OPTIONS}
    command = [sys.executable, "-m", "project", "fit", *ENDLESS]
    with (folders[signal.SIGINT] / "stderr.txt").open("wb") as stderr:
        typed = subprocess.Popen(command, cwd=folders[signal.SIGINT], stdout=subprocess.DEVNULL, stderr=stderr)
    forked = {
        number: CONTEXT.Process(target=train, args=(folders[number], [*ENDLESS, *options]))
        for number, options in OPTIONS.items()
        if number != signal.SIGINT
    }
    runs = {number: Run(folder / "lightning_logs" / "parts") for number, folder in folders.items()}
    statuses: dict[signal.Signals, int | None] = {}
    try:
        for number, process in forked.items():
            process.start()
            wait_for_rows(runs[number])
            assert process.pid is not None
            os.kill(process.pid, number)
            process.join(60)
            statuses[number] = process.exitcode
        wait_for_rows(runs[signal.SIGINT])
        typed.send_signal(signal.SIGINT)
        statuses[signal.SIGINT] = typed.wait(60)
    finally:
        typed.kill()
        typed.wait()
        for process in forked.values():
            if process.is_alive():
                process.kill()
    return {
        number: Stopped(runs[number], status or 0, (folders[number] / "stderr.txt").read_text())
        for number, status in statuses.items()
    }


@pytest.mark.parametrize("number", OPTIONS)
def test_a_signal_stops_a_run_that_resumes_as_if_it_had_not(
    number: signal.Signals, stopped: dict[signal.Signals, Stopped], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, stderr = stopped[number].run, stopped[number].stderr
    assert stopped[number].status == 128 + number
    step = load(run.last)["global_step"]
    assert run.history.rows == step > 0, "no step lost"
    assert [int(i) for i in run.history.read()["step"]] == list(range(1, step + 1))
    assert stderr.count("\n") == 1
    sentence, command = stderr.strip().split("resume with: python -m project ")
    assert sentence == f"interrupted by {number.name} after iteration {step}; "
    assert not list(run.path.rglob(".*")), "debris"
    monkeypatch.chdir(run.path.parent.parent)
    end = ["--trainer.max_steps", str(step + 30)]
    assert main([*command.split(), *end]) == 0
    assert main(["fit", "--name", "whole", *OPTIONS[number], *end]) == 0
    whole = Run(run.path.parent / "whole")
    for file in ("history.csv", "losses.csv", "config.yaml", "checkpoints/best.ckpt", "checkpoints/last.ckpt"):
        assert (run.path / file).read_bytes() == (whole.path / file).read_bytes(), file


@pytest.mark.parametrize("number", OPTIONS)
def test_a_signal_before_the_first_iteration_leaves_nothing_half_done(number: signal.Signals, tmp_path: Path) -> None:
    process = CONTEXT.Process(target=train, args=(tmp_path, ENDLESS))
    process.start()
    while not (tmp_path / "lightning_logs" / "parts").exists():
        time.sleep(0.001)
    assert process.pid is not None
    os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode in (-number, 128 + number)
    assert "Traceback" not in (tmp_path / "stderr.txt").read_text()
    assert not list(tmp_path.rglob(".*.tmp"))


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_validation_end"])
@pytest.mark.parametrize("number", OPTIONS)
def test_a_signal_after_all_is_saved_loses_nothing_either(
    number: signal.Signals, hook: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def signalled(model: BinaryClassifier, *_: object) -> None:
        if model.global_step == 40:
            signal.raise_signal(number)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(BinaryClassifier, hook, signalled)  # called after all callbacks
    before = signal.getsignal(number)
    assert main(["fit", "--name", "run", "--trainer.max_steps", "60"]) == 128 + number
    assert signal.getsignal(number) is before
    run = Run(Path("lightning_logs/run"))
    assert load(run.last)["global_step"] == run.history.rows == 41
