"""Full and read-only disks, divergence and odd data; and that the same command gives the same bytes anywhere."""

import contextlib
import io
import json
import os
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

from project.__main__ import main
from project.checkpoint import load
from project.run import Run
from tests.conftest import Write

Captured = pytest.CaptureFixture[str]
RUN = Run(Path("lightning_logs") / "run")
FIT = ["fit", "--name", "run"]
RESUME = ["fit", "--ckpt_path", str(RUN.last)]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@contextlib.contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, as if the disk were full for longer ones."""
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN, "a write would kill instead of failing"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def finite(checkpoint: Path) -> bool:
    return all(bool(torch.isfinite(weights).all()) for weights in load(checkpoint)["state_dict"].values())


def test_a_disk_too_full_for_logs_costs_one_warning_and_no_history(capsys: Captured) -> None:
    steps = ["--trainer.max_steps", "40"]
    assert main([*FIT, *steps, "--trainer.logger", "false"]) == 0
    limit = RUN.last.stat().st_size + 2048
    shutil.move(RUN.path, "whole")
    capsys.readouterr()
    with files_up_to(limit):
        Path("big").write_bytes(bytes(limit))
        with pytest.raises(OSError, match="File too large"):
            Path("big").write_bytes(bytes(limit + 1))
        assert main([*FIT, *steps]) == 0
    stderr = capsys.readouterr().err
    assert stderr.count("\n") == 1
    assert stderr.startswith(f"warning: {RUN.path}: File too large; training goes on")
    assert load(RUN.last)["global_step"] == 40
    assert not list(RUN.path.rglob(".*")), "debris"
    assert not RUN.figures.exists() or not list(RUN.figures.iterdir()), "no figure fits"
    assert main([*RESUME, "--trainer.max_steps", "60"]) == 0
    assert capsys.readouterr().err == ""
    history = RUN.history.path.read_bytes()
    assert history.startswith((Path("whole") / "history.csv").read_bytes())
    assert RUN.history.rows == 60
    assert (RUN.figures / "loss.png").exists()


def test_history_that_a_full_disk_refused_travels_in_the_checkpoint(
    blobs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # the disk is not switched off here
    options = ["--data.root", str(blobs), "--data.track_test", "true", "--trainer.val_check_interval", "1"]
    assert main([*FIT, *options, "--trainer.logger", "false", "--trainer.max_steps", "170"]) == 0
    rows = RUN.history.path.read_bytes()
    assert len(rows) > RUN.last.stat().st_size + 2000, "a full history leaves room for checkpoints"
    shutil.copytree(RUN.path, "copy/lightning_logs/run")
    capsys.readouterr()
    with files_up_to(len(rows) + 200):
        assert main([*RESUME, "--trainer.max_steps", "180"]) == 0
    assert capsys.readouterr().err.count("\n") == 1
    assert RUN.history.path.read_bytes().startswith(rows)
    assert RUN.history.rows < 180
    assert load(RUN.last)["global_step"] == 180
    assert main([*RESUME, "--trainer.max_steps", "190"]) == 0
    resumed = RUN.history.path.read_bytes()
    monkeypatch.chdir("copy")
    assert main([*RESUME, "--trainer.max_steps", "190"]) == 0
    assert RUN.history.path.read_bytes() == resumed


def test_a_disk_too_full_for_checkpoints_ends_the_run_before_its_first_step(capsys: Captured) -> None:
    with files_up_to(4096):
        assert main([*FIT, "--trainer.max_steps", "40", "--trainer.logger", "false"]) == 1
    *warned, line = capsys.readouterr().err.splitlines()
    assert len(warned) <= 1, "the scatter plot does not fit either"
    assert line.startswith(f"error: {RUN.last}: ")
    assert not RUN.last.exists()
    assert RUN.history.rows == 0
    assert not list(RUN.path.rglob(".*")), "debris"


def test_no_folder_for_runs_ends_the_command_before_its_first_step(capsys: Captured) -> None:
    Path("lightning_logs").write_text("a file")
    assert main(FIT) == 1
    line = capsys.readouterr().err
    assert line.startswith("error: lightning_logs")
    assert line.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == ["lightning_logs"]


def fill_a_small_disk(folder: Path) -> dict[str, object]:
    """Train on a disk of 256 kB that gets full, and on one that is read-only; only in a mount namespace of its own."""
    report: dict[str, object] = {}
    for name, options in {"full": "size=256k", "read-only": "size=256k,ro"}.items():
        (folder / name).mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder / name)], check=True)  # noqa: S607
    os.chdir(folder / "full")
    fit = ["--trainer.logger", "false", "--trainer.max_steps"]
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        statuses = [main([*FIT, *fit, "20"])]
        errors.truncate(errors.seek(0))  # a figure or two did not fit
        free = os.statvfs(".").f_bavail * os.statvfs(".").f_frsize
        Path("filler").write_bytes(bytes(free - 4096))  # leaves room for the config, but not for a checkpoint
        before = RUN.last.read_bytes()
        statuses.append(main([*RESUME, *fit, "60"]))
        report["line"] = errors.getvalue()
        report["intact"] = RUN.last.read_bytes() == before
        report["debris"] = [str(path) for path in RUN.path.rglob(".*")]
        Path("filler").unlink()
        shutil.rmtree(RUN.figures)
        statuses.append(main([*RESUME, *fit, "60"]))
        report["rows"] = RUN.history.path.read_text()
        os.chdir(folder / "read-only")
        errors.truncate(errors.seek(0))
        statuses.append(main(FIT))
        report["read-only"] = errors.getvalue()
    return {**report, "statuses": statuses}


def test_a_full_disk_and_a_read_only_one(tmp_path: Path) -> None:
    alone = ["unshare", "--map-root-user", "--mount"]
    (tmp_path / "mounted").mkdir()
    try_mount = [*alone, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path / "mounted")]
    if shutil.which("unshare") is None or subprocess.run(try_mount, check=False, capture_output=True).returncode:
        pytest.skip("no mounting here")
    script = (
        f"import json; from tests.test_faults import *; print(json.dumps(fill_a_small_disk(Path({str(tmp_path)!r}))))"
    )
    output = subprocess.check_output(
        [*alone, sys.executable, "-c", script], cwd=Path(__file__).parent.parent, text=True
    )
    report = json.loads(output.splitlines()[-1])
    assert report["statuses"] == [0, 1, 0, 1]
    *warned, line = report["line"].splitlines()
    assert len(warned) <= 1
    assert line.startswith("error: ")
    assert line.endswith("best.ckpt: No space left on device")
    assert report["intact"]
    assert report["debris"] == []
    assert main([*FIT, "--trainer.logger", "false", "--trainer.max_steps", "60"]) == 0
    assert report["rows"] == RUN.history.path.read_text(), "nothing lost"
    assert report["read-only"].startswith("error: lightning_logs")
    assert report["read-only"].count("\n") == 1


@pytest.mark.parametrize("interval", ["20", "1"], ids=["between validations", "with validations"])
def test_divergence_ends_the_run_with_finite_checkpoints(interval: str, capsys: Captured) -> None:
    explosive = ["--model.lr", "1e38", "--model.activation", "relu", "--model.loss", "mse"]
    assert main([*FIT, *explosive, "--trainer.val_check_interval", interval]) == 3
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert line.startswith("error: training diverged: ")
    step = load(RUN.last)["global_step"]
    assert f"(lr=1e+38); last good checkpoint {RUN.last} (step {step}); try a smaller --model.lr" in line
    assert all(finite(path) for path in RUN.path.rglob("*.ckpt"))
    assert step < 20


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (["--model.standardize", "false"], "the features reach 2.9"),
        (["--model.lr", "1000"], "try a smaller --model.lr than 1000"),
        (["--data.root", "alike", "--model.lr", "1e-6"], "the classes may look alike"),
    ],
)
def test_a_run_no_better_than_guessing_says_why(
    options: list[str], cause: str, write_classes: Write, capsys: Captured
) -> None:
    write_classes(*np.random.default_rng(0).normal(size=(2, 50, 2)), name="alike")
    assert main([*FIT, *options, "--trainer.max_steps", "20", "--trainer.logger", "false"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: training did not beat guessing: ")
    assert cause in line


@pytest.mark.parametrize(
    ("scales", "options", "warning"),
    [
        ([1, 0], [], "column 1 is constant; standardized to 0"),
        ([1, 1e6], ["--model.standardize", "false", "--model.lr", "1e-9"], "columns differ in scale by "),
    ],
)
def test_odd_columns_are_named(
    scales: list[float], options: list[str], warning: str, write_classes: Write, capsys: Captured
) -> None:
    classes = np.random.default_rng(0).normal(size=(2, 50, 2)) * scales + [[[0, 0]], [[9, 0]]]
    root = write_classes(*classes)
    assert main([*FIT, "--data.root", str(root), *options, "--trainer.max_steps", "1", "--trainer.logger=false"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {warning}")


def test_the_same_command_gives_the_same_bytes_anywhere(tmp_path: Path) -> None:
    locales = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout.split()  # noqa: S607
    other = next((name for name in locales if name.startswith(("tr_", "de_", "C.utf8"))), "C")
    places = {
        "here": {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1"},
        "some where/élse": {"TZ": "Pacific/Kiritimati", "LC_ALL": other, "PYTHONHASHSEED": "2"},
    }
    command = [sys.executable, "-m", "project", *FIT, "--trainer.max_steps", "60", "--data.batch_size", "100"]
    running = []
    for place, variables in places.items():
        (tmp_path / place).mkdir(parents=True)
        environment = {**os.environ, **variables}
        running.append(subprocess.Popen(command, cwd=tmp_path / place, env=environment, stdout=subprocess.DEVNULL))
    assert [process.wait(120) for process in running] == [0, 0]
    first, second = (tmp_path / place / RUN.path for place in places)
    files = [path.relative_to(first) for path in first.rglob("*") if path.is_file() and "tfevents" not in path.name]
    assert len(files) == 9
    for file in files:
        assert (first / file).read_bytes() == (second / file).read_bytes(), file
