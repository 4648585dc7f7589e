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
from lightning.pytorch.utilities import rank_zero_only

from project import Run
from project.__main__ import main
from project.runs.checkpoint import load
from tests.conftest import CONFIGS, wait_for_rows

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("undrawn")]
STEPS = 120
FIT = ["fit", "--config", str(CONFIGS / "ddp.yaml"), "--seed_everything", "3", "--data.track_test", "true"]
FIT += ["--trainer.max_steps", str(STEPS)]
TWO = ["--trainer.devices", "2", "--trainer.strategy", "ddp"]
ONE = ["--trainer.devices", "1", "--trainer.strategy", "auto"]
SCHEDULED = ["--optimizer", "SGD", "--optimizer.lr", "1", "--lr_scheduler", "StepLR", "--lr_scheduler.step_size", "30"]
MINI = ["--data.batch_size", "911", "--data.piece_rows", "200"]  # 912 rows: in every other batch, one process has none.
MODES = {
    "full": [],
    "mini": MINI,
    "clipped": [*MINI, *SCHEDULED, "--trainer.gradient_clip_val", "0.05"],
}
LIGHTNING = [sys.executable, "-m", "project"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "project"]


def run(folder: Path, command: list[str]) -> list[str]:
    """Run a command to its end, as a user would; return the lines that it prints."""
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}  # Otherwise torchrun says that it sets this.
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def assert_same_run(run: Run, other: Run) -> None:
    """Compare histories and weights, to the rounding that another order of summation brings."""
    columns, expected = run.history(), other.history()
    assert columns.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(columns[name][:STEPS], values, rtol=1e-5, atol=1e-7, err_msg=name)
    for file in ("best", "last") if len(columns["step"]) == STEPS else ():
        weights, there = (load(getattr(r, file))["state_dict"] for r in (run, other))
        for name, tensor in there.items():
            torch.testing.assert_close(weights[name], tensor, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """The runs of one process."""
    folder = tmp_path_factory.mktemp("alone")
    for name, options in MODES.items():
        assert main([*FIT, *ONE, "--name", name, *options, "--trainer.default_root_dir", str(folder)]) == 0
    return {name: Run(folder / "lightning_logs" / name) for name in MODES}


@pytest.mark.parametrize("mode", ["full", "clipped"])
def test_two_processes_train_as_one(mode: str, alone: dict[str, Run], tmp_path: Path) -> None:
    command, made = TORCHRUN if mode == "clipped" else LIGHTNING, Run(tmp_path / "lightning_logs/version_0")
    assert len(run(tmp_path, [*command, *FIT, *MODES[mode]])) in (3, 4), "only one of them speaks"
    assert_same_run(made, alone[mode])
    assert len(list(made.path.glob("events*"))) == len(list(made.figures.glob("boundary.png"))) == 1
    if mode == "full":
        assert "\n".join(run(tmp_path, [*command, "test", *TWO])).count("accuracy  ") == 1
        result, final = json.loads((made.path / "test.json").read_text()), alone[mode].history()
        assert (result["rows"], result["step"]) == (304, STEPS)
        predicted = np.loadtxt(made.path / "test_predictions.csv", delimiter=",", skiprows=1)
        with torch.no_grad():
            expected = made.model()(made.data().test.features).numpy()
        np.testing.assert_allclose(predicted[:, 2:3], expected, rtol=1e-5, err_msg="each in its row")
        assert result["accuracy"] == pytest.approx(final["test_accuracy"][-1], abs=1e-6)
        assert result["loss"] == pytest.approx(final["test_loss"][-1], rel=1e-5)
    if mode == "clipped":  # It would prove nothing to agree on what changes nothing; both have a rate of 1 for a while.
        clipped, free = (each.history()["train_loss"][:30] for each in (made, alone["mini"]))
        assert abs(clipped - free).max() > 1e-3
        assert made.checkpoint()["optimizer_states"][0]["param_groups"][0]["lr"] == pytest.approx(1e-4)


@pytest.mark.parametrize(("victim", "number"), [(1, signal.SIGKILL), (0, signal.SIGTERM)])
def test_a_run_that_loses_a_process_resumes_in_one(
    victim: int, number: signal.Signals, alone: dict[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command, half = [*LIGHTNING, *FIT, "--name", "run", *MINI, "--trainer.max_steps", "1000000"], Run("run")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as first:
        try:
            wait_for_rows(half, 20)
            (second,) = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
            os.kill((first.pid, int(second))[victim], number)
            _, stderr = first.communicate(timeout=240)
        finally:
            first.kill()
    # Lightning looks every 5 seconds whether the other process lives, and if not kills this one, which may come first.
    outcomes = {1: "another process of this run has ended", -signal.SIGKILL: ""}
    expected = outcomes if number == signal.SIGKILL else {128 + number: "interrupted by SIGTERM"}
    assert first.returncode in expected
    assert expected[first.returncode] in stderr
    assert stderr.count("\n") == (first.returncode > 0)
    end = max(STEPS, half.checkpoint()["global_step"] + 20)
    assert main(["fit", "--ckpt_path", str(half.last), *ONE, "--trainer.max_steps", str(end)]) == 0
    assert_same_run(half, alone["mini"])


def test_a_single_process_ignores_a_rank(
    alone: dict[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes everything, as always."""
    monkeypatch.chdir(tmp_path)
    for variable in "RANK", "SLURM_PROCID", "LOCAL_RANK":
        monkeypatch.setenv(variable, "3")
    monkeypatch.setattr(rank_zero_only, "rank", 3)  # Lightning sets it from the variable when it is imported.
    assert main([*FIT, *ONE]) == 0
    assert Run("version_0").table.path.read_bytes() == alone["full"].table.path.read_bytes()
    assert_same_run(Run("version_0"), alone["full"])
