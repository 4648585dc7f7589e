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
from tests.campaigns.summary import start_ranks
from tests.conftest import CONFIGS, wait_for_rows

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("undrawn", "here")]
STEPS = 40
FIT = ["fit", "--config", str(CONFIGS / "ddp.yaml"), "--seed_everything", "3", "--data.track_test", "true"]
FIT += ["--trainer.accelerator", "cpu", "--name", "run", "--trainer.max_steps"]
TWO = ["--trainer.devices", "2", "--trainer.strategy", "ddp"]
ONE = ["--trainer.devices", "1", "--trainer.strategy", "auto"]
MINI = ["--data.batch_size", "911", "--data.piece_rows", "200"]  # 912 rows: in every other batch, one process has none.
SCHEDULED = ["--optimizer", "SGD", "--optimizer.lr", "1", "--lr_scheduler", "StepLR", "--lr_scheduler.step_size", "10"]
MODES = {"full": [], "free": [*MINI, *SCHEDULED], "clipped": [*MINI, *SCHEDULED, "--trainer.gradient_clip_val", "0.05"]}


def assert_same_run(run: Run, other: Run) -> None:
    """Compare histories and weights, to the rounding that another order of summation brings."""
    columns, expected = run.history(), other.history()
    assert columns.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(columns[name][:STEPS], values, rtol=1e-5, atol=1e-7, err_msg=name)
    for file in ("best", "last") if len(columns["step"]) == STEPS else ():
        weights, there = (load(getattr(each, file))["state_dict"] for each in (run, other))
        torch.testing.assert_close(weights, there, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """The runs of one process."""
    folder = tmp_path_factory.mktemp("alone")
    for name, options in MODES.items():
        root = ["--trainer.default_root_dir", str(folder / name)]
        assert main([*FIT, str(STEPS), *ONE, *options, *root]) == 0
    return {name: Run(folder / name / "lightning_logs" / "run") for name in MODES}


def test_two_processes_train_and_test_as_one(alone: dict[str, Run], here: Path) -> None:
    run, said = Run("run"), []
    for command in [*FIT, str(STEPS), *MODES["clipped"]], ["test", *TWO]:
        processes = start_ranks(command, here)
        for process in processes:
            process.join(120)
        assert [process.exitcode for process in processes] == [0, 0]
        said += [here.with_name(f"{here.name}{end}").read_text() for end in (".out0", ".out1", ".err0", ".err1")]
    assert [text.count("\n") > 2 for text in said] == [True, False, False, False] * 2
    assert not any(said[1:4] + said[5:]), "only one of them speaks"
    assert_same_run(run, alone["clipped"])
    assert len(list(run.path.glob("events*"))) == 2, "one of each command"
    result, final = json.loads((run.path / "test.json").read_text()), alone["clipped"].history()
    assert (result["rows"], result["step"]) == (304, STEPS)
    predicted = np.loadtxt(run.path / "test_predictions.csv", delimiter=",", skiprows=1)
    with torch.no_grad():
        expected = run.model()(run.data().test.features).numpy()
    np.testing.assert_allclose(predicted[:, 2:3], expected, rtol=1e-5, err_msg="each in its row")
    assert result["accuracy"] == pytest.approx(final["test_accuracy"][-1], abs=1e-6)
    assert result["loss"] == pytest.approx(final["test_loss"][-1], rel=1e-5)
    # It would prove nothing to agree on what changes nothing; both have a rate of 1 for a while.
    clipped, free = (each.history()["train_loss"][:10] for each in (run, alone["free"]))
    assert abs(clipped - free).max() > 1e-3
    assert run.checkpoint()["optimizer_states"][0]["param_groups"][0]["lr"] == pytest.approx(1e-4)


def assert_resumes(half: Run, other: Run) -> None:
    end = str(max(STEPS, half.checkpoint()["global_step"] + 20))
    assert main(["fit", "--ckpt_path", str(half.last), *ONE, "--trainer.max_steps", end]) == 0
    assert_same_run(half, other)


def test_a_run_that_loses_a_process_resumes_in_one(alone: dict[str, Run]) -> None:
    """It is one that Lightning itself starts in two."""
    command, half = [sys.executable, "-m", "project", *FIT, "1000000", *MODES["full"]], Run("run")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as first:
        try:
            wait_for_rows(half, 20)
            (second,) = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
            os.kill(int(second), signal.SIGKILL)
            _, stderr = first.communicate(timeout=240)
        finally:
            first.kill()
    # Lightning looks every 5 seconds whether the other process lives, and if not kills this one, which may come first.
    outcomes = {1: "error: another process of this run has ended", -signal.SIGKILL: ""}
    assert stderr.startswith(outcomes[first.returncode])
    assert stderr.count("\n") == (first.returncode > 0)
    assert_resumes(half, alone["full"])


def test_a_signal_to_one_process_ends_both_at_the_same_iteration(alone: dict[str, Run], here: Path) -> None:
    processes, half = start_ranks([*FIT, "1000000", *MODES["full"]], here), Run("run")
    wait_for_rows(half, 20)
    os.kill(processes[1].pid or 0, signal.SIGTERM)
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [128 + signal.SIGTERM] * 2
    said = [here.with_name(f"{here.name}.err{rank}").read_text() for rank in "01"]
    assert said[0].startswith("interrupted by SIGTERM")
    assert (said[0].count("\n"), said[1]) == (1, "")
    assert_resumes(half, alone["full"])


def test_a_single_process_ignores_a_rank(alone: dict[str, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """It writes everything, as always."""
    for variable in "RANK", "SLURM_PROCID", "LOCAL_RANK":
        monkeypatch.setenv(variable, "3")
    monkeypatch.setattr(rank_zero_only, "rank", 3)  # Lightning sets it from the variable when it is imported.
    assert main([*FIT, str(STEPS), *ONE]) == 0
    assert Run("run").table.path.read_bytes() == alone["full"].table.path.read_bytes()
    assert_same_run(Run("run"), alone["full"])
