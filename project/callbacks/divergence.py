"""An end for training that has left the finite numbers, and a warning for training that got nowhere."""

import math
import warnings
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from project.errors import InputWarning
from project.model.loss import METRICS
from project.runs.checkpoint import diverged
from project.runs.run import RunFolder

BARELY_BETTER = 0.55  # an accuracy


class Divergence(Callback):
    """Ends the run at the first loss that is not finite; weights that are not are refused by the checkpoint.

    On a GPU the loss is looked at only at validations, because to look is to wait for the iteration to end. A failed
    validation ends the run one iteration later, so that what others have recorded does not depend on their order.
    """

    _validation = 0.0  # the newest loss

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        if outputs["batch_loss"].device.type == "cpu":
            self._check(trainer, "train_loss", outputs["batch_loss"].item())
        self._check(trainer, "val_loss", self._validation)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validation = trainer.callback_metrics["val/loss"].item()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._check(trainer, "val_loss", self._validation)
        if "val/loss" not in trainer.callback_metrics:
            return
        loss, accuracy = (trainer.callback_metrics[f"val/{name}"].item() for name in ("loss", "accuracy"))
        guessing = METRICS[pl_module.hparams["loss"]](torch.tensor([[0.0], [1.0]]), torch.full((2, 1), 0.5)).item()
        if loss >= guessing and accuracy < BARELY_BETTER:
            what = f"val_loss {loss:.4g}, val_accuracy {accuracy:.4g} after iteration {trainer.global_step}"
            cause = self._likely_cause(trainer, pl_module.hparams, sure=loss > 2 * guessing)
            warnings.warn(f"training did not beat guessing: {what}; {cause}", InputWarning, stacklevel=2)

    def _check(self, trainer: Trainer, name: str, loss: float) -> None:
        if not math.isfinite(loss):
            raise diverged(f"{name} is {loss}", trainer.global_step, RunFolder.from_trainer(trainer).last)

    def _likely_cause(self, trainer: Trainer, options: Any, sure: bool) -> str:
        mean, std = trainer.datamodule.statistics  # type: ignore[attr-defined]  # Lightning attaches it.
        reach = (mean.abs() + 2 * std).max().item()
        if not options["standardize"] and reach > 10:
            return f"the features reach {reach:.3g}, which saturates the network; try --model.standardize true"
        if sure:
            return f"the network is sure and wrong; try a smaller --model.lr than {options['lr']}"
        small = "--model.lr and --trainer.max_steps"
        return f"the classes may look alike, or {small} may be too small"
