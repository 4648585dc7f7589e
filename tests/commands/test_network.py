"""fit, validate, test and predict, as a user starts them, against arithmetic by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from project import Run
from project.__main__ import main
from project.data import NpyDataModule, sample
from project.model import BCELoss
from project.runs.checkpoint import load
from project.runs.disk import release
from tests.conftest import CONFIGS

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("undrawn", "here")]
Captured = pytest.CaptureFixture[str]
METRICS = ("loss", "accuracy", "bce", "mse")


def test_fit_writes_the_run_folder(shipped: Path) -> None:
    bce = Run(shipped / "lightning_logs" / "bce")
    assert {path.stem for path in bce.figures.glob("*.png")} >= {"scatter", "loss", "accuracy", "boundary"}
    assert len(list(bce.path.glob("events.out.tfevents.*"))) == 1
    history = bce.history()
    metrics = [f"{subset}_{metric}" for subset in ("val", "test") for metric in METRICS]
    assert list(history) == ["step", "train_loss", *metrics, "train_accuracy"]
    filled = {name: history["step"][~np.isnan(values)].tolist() for name, values in history.items()}
    every = {"step": list(range(1, 1001)), "train_loss": list(range(1, 1001))}
    assert filled == {**dict.fromkeys(history, list(range(20, 1001, 20))), **every}  # noqa: RUF024 (it stays as it is)
    assert load(bce.best)["global_step"] == int(np.nanargmin(history["val_loss"])) + 1
    assert load(bce.last)["global_step"] == 1000
    assert history["val_accuracy"][-1] >= 0.84
    right = 912 * history["train_accuracy"][19::20]
    np.testing.assert_allclose(right, right.round(), atol=1e-3, err_msg="a share of the training rows")


def test_fit_with_defaults_ends_with_its_result(capsys: Captured) -> None:
    assert main(["fit", "--trainer.max_steps", "60"]) == 0
    out, err = capsys.readouterr()
    assert err == "", "a clean fit prints no warning and, without a terminal, no progress bar"
    assert "train 912, val 304, test 304 rows" in out
    history = Run("version_0").history()
    assert not any("test" in column for column in history), "test rows stay unseen"
    result = f"loss {history['val_loss'][-1]:.4f}, accuracy {history['val_accuracy'][-1]:.4f} after iteration 60"
    assert out.endswith(f"validation {result}\nfigures: {Path('lightning_logs/version_0/figures')}\n")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_config_trains() -> None:
    for batch_size in "null", "100":
        options = ["--data.batch_size", batch_size, "--name", batch_size]
        assert main(["fit", "--config", str(CONFIGS / "gpu.yaml"), *options]) == 0
        assert Run(batch_size).history()["val_accuracy"][-1] >= 0.84


@pytest.mark.usefixtures("blobs")
def test_a_fit_reports_the_weights_that_it_saves(capsys: Captured) -> None:
    """It validates after its last iteration, whatever the interval; going on, that is no validation of the grid."""
    for options in ["--trainer.max_steps", "50"], ["--trainer.max_epochs", "25", "--data.batch_size", "30"]:
        assert main(["fit", "--name", options[0][2:], "--data.root", "data", *options]) == 0
        run = Run(options[0][2:])
        (final,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("validation loss"))
        with torch.no_grad():
            answers, rows = run.model()(run.data().val.features), run.data().val
        loss, accuracy = BCELoss()(rows.labels, answers).item(), ((answers >= 0.5) == rows.labels).double().mean()
        assert final == f"validation loss {loss:.4f}, accuracy {accuracy:.4f} after iteration 50"
        assert np.flatnonzero(~np.isnan(run.history()["val_loss"])).tolist() == [19, 39, 49]
    assert main(["fit", "--name", "trainer.max_steps", "--ckpt_path", "last", "--trainer.max_steps", "60"]) == 0
    assert main(["fit", "--name", "whole", "--data.root", "data", "--trainer.max_steps", "60"]) == 0
    assert Run("trainer.max_steps").table.path.read_bytes() == Run("whole").table.path.read_bytes()


@pytest.mark.usefixtures("blobs")
def test_best_and_last_name_a_checkpoint_and_going_on_from_best_brings_all_of_the_run_to_it(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """Killed as soon as that has begun, it goes on from there: last.ckpt comes before the history is cut."""
    options = ["--data.root", "data", "--trainer.max_steps", "300"]
    assert main(["fit", "--name", "over", *options]) == 0
    run, step = Run("over"), load(Run("over").best)["global_step"]
    assert step < 280, "or they could not be told apart"
    assert "choose before you look: python -m project test, or " in capsys.readouterr().out
    for chosen, file, expected in ("last", "test.json", 300), ("best", "test-best.json", step):
        assert main(["test", "--name", "over", "--ckpt_path", chosen]) == 0
        assert json.loads((run.path / file).read_text())["step"] == expected
        told, numbers = capsys.readouterr().out.split("test: 20 rows")
        lower = f"loss was lower, {np.nanmin(run.history()['val_loss']):.4f}, after iteration {step}: choose before"
        assert (lower in told, "best" in numbers) == (chosen == "last", chosen == "best"), "only before it is seen"
    assert main(["validate", "over", "--ckpt_path", "best"]) == 0
    assert "these rows chose best.ckpt" in capsys.readouterr().out
    history, go_on = run.table.path.read_bytes(), ["fit", "--name", "over", "--trainer.max_steps", "300", "--ckpt_path"]

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(NpyDataModule, "describe", interrupted)
        assert main([*go_on, "best"]) == 130
    release(run.path)
    assert (load(run.last)["global_step"], run.table.path.read_bytes()) == (step, history)
    assert main([*go_on, "last"]) == 0
    assert main(["fit", "--config", str(run.config), "--name", "again"]) == 0, "a saved config trains to the same bytes"
    assert history == run.table.path.read_bytes() == Run("again").table.path.read_bytes()
    assert load(run.last)["global_step"] == 300


@pytest.mark.parametrize("config", ["mse", "notebook"])
def test_test_writes_what_arithmetic_by_hand_finds(workplace: Path, capsys: Captured, config: str) -> None:
    run, before = Run(config), set(workplace.rglob("*"))
    again = ["--config", str(CONFIGS / f"{config}.yaml"), "--data.seed", "0", "--seed_everything", "0"]
    assert main(["test", "--name", config, *again]) == 0, "what agrees with the checkpoint may be said again"
    table, result = capsys.readouterr().out, json.loads((run.path / "test.json").read_text())
    figures = (f"figures/{name}.png" for name in ("test", "test-boundary", "importance"))
    left = "test.json", "test_predictions.csv", *figures
    written = {path for path in set(workplace.rglob("*.*")) - before if "tfevents" not in path.name}
    assert written == {workplace / run.path / file for file in left}
    state, data = load(run.last)["state_dict"], NpyDataModule()
    data.setup("test")
    y = data.test.labels.double()
    x = (data.test.features.double() - state["standardization.mean"]) * state["standardization.scale"]
    hidden = torch.tanh(x @ state["net.hidden.weight"].double().T + state["net.hidden.bias"])
    p = torch.sigmoid(hidden @ state["net.output.weight"].double().T + state["net.output.bias"])
    bce, mse = float(-(y * p.log() + (1 - y) * (1 - p).log()).mean()), float((p - y).square().mean())
    accuracy = float(((p > 0.5) == (y == 1)).double().mean())
    for metric, by_hand in zip(METRICS, (mse if config == "mse" else bce, accuracy, bce, mse), strict=True):
        assert result[metric] == pytest.approx(by_hand, rel=1e-5)
        assert result[metric] == pytest.approx(run.history()[f"test_{metric}"][-1], rel=1e-6)
        assert f" {result[metric]:.4f} " in table
    assert (result["checkpoint"], result["rows"], result["step"]) == ("last.ckpt", 304, run.table.rows)


def test_validate_and_predict_use_the_newest_trained_run(workplace: Path, capsys: Captured) -> None:
    bce, before = Run("bce"), sorted(workplace.rglob("*"))
    assert main(["validate"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{bce.last}: after iteration 1000\nvalidation: 304 rows")
    assert f"accuracy     {bce.history()['val_accuracy'][-1]:.4f} " in out
    assert sorted(workplace.rglob("*")) == before, "it leaves no folder"
    np.save("new.npy", features := np.load(sample.ROOT / "class_1.npy"))
    assert main(["predict", "--data.predict", "new.npy"]) == 0
    header, *rows = (bce.path / "predictions.csv").read_text().splitlines()
    assert header == "row,probability,label,class,probability_of"
    values = np.array([row.split(",")[:3] for row in rows], float)
    p = bce.model()(features)[:, 0].detach().numpy()
    np.testing.assert_allclose(values, np.column_stack([np.arange(len(features)), p, p >= 0.5]), rtol=1e-6)
