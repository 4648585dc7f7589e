"""Two processes give what one gives, write one run folder, and do not wait for each other's ghosts."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from project.__main__ import main
from project.checkpoint import load
from project.data.batches import CPU, Share, TrainingBatches
from project.data.split import TRAIN
from project.run import Run
from tests.conftest import CONFIGS, wait_for_rows
from tests.data.test_selection import halved, make

STEPS = 400  # beyond, the sample amplifies the rounding of a sum in another order
FIT = ["fit", "--config", str(CONFIGS / "ddp.yaml"), "--seed_everything", "3", "--data.track_test", "true"]
FIT += ["--trainer.max_steps", str(STEPS)]
MINI_BATCH = ["--data.batch_size", "100", "--data.piece_rows", "33"]  # 912 rows: each epoch ends with 12
ONE = ["--trainer.devices", "1", "--trainer.strategy", "auto"]
LAUNCHERS = {
    "lightning": [sys.executable, "-m", "project"],
    "torchrun": [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "project"],
}


def run(folder: Path, *arguments: str, launcher: str = "lightning") -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as a user would."""
    return subprocess.run(
        [*LAUNCHERS[launcher], *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def assert_same_run(run: Run, other: Run) -> None:
    """Compare histories and weights, to the rounding that another order of summation brings."""
    for table in "history", "losses":
        columns, expected = getattr(run, table).read(), getattr(other, table).read()
        assert columns.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_allclose(columns[name], values, rtol=1e-5, atol=1e-7, err_msg=name)
    for checkpoint in "best", "last":
        weights, expected = (load(getattr(r, checkpoint))["state_dict"] for r in (run, other))
        for name, tensor in expected.items():
            torch.testing.assert_close(weights[name], tensor, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with the runs of one process."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main([*FIT, *ONE, "--name", "full"]) == 0
        assert main([*FIT, *ONE, "--name", "mini", *MINI_BATCH]) == 0
    return folder / "lightning_logs"


def test_two_processes_started_by_lightning_train_as_one_on_full_batches(alone: Path, tmp_path: Path) -> None:
    done = run(tmp_path, *FIT)
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.count("\n") == 3, "only one of them speaks"
    (folder,) = (tmp_path / "lightning_logs").iterdir()
    assert len(list(folder.glob("events.out.tfevents.*"))) == 1
    assert len(list(folder.glob("figures/*.png"))) == 4
    assert_same_run(Run(folder), Run(alone / "full"))
    tested = run(tmp_path, "test")
    assert tested.returncode == 0
    assert tested.stdout.count("test/accuracy") == 1
    result = json.loads((folder / "test.json").read_text())
    final = Run(alone / "full").history.read()
    assert (result["rows"], result["step"]) == (304, STEPS)
    assert result["accuracy"] == pytest.approx(final["test_accuracy"][-1], abs=1e-6)
    assert result["loss"] == pytest.approx(final["test_loss"][-1], rel=1e-5)


def test_two_processes_started_by_torchrun_train_as_one_on_mini_batches(alone: Path, tmp_path: Path) -> None:
    assert run(tmp_path, *FIT, *MINI_BATCH, "--name", "mini", launcher="torchrun").returncode == 0
    assert_same_run(Run(tmp_path / "lightning_logs" / "mini"), Run(alone / "mini"))


@pytest.mark.parametrize(
    ("victim", "number"), [(1, signal.SIGKILL), (0, signal.SIGTERM)], ids=["killed", "asked to stop"]
)
def test_a_run_that_loses_a_process_resumes_in_one(
    victim: int, number: signal.Signals, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [*LAUNCHERS["lightning"], *FIT, "--name", "run", *MINI_BATCH, "--trainer.max_steps", "1000000"]
    half = Run(tmp_path / "lightning_logs" / "run")
    with (tmp_path / "stderr.txt").open("w") as stderr:
        first = subprocess.Popen(command, cwd=tmp_path, stderr=stderr, stdout=subprocess.DEVNULL)
    wait_for_rows(half, 100)
    assert first.poll() is None
    (second,) = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
    os.kill((first.pid, int(second))[victim], number)
    assert first.wait(60) == (1 if number == signal.SIGKILL else 128 + number)
    said = (tmp_path / "stderr.txt").read_text()
    assert said.count("\n") == 1
    assert ("another process of this run has ended" in said) == (number == signal.SIGKILL)
    step = load(half.last)["global_step"]
    assert step >= 100
    monkeypatch.chdir(tmp_path)
    to_the_end = ["--trainer.max_steps", str(max(STEPS, step + 20))]
    assert main(["fit", "--ckpt_path", str(half.last), *ONE, *to_the_end]) == 0
    history, expected = half.history.read(), Run(alone / "mini").history.read()
    for name, values in expected.items():
        np.testing.assert_allclose(history[name][:STEPS], values, rtol=1e-5, atol=1e-7, err_msg=name)


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(5, 40),
    batch_size=st.integers(1, 20),
    piece_rows=st.integers(1, 20),
    ranks=st.integers(1, 7),
    seed=st.integers(0, 99),
)
def test_of_every_batch_each_row_is_in_one_share(
    rows: int, batch_size: int, piece_rows: int, ranks: int, seed: int
) -> None:
    whole, features, _ = make(rows, seed, TRAIN)
    batch_size = min(batch_size, len(features))
    expected = TrainingBatches(whole.gather(halved, CPU, torch.uint8), batch_size, piece_rows, seed, 9)
    shares = []
    for rank in range(ranks):
        selection, first = whole.share(rank, ranks)
        held = selection.gather(halved, CPU, torch.uint8)
        share = Share(held, whole.rows, first, selection.counts)
        shares.append(TrainingBatches(share, batch_size, piece_rows, seed, 9))
    assert sum(batches.subset.held.rows for batches in shares if isinstance(batches.subset, Share)) == whole.rows
    for i in range(1, 10):
        batch = list(expected.batch(i))
        pieces = [piece for batches in shares for piece in batches.batch(i)]
        assert sum(piece.weight for piece in pieces) == pytest.approx(1)
        rows_in_batch = sum(len(piece.labels) for piece in batch)
        assert all(piece.weight == len(piece.labels) / rows_in_batch for piece in pieces)
        together, alone = (
            sorted((*x.tolist(), *y.tolist()) for piece in part for x, y in zip(*piece[:2], strict=True))
            for part in (pieces, batch)
        )
        assert together == alone
