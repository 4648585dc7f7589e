"""A subclass with one more option, one more layer and Adam, and optimizers of the command line, in every command.

What was asked is what trains, and what is on record.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from project import BCELoss, BinaryClassifier, Run
from tests.commands.test_dispatch import fit_twice, run, use_everywhere
from tests.commands.test_parsing import Captured, refused

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("undrawn", "blobs", "here")]

FIT = "fit --name run --data.root data --trainer.max_steps"
STEP_LR = "--lr_scheduler StepLR --lr_scheduler.step_size 10 --lr_scheduler.gamma 0.5"


class Wider(BinaryClassifier):
    def __init__(self, num_features: int, between: int = 4, lr: float = 0.01, **options: Any) -> None:
        super().__init__(num_features, lr=lr, **options)
        more = nn.Linear(self.net.hidden.out_features, between)
        self.net.activation = nn.Sequential(self.net.activation, more, nn.Tanh())
        self.net.output = nn.Linear(between, 1)

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), self.lr)


def test_a_subclass_goes_through_every_command(capsys: Captured) -> None:
    """It is resumed as if it had never ended, and its answers are the same by every way; the plain class refuses it."""
    own = "--data.batch_size 30 --data.piece_rows 25 --model.between 3 --model.hidden_features 5"
    parts = fit_twice(f"--data.root data {own}", Wider)
    assert parts.model().net.output.in_features == parts.model().hparams["between"] == 3
    assert parts.optimizer() == ("Adam", [0.01])
    use_everywhere(parts)
    for command in "test", "export", "fit --ckpt_path last --trainer.max_steps 60":
        assert "between" in refused(capsys, *command.split())
    assert "--model.between: 4 conflicts with" in refused(capsys, "test", "--model.between", "4", kind=Wider)


def test_a_scheduler_alone_schedules_the_models_own_sgd() -> None:
    """It trains as a loop by hand, and goes on where it was."""
    parts = fit_twice(f"--data.root data {STEP_LR}")
    model, train = parts.model(initial=True), parts.data().train
    optimizer = torch.optim.SGD(model.parameters(), 0.8)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 10, 0.5)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = BCELoss()(train.labels, model(train.features))
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    np.testing.assert_allclose(parts.history()["train_loss"], losses, rtol=1e-5)
    assert parts.checkpoint()["optimizer_states"][0]["param_groups"][0]["lr"] == optimizer.param_groups[0]["lr"] == 0.05
    assert parts.optimizer() == ("SGD", [0.8])


def test_an_optimizer_of_the_command_line_is_taken_up_again() -> None:
    """The scheduler goes on where it was, and gradients are clipped as before."""
    given = "--optimizer Adam --optimizer.lr 0.1 --lr_scheduler StepLR --lr_scheduler.step_size 7"
    parts = fit_twice(f"--data.root data {given} --trainer.gradient_clip_val 1")
    (group,) = parts.checkpoint()["optimizer_states"][0]["param_groups"]
    assert group["lr"] == pytest.approx(0.1 * 0.1 ** (40 // 7))
    assert "betas" in group
    recorded = {"lr_scheduler": "StepLR", "lr_scheduler.step_size": 7, "trainer.gradient_clip_val": 1}
    changed = parts.changed_options()
    assert changed == {**changed, **recorded, "optimizer": "Adam", "optimizer.lr": 0.1, "trainer.max_steps": 40}
    parts.config.write_text(parts.config.read_text().partition("\nseed")[2])
    assert parts.changed_options() == {}, "where no command has recorded them"


RECORDED: dict[str, tuple[float, dict[str, object]]] = {  # by options: the rate of SGD, and what differs from defaults
    "--lr_scheduler ReduceLROnPlateau --lr_scheduler.monitor val/loss --lr_scheduler.patience 0": (
        0.8,
        {"lr_scheduler": "ReduceLROnPlateau", "lr_scheduler.monitor": "val/loss", "lr_scheduler.patience": 0},
    ),
    "--optimizer SGD --optimizer.lr 0.1 --trainer.callbacks+=EarlyStopping --trainer.callbacks.monitor val/loss": (
        0.1,
        {"optimizer": "SGD", "optimizer.lr": 0.1, "trainer.callbacks": ["EarlyStopping(monitor=val/loss)"]},
    ),
}


@pytest.mark.parametrize("options", RECORDED)
def test_what_differs_from_the_defaults_and_the_rate_that_was_used_are_on_record(options: str) -> None:
    rate, expected = RECORDED[options]
    run(f"{FIT} 20 {options}")
    assert Run("run").optimizer() == ("SGD", [rate])
    root = {"trainer.max_steps": 20, "data.root": str(Path("data").absolute())}
    assert Run("run").changed_options() == {**root, **expected}


def test_a_rate_that_was_searched_is_the_one_on_record() -> None:
    run(f"{FIT} 30 --trainer.callbacks+=LearningRateFinder {STEP_LR}")
    name, (rate,) = Run("run").optimizer()
    (group,) = Run("run").checkpoint()["optimizer_states"][0]["param_groups"]
    assert (name, group["lr"] / rate) == ("SGD", pytest.approx(0.5**3))
    assert rate != pytest.approx(0.8)


def test_a_recorded_optimizer_that_is_not_torchs_is_refused(capsys: Captured) -> None:
    """A resumed fit says so in one line; who tests has no use for it, and does not look at it."""
    run(f"{FIT} 20 --optimizer Adam {STEP_LR}")
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
        line = refused(capsys, "fit", "--ckpt_path", "last", "--trainer.max_steps", "40")
        assert f"--{section}: the run's own is not one of torch.optim with plain numbers" in line, value
    run("test")
