"""Packages of one's own: a loss, an activation, a network and a callback go through every command by their names."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from project import BinaryClassifier, Run
from project.__main__ import main
from project.model.loss import CRITERIA, METRICS
from project.model.net import ACTIVATIONS, NETWORKS
from tests.commands.test_parsing import Captured, refused

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("undrawn")]

PACKAGE = """\
import torch
from lightning.pytorch import Callback
from torch import nn

from project.model.loss import add_criterion
from project.model.net import ACTIVATIONS, NETWORKS


class Focal(nn.Module):
    def forward(self, y, y_hat):
        hit = torch.where(y == 1, y_hat, 1 - y_hat).clamp(min=1e-7)
        return -torch.mean((1 - hit) ** 2 * torch.log(hit))


class Deep(nn.Module):
    def __init__(self, in_features, hidden_features, activation):
        super().__init__()
        self.first, self.second = nn.Linear(in_features, hidden_features), nn.Linear(hidden_features, 4)
        self.activation, self.last = ACTIVATIONS[activation](), nn.Linear(4, 1)

    def forward(self, features):
        hidden = self.activation(self.second(self.activation(self.first(features))))
        return torch.sigmoid(self.last(hidden))


class Own(Callback):
    def on_train_start(self, *_):
        print("own")


add_criterion("focal", Focal)
ACTIVATIONS["hardtanh"] = nn.Hardtanh
NETWORKS["deep"] = Deep
"""
CONFIG = "model: {loss: focal, activation: hardtanh, network: deep, hidden_features: 8}\n"
OWN = "--allow-import my_parts"
TABLES: dict[str, list[dict[str, Any]]] = {"focal": [CRITERIA, METRICS], "hardtanh": [ACTIVATIONS], "deep": [NETWORKS]}


def forget() -> None:
    """Undo what the import of the package does."""
    sys.modules.pop("my_parts", None)
    for name, tables in TABLES.items():
        for table in tables:
            table.pop(name, None)


@pytest.fixture
def package(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Write the package into the working directory; what it adds is gone afterwards."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (here / "my_parts.py").write_text(PACKAGE)
    (here / "own.yaml").write_text(CONFIG)
    yield here
    forget()


def run(command: str, status: int = 0, kind: type[BinaryClassifier] = BinaryClassifier) -> None:
    assert main(command.split(), kind=kind) == status, command


def fit_twice(options: str, kind: type[BinaryClassifier] = BinaryClassifier, allow: str = "") -> Run:
    """Train once in a go and once in two parts, naming nothing for the second; return the run, the same both ways."""
    fit = f"fit {allow} --trainer.max_steps"
    run(f"{fit} 40 --name whole {options}", kind=kind)
    run(f"{fit} 25 --name parts {options}", kind=kind)
    run(f"{fit} 40 --name parts --ckpt_path last", kind=kind)
    whole, parts = Run("whole", kind), Run("parts", kind)
    assert whole.table.path.read_bytes() == parts.table.path.read_bytes()
    for kept in "state_dict", "optimizer_states", "lr_schedulers":
        torch.testing.assert_close(parts.checkpoint()[kept], whole.checkpoint()[kept], rtol=0, atol=0)
    return parts


def use_everywhere(parts: Run, allow: str = "") -> None:
    """Use a run in every command, and get the same answers by every way."""
    np.save("rows.npy", rows := np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32))
    for command in "validate", "test", "plot", "predict --data.predict rows.npy", "export":
        run(f"{command} {allow} --name parts", kind=parts.kind)
    run(f"compare {allow} whole parts", kind=parts.kind)
    assert json.loads(Path("comparison/comparison.json").read_text())["same_initial_weights"]
    expected = parts.model()(rows).detach().numpy()
    predicted = np.loadtxt(parts.path / "predictions.csv", delimiter=",", skiprows=1, usecols=range(3))
    session = onnxruntime.InferenceSession((parts.path / "model.onnx").read_bytes())
    for probability in predicted[:, 1:2], session.run(None, {"features": rows})[0]:
        np.testing.assert_allclose(probability, expected, atol=1e-6)
    assert parts.numbers()["step"] == 40


@pytest.mark.usefixtures("package")
def test_own_parts_go_through_every_command(blobs: Path, capsys: Captured) -> None:
    """Trained in two parts, they equal a whole run, and their loss is recorded like ours, in test.json too."""
    parts = fit_twice(f"--config own.yaml --data.root {blobs} --trainer.callbacks my_parts.Own", allow=OWN)
    assert "own\n" in capsys.readouterr().out
    use_everywhere(parts, OWN)
    history, tested, found = parts.history(), parts.tested(), parts.numbers()
    np.testing.assert_array_equal(history["val_loss"], history["val_focal"])
    hit = np.where(tested.labels == 1, tested.probabilities, 1 - tested.probabilities)
    assert found["loss"] == found["focal"] == pytest.approx(-np.mean((1 - hit) ** 2 * np.log(hit)), abs=1e-6)
    low, high = found["focal_interval"]
    assert low < found["focal"] < high


@pytest.mark.usefixtures("package")
def test_what_no_package_has_brought_in_is_refused_in_one_line(blobs: Path, capsys: Captured) -> None:
    """Nothing is imported because a checkpoint says so: the line names the option that lets the package in."""
    run(f"fit {OWN} --config own.yaml --data.root {blobs} --trainer.max_steps 20 --name own")
    forget()
    for command in "test", "plot", f"fit --config own.yaml --data.root {blobs}", "fit --model.loss my_parts.Focal":
        assert "--allow-import PACKAGE" in refused(capsys, *command.split())
    assert "my_parts" not in sys.modules


def test_a_package_that_fails_says_why(package: Path, capsys: Captured) -> None:
    for text, reason in {"import nowhere_at_all": "nowhere_at_all", "1 / 0": "division by zero", "(": "closed"}.items():
        (package / "my_parts.py").write_text(text)
        line = refused(capsys, "test", *OWN.split())
        assert line.startswith("--allow-import: my_parts cannot be imported (")
        assert reason in line
    assert "--allow-import" in refused(capsys, "test", "--allow-import")
