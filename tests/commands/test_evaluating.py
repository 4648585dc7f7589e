"""validate, test and predict, against arithmetic by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from project import Run
from project.__main__ import main
from project.data import NpyDataModule, sample
from project.runs.checkpoint import load
from tests.conftest import CONFIGS

pytestmark = pytest.mark.process
Captured = pytest.CaptureFixture[str]
METRICS = ("loss", "accuracy", "bce", "mse")


@pytest.mark.parametrize("config", ["bce", "mse", "minibatch", "notebook"])
def test_test_writes_what_arithmetic_by_hand_finds(workplace: Path, capsys: Captured, config: str) -> None:
    run, before = Run(config), set(workplace.rglob("*"))
    again = ["--config", str(CONFIGS / f"{config}.yaml"), "--data.seed", "0", "--seed_everything", "0"]
    assert main(["test", "--name", config, *again]) == 0, "what agrees with the checkpoint may be said again"
    table, result = capsys.readouterr().out, json.loads((run.path / "test.json").read_text())
    left = "test.json", "test_predictions.csv", "figures/test.png", "figures/test-boundary.png"
    written = {path for path in set(workplace.rglob("*")) - before if "tfevents" not in path.name}
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
    assert (result["checkpoint"], result["rows"], result["step"]) == ("last.ckpt", 304, 1000)


def test_validate_uses_the_newest_trained_run_and_leaves_no_folder(workplace: Path, capsys: Captured) -> None:
    before = sorted(workplace.rglob("*"))
    assert main(["validate"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{Run('bce').last}: after iteration 1000\nvalidation: 304 rows")
    assert f"accuracy           {Run('bce').history()['val_accuracy'][-1]:.4f} " in out
    assert sorted(workplace.rglob("*")) == before


def test_best_and_last_and_a_file_name_a_checkpoint_from_any_folder(
    blobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace := blobs.parent)
    run, steps = Run("over"), list[int]()
    assert main(["fit", "--name", "over", "--data.root", "data", "--trainer.max_steps", "301"]) == 0
    monkeypatch.chdir(blobs)
    for checkpoint in (f"../{run.best}", f"../{run.last}"):
        assert main(["test", "--ckpt_path", checkpoint]) == 0
        (path,) = (workplace / run.path).glob("test*.json")
        steps.append(json.loads(path.read_text())["step"])
        path.unlink()
    monkeypatch.chdir(workplace)
    assert main(["test", "--ckpt_path", "best", "--name", "over"]) == 0
    best = load(run.best)["global_step"]
    assert [*steps, json.loads((run.path / "test-best.json").read_text())["step"]] == [best, 301, best]
    assert best <= 300, "or they could not be told apart"


def test_predict_writes_a_probability_a_row(workplace: Path) -> None:
    features = np.load(sample.ROOT / "class_1.npy")
    np.save(workplace / "new.npy", features)
    assert main(["predict", "--data.predict", "new.npy"]) == 0
    header, *rows = (Run("bce").path / "predictions.csv").read_text().splitlines()
    assert header == "row,probability,label"
    values = np.array([row.split(",") for row in rows], float)
    with torch.no_grad():
        p = Run("bce").model()(features)[:, 0].numpy()
    np.testing.assert_allclose(values, np.column_stack([np.arange(len(features)), p, p >= 0.5]), rtol=1e-6)
