"""A subclass with one more option, one more layer and Adam, and optimizers of the command line, in every command."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from torch import nn

from project import Run
from project.__main__ import main
from project.model import BinaryClassifier

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("undrawn")]

Captured = pytest.CaptureFixture[str]
ADAM = ["--optimizer", "Adam", "--optimizer.lr", "0.1", "--lr_scheduler", "StepLR", "--lr_scheduler.step_size", "7"]


class Wider(BinaryClassifier):
    def __init__(self, num_features: int, between: int = 4, lr: float = 0.01, **options: Any) -> None:
        super().__init__(num_features, lr=lr, **options)
        more = nn.Linear(self.net.hidden.out_features, between)
        self.net.activation = nn.Sequential(self.net.activation, more, nn.Tanh())
        self.net.output = nn.Linear(between, 1)

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), self.lr)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def fit_twice(blobs: Path, options: list[str], kind: type[BinaryClassifier]) -> dict[str, Any]:
    """Train once in a go and once in two parts, naming nothing for the second; return what both checkpoints hold."""
    options = ["--data.root", str(blobs), "--data.piece_rows", "25", "--data.batch_size", "30", *options]
    assert main(["fit", "--name", "whole", "--trainer.max_steps", "50", *options], kind=kind) == 0
    assert main(["fit", "--name", "parts", "--trainer.max_steps", "30", *options], kind=kind) == 0
    assert main(["fit", "--name", "parts", "--ckpt_path", "last", "--trainer.max_steps", "50"], kind=kind) == 0
    assert Run("whole").table.path.read_bytes() == Run("parts").table.path.read_bytes()
    whole, parts = (torch.load(Run(name).last, weights_only=True) for name in ("whole", "parts"))
    for kept in "state_dict", "optimizer_states", "lr_schedulers":
        torch.testing.assert_close(parts[kept], whole[kept], rtol=0, atol=0)
    return dict(whole)


def error_of(capsys: Captured, arguments: list[str], kind: type[BinaryClassifier] = BinaryClassifier) -> str:
    """Run a command that must be refused, and return its line."""
    capsys.readouterr()
    assert main(arguments, kind=kind) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return str(line)


def test_a_subclass_goes_through_every_command(blobs: Path, capsys: Captured) -> None:
    """It is resumed as if it had never ended, and its answers are the same by every way; the plain class refuses it."""
    contents = fit_twice(blobs, ["--model.between", "3", "--model.hidden_features", "5"], Wider)
    parts = Run("parts")
    assert contents["hyper_parameters"]["between"] == 3
    assert "exp_avg" in contents["optimizer_states"][0]["state"][0]  # of Adam
    rows = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    np.save("rows.npy", rows)
    for command in "test", "validate", "plot", "export", "predict --data.predict rows.npy", "compare whole parts":
        assert main(command.split(), kind=Wider) == 0, command
    model = Wider(2, between=3, hidden_features=5)
    model.load_state_dict(contents["state_dict"])
    expected = model(rows).detach().numpy()
    predicted = np.loadtxt(parts.path / "predictions.csv", delimiter=",", skiprows=1, usecols=range(3))
    session = onnxruntime.InferenceSession((parts.path / "model.onnx").read_bytes())
    for probability in predicted[:, 1:2], session.run(None, {"features": rows})[0]:
        np.testing.assert_allclose(probability, expected, atol=1e-6)
    assert json.loads((parts.path / "test.json").read_text())["step"] == 50
    assert json.loads(Path("comparison/comparison.json").read_text())["same_initial_weights"]
    for command in "test", "export", "fit --ckpt_path last --trainer.max_steps 60":
        assert "between" in error_of(capsys, command.split())
    assert "--model.between: 4 conflicts with" in error_of(capsys, ["test", "--model.between", "4"], Wider)


def test_an_optimizer_of_the_command_line_is_taken_up_again(blobs: Path) -> None:
    """Two parts equal the whole: the scheduler goes on where it was, and gradients are clipped as before."""
    contents = fit_twice(blobs, [*ADAM, "--trainer.gradient_clip_val", "1"], BinaryClassifier)
    (group,) = contents["optimizer_states"][0]["param_groups"]
    assert group["lr"] == pytest.approx(0.1 * 0.1 ** (50 // 7))
    assert "betas" in group
    assert yaml.safe_load(Run("parts").config.read_text())["trainer"]["gradient_clip_val"] == 1


def test_a_recorded_optimizer_that_is_not_torchs_is_refused(blobs: Path, capsys: Captured) -> None:
    """A resumed fit says so in one line; who tests has no use for it, and does not look at it."""
    options = ["--data.root", str(blobs), "--trainer.logger", "false", "--trainer.max_steps", "20"]
    assert main(["fit", "--name", "run", *options, *ADAM]) == 0
    recorded = Run("run").config.read_text()
    for section, name, value in (
        ("optimizer", "class_path", "torch.optim.lr_scheduler.os.system"),
        ("optimizer", "init_args", {"lr": "os.system('true')"}),
        ("lr_scheduler", "class_path", "subprocess.Popen"),
        ("lr_scheduler", "init_args", {"step_size": [{"class_path": "os.system"}]}),
    ):
        config = yaml.safe_load(recorded)
        config[section][name] = value
        Run("run").config.write_text(yaml.safe_dump(config))
        line = error_of(capsys, ["fit", "--ckpt_path", "last", "--trainer.max_steps", "40"])
        assert f"--{section}: the run's own is not one of torch.optim with plain numbers" in line, value
    assert main(["test"]) == 0
