"""Packages of one's own: a loss, an activation, a network and a callback go through every command by their names."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from project import Run
from project.__main__ import main
from project.model.loss import CRITERIA, METRICS
from project.model.net import ACTIVATIONS, NETWORKS

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("undrawn")]

Captured = pytest.CaptureFixture[str]
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
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Write the package into the working directory; what it adds is gone afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "my_parts.py").write_text(PACKAGE)
    (tmp_path / "own.yaml").write_text(CONFIG)
    yield tmp_path
    forget()


def run(command: str, status: int = 0) -> None:
    assert main(command.split()) == status, command


def test_own_parts_go_through_every_command(package: Path, blobs: Path, capsys: Captured) -> None:
    """Trained in two parts, they equal a whole run, and their loss is recorded like ours, in test.json too."""
    fit = f"fit {OWN} --config own.yaml --data.root {blobs} --trainer.max_steps"
    run(f"{fit} 40 --name whole --trainer.callbacks my_parts.Own")
    assert "own\n" in capsys.readouterr().out
    run(f"{fit} 20 --name parts")
    run(f"fit {OWN} --ckpt_path last --name parts --trainer.max_steps 40")
    assert Run("whole").table.path.read_bytes() == Run("parts").table.path.read_bytes()
    history = Run("whole").history()
    np.testing.assert_array_equal(history["val_loss"], history["val_focal"])
    np.save(package / "rows.npy", np.zeros((3, 2)))
    for command in "validate", "test", "predict --data.predict rows.npy", "plot", "export":
        run(f"{command} {OWN} --name whole")
    run(f"compare {OWN} whole parts")
    tested = json.loads((Run("whole").path / "test.json").read_text())
    labels, probabilities = Run("whole").tested().labels, Run("whole").tested().probabilities
    hit = np.where(labels == 1, probabilities, 1 - probabilities)
    assert tested["loss"] == tested["focal"] == pytest.approx(-np.mean((1 - hit) ** 2 * np.log(hit)), abs=1e-6)
    low, high = tested["focal_interval"]
    assert low < tested["focal"] < high


@pytest.mark.usefixtures("package")
def test_what_no_package_has_brought_in_is_refused_in_one_line(blobs: Path, capsys: Captured) -> None:
    """Nothing is imported because a checkpoint says so: the line names the option that lets the package in."""
    run(f"fit {OWN} --config own.yaml --data.root {blobs} --trainer.max_steps 20 --name own")
    forget()
    capsys.readouterr()
    for command in "test", "plot", f"fit --config own.yaml --data.root {blobs}", "fit --model.loss my_parts.Focal":
        run(command, status=2)
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        assert "--allow-import PACKAGE" in line
    assert "my_parts" not in sys.modules


def test_a_package_that_fails_says_why(package: Path, capsys: Captured) -> None:
    for text, reason in {"import nowhere_at_all": "nowhere_at_all", "1 / 0": "division by zero", "(": "closed"}.items():
        (package / "my_parts.py").write_text(text)
        run(f"test {OWN}", status=2)
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: --allow-import: my_parts cannot be imported (")
        assert reason in line
    run("test --allow-import", status=2)
    assert "--allow-import" in capsys.readouterr().err
