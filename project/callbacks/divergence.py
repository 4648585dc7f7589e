"""When training has left the finite numbers, or got nowhere, and that it is said."""

import math
import warnings
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from project.callbacks.access import data_of, model_of, run_of, stops_here, validates_training
from project.checkpoint import load
from project.errors import DivergedError, InputWarning

GUESSING = {"bce": math.log(2), "mse": 0.25}  # the loss of answering 0.5 to everything
BARELY_BETTER = 0.55  # an accuracy


class Divergence(Callback):
    """Ends the run at the first loss or weight that is not finite, before it can reach a checkpoint.

    On a GPU the loss is looked at only at validations, because to look is to wait for the iteration to end.
    """

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if outputs["loss"].device.type == "cpu" and not math.isfinite(outputs["loss"]):
            self._end(trainer, f"train_loss is {outputs['loss'].item()}")
        if stops_here(trainer):
            self._check_weights(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if validates_training(trainer):
            self._check_weights(trainer)
            loss = trainer.callback_metrics["val/loss"].item()
            if not math.isfinite(loss):
                self._end(trainer, f"val_loss is {loss}")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._check_weights(trainer)
        metrics = trainer.callback_metrics
        if "val/loss" not in metrics:
            return
        loss, accuracy = metrics["val/loss"].item(), metrics["val/accuracy"].item()
        if loss >= GUESSING[model_of(trainer).loss] and accuracy < BARELY_BETTER:
            warnings.warn(
                f"training did not beat guessing: val_loss {loss:.4g}, val_accuracy {accuracy:.4g} after iteration "
                f"{trainer.global_step}; {self._likely_cause(trainer)}",
                InputWarning,
                stacklevel=2,
            )

    def _check_weights(self, trainer: Trainer) -> None:
        for name, weights in model_of(trainer).named_parameters():
            if not torch.isfinite(weights).all():
                self._end(trainer, f"{name} is not finite")

    def _end(self, trainer: Trainer, what: str) -> None:
        last = run_of(trainer).last
        raise DivergedError(
            f"training diverged: {what} at step {trainer.global_step} (lr={model_of(trainer).lr}); "
            f"last good checkpoint {last} (step {load(last)['global_step']}); try a smaller --model.lr"
        )

    def _likely_cause(self, trainer: Trainer) -> str:
        data, model = data_of(trainer), model_of(trainer)
        mean, std = data.statistics
        reach = (mean.abs() + 2 * std).max().item()
        if not model.standardize and reach > 10:
            return f"the features reach {reach:.3g}, which saturates the network; try --model.standardize true"
        if trainer.callback_metrics["val/loss"] > 2 * GUESSING[model.loss]:
            return f"the network is sure and wrong; try a smaller --model.lr than {model.lr}"
        return "the classes may look alike, or --model.lr and --trainer.max_steps may be too small"
