"""Optimizers, schedulers and rates: what was asked is what trains, and what is on record."""

from pathlib import Path

import numpy as np
import pytest
import torch

from project import Run
from project.__main__ import main
from project.model import BCELoss

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("undrawn")]
FIT = ["fit", "--data.root", "data", "--trainer.max_steps"]
STEP_LR = ["--lr_scheduler", "StepLR", "--lr_scheduler.step_size", "10", "--lr_scheduler.gamma", "0.5"]


@pytest.fixture(autouse=True)
def _here(blobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(blobs.parent)


def test_a_scheduler_alone_schedules_the_models_own_sgd() -> None:
    """It trains as a loop by hand, and goes on where it was."""
    assert main([*FIT, "40", "--name", "whole", *STEP_LR]) == 0
    run = Run("whole")
    model, train = run.model(initial=True), run.data().train
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
    np.testing.assert_allclose(run.history()["train_loss"], losses, rtol=1e-5)
    assert run.checkpoint()["optimizer_states"][0]["param_groups"][0]["lr"] == optimizer.param_groups[0]["lr"] == 0.05
    assert main([*FIT, "20", "--name", "parts", *STEP_LR]) == 0
    assert main(["fit", "--ckpt_path", "last", "--trainer.max_steps", "40"]) == 0
    assert Run("parts").table.path.read_bytes() == run.table.path.read_bytes()


RECORDED: dict[str, tuple[str, float, dict[str, object]]] = {  # by options: optimizer, rate, options by their names
    " ".join(STEP_LR): (
        *("SGD", 0.8),
        {"lr_scheduler": "StepLR", "lr_scheduler.step_size": 10, "lr_scheduler.gamma": 0.5},
    ),
    "--lr_scheduler ReduceLROnPlateau --lr_scheduler.monitor val/loss --lr_scheduler.patience 0": (
        *("SGD", 0.8),
        {"lr_scheduler": "ReduceLROnPlateau", "lr_scheduler.monitor": "val/loss", "lr_scheduler.patience": 0},
    ),
    "--optimizer Adam --trainer.gradient_clip_val 1 --data.batch_size 30": (
        *("Adam", 0.001),
        {"trainer.gradient_clip_val": 1, "data.batch_size": 30, "optimizer": "Adam"},
    ),
    "--optimizer SGD --optimizer.lr 0.1 --trainer.callbacks+=EarlyStopping --trainer.callbacks.monitor val/loss": (
        *("SGD", 0.1),
        {"optimizer": "SGD", "optimizer.lr": 0.1, "trainer.callbacks": ["EarlyStopping(monitor=val/loss)"]},
    ),
}


@pytest.mark.parametrize("options", RECORDED)
def test_what_differs_from_the_defaults_and_the_rate_that_was_used_are_on_record(options: str) -> None:
    name, rate, expected = RECORDED[options]
    assert main([*FIT, "20", "--name", "run", *options.split()]) == 0
    run = Run("run")
    assert run.optimizer() == (name, [rate])
    root = {"trainer.max_steps": 20, "data.root": str(Path("data").absolute())}
    assert run.changed_options() == {**root, **expected}
    run.config.write_text(run.config.read_text().partition("\nseed")[2])
    assert run.changed_options() == {}, "where no command has recorded them"


def test_a_rate_that_was_searched_is_the_one_on_record() -> None:
    assert main([*FIT, "30", "--name", "run", "--trainer.callbacks+=LearningRateFinder", *STEP_LR]) == 0
    name, (rate,) = Run("run").optimizer()
    (group,) = Run("run").checkpoint()["optimizer_states"][0]["param_groups"]
    assert (name, group["lr"] / rate) == ("SGD", pytest.approx(0.5**3))
    assert rate != pytest.approx(0.8)
