"""Full and read-only disks, divergence and odd data; and the same bytes from the same command anywhere."""

import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from project import Run
from project.__main__ import main
from project.data import batches
from project.runs.checkpoint import load
from tests.conftest import CONFIGS, Write, drawing
from tests.conftest import FIT as SHIPPED

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("undrawn", "here")]

Captured = pytest.CaptureFixture[str]
RUN = Run(Path("lightning_logs") / "run")
FIT = ["fit", "--name", "run", "--trainer.logger", "false", "--trainer.max_steps"]
RESUME = ["fit", "--ckpt_path", str(RUN.last), "--trainer.logger", "false", "--trainer.max_steps"]


@contextlib.contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, as if the disk were full for longer ones."""
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN, "a write would kill instead of failing"
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def stderr_of(capsys: Captured, status: int, *arguments: str) -> list[str]:
    """Run a command that must end with a status; return what it says of it, line by line."""
    capsys.readouterr()
    assert main(arguments) == status
    assert not list(Path.cwd().rglob(".*.tmp")), "debris"
    return capsys.readouterr().err.splitlines()


def test_a_disk_too_full_for_logs_or_for_the_history_costs_one_warning(
    blobs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # The disk is not switched off here.
    options = ["--data.root", str(blobs), "--data.track_test", "true", "--trainer.val_check_interval", "1"]
    options += ["--model.hidden_features", "8"]
    assert main([*FIT, "120", *options]) == 0
    history, limit = RUN.table.path.read_bytes(), RUN.table.path.stat().st_size + 200
    assert limit > RUN.last.stat().st_size + 2000, "a full history leaves room for checkpoints"
    shutil.move(RUN.path, "whole")
    with files_up_to(limit):
        with drawing(figures=True):  # They do not fit.
            warned = stderr_of(capsys, 0, *FIT, "120", *options, "--trainer.logger", "true")
        assert RUN.table.path.read_bytes() == history
        assert not RUN.figures.exists() or not list(RUN.figures.iterdir())
        warned += stderr_of(capsys, 0, *RESUME, "130", "--trainer.logger", "true")
    assert len(warned) == 2
    assert all(f"{RUN.path}: File too large; training goes on" in line for line in warned)
    assert load(RUN.last)["global_step"] == 130 > (rows := RUN.table.rows)
    assert RUN.table.path.read_bytes().startswith(history)
    assert RUN.table.path.read_bytes().endswith(b"\n"), "of the rows written together none is there, or all are"
    assert stderr_of(capsys, 0, "test", "--name", "run") == []
    (line,) = stderr_of(capsys, 2, *RESUME, "140")
    assert f"{RUN.table.path}: has {rows} rows, the checkpoint 130; " in line


@pytest.mark.parametrize(
    ("limit", "free", "begin", "end"),
    [(4096, 2**40, f"error: {RUN.last}: ", ""), (2**16, 0, "error: ", "File too large (scratch file of the rows)")],
)
def test_a_disk_too_full_ends_the_run_before_its_first_step(
    limit: int, free: int, begin: str, end: str, write_classes: Write, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    root = write_classes(*np.random.default_rng(0).normal(size=(2, 4000, 8)))
    monkeypatch.setattr(batches, "free_memory", lambda: free)
    with files_up_to(limit):
        *warned, line = stderr_of(capsys, 1, *FIT, "20", "--data.root", str(root))
    assert warned == []
    assert line.startswith(begin)
    assert end in line
    assert (RUN.last.exists(), RUN.table.rows) == (False, 0)
    assert sorted(path.name for path in Path().iterdir()) == ["data", "lightning_logs"]


def test_a_disk_that_gets_too_full_for_a_checkpoint_ends_the_run_and_keeps_the_one_before(capsys: Captured) -> None:
    assert main([*FIT, "20"]) == 0
    before = RUN.last.read_bytes()
    with files_up_to(4096):
        (line,) = stderr_of(capsys, 1, *RESUME, "60")
    assert line == f"error: {RUN.best}: File too large"
    assert RUN.last.read_bytes() == before
    assert main([*RESUME, "60"]) == 0
    assert main([*FIT, "60", "--name", "whole"]) == 0
    assert RUN.table.path.read_bytes() == Run("whole").table.path.read_bytes(), "nothing lost"


REAL = """
import os, sys
from project.__main__ import main
for disk in "ro", "size=12k":
    os.chdir(disk)
    print(main(sys.argv[1:]), flush=True)
    os.chdir("..")
"""


def test_a_real_disk_that_is_full_or_read_only_ends_the_command_in_one_line() -> None:
    mount = 'for disk in ro size=12k; do mkdir $disk && mount -t tmpfs -o $disk tmpfs $disk || exit 9; done; exec "$@"'
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "-", sys.executable, "-c", REAL, *FIT, "20"]
    if shutil.which("unshare") is None:
        pytest.skip("no mounting here")
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.skip("no mounting here")
    read_only, *warned, full = done.stderr.splitlines()
    assert [line for line in done.stdout.splitlines() if line.isdigit()] == ["1", "1"]
    assert read_only == "error: lightning_logs: Read-only file system"
    assert full == f"error: {RUN.last}: No space left on device"
    assert len(warned) <= 1, "the scatter plot does not fit either"


@pytest.mark.parametrize("interval", ["20", "1"])
def test_divergence_ends_the_run_with_finite_checkpoints(interval: str, capsys: Captured) -> None:
    explosive = ["--model.lr", "1e38", "--model.activation", "relu", "--model.loss", "mse"]
    (line,) = stderr_of(capsys, 3, *FIT, "1000", *explosive, "--trainer.val_check_interval", interval)
    assert line.startswith("error: training diverged: ")
    step = load(RUN.last)["global_step"]
    assert step < 20
    assert f"(lr=1e+38); last good checkpoint {RUN.last} (step {step}); try a smaller --model.lr" in line
    for path in RUN.path.rglob("*.ckpt"):
        assert all(bool(torch.isfinite(weights).all()) for weights in load(path)["state_dict"].values())


def test_a_warning_names_what_is_odd(write_classes: Write, capsys: Captured) -> None:
    classes = np.random.default_rng(0).normal(size=(2, 50, 2))
    for name, scale in {"alike": 1, "flat": 0, "wide": 1e6}.items():
        write_classes(classes[0] * [1, scale], classes[1] * [1, scale] + [9 * (name != "alike"), 0], name=name)
    write_classes(*classes[:, :10], name="few")
    for options, words in {
        "--model.standardize false": "training did not beat guessing: .*the features reach 2.9",
        "--model.lr 1000": "training did not beat guessing: .*try a smaller --model.lr than 1000",
        "--optimizer SGD --optimizer.lr 1000": "training did not beat guessing: .*a smaller --optimizer.lr than 1000",
        "--data.root alike --model.lr 1e-6": "training did not beat guessing: .*the classes may look alike",
        "--data.root few --trainer.max_steps 500 --model.lr 2": ".*it learned the 12 training rows .* too few rows",
        "--data.root flat": "column 1 is constant; standardized to 0",
        "--data.root wide --model.standardize false --model.lr 1e-9": "columns differ in scale by ",
    }.items():
        shutil.rmtree("lightning_logs", ignore_errors=True)
        (line,) = stderr_of(capsys, 0, *FIT, "20", *options.split())
        assert re.match(f"warning: {words}", line)


def test_the_same_command_gives_the_same_bytes_anywhere(shipped: Path, tmp_path: Path) -> None:
    (place := tmp_path / "some where/élse").mkdir(parents=True)
    variables = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "1"}
    command = [sys.executable, "-m", "project", *SHIPPED, str(CONFIGS / "bce.yaml"), "--name", "bce"]
    subprocess.run(
        command, cwd=place, env={**os.environ, **variables}, stdout=subprocess.DEVNULL, timeout=300, check=True
    )
    files = [file.relative_to(shipped) for file in shipped.rglob("bce/**/*.*") if "tfevents" not in file.name]
    assert len(files) >= 12
    for file in files:
        assert (place / file).read_bytes() == (shipped / file).read_bytes(), file
