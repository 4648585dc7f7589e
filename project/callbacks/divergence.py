"""When training has left the finite numbers, or got nowhere, and that it is said."""

import math
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from project.checkpoint import diverged
from project.errors import InputWarning
from project.model.loss import METRICS
from project.run import Run

BARELY_BETTER = 0.55  # an accuracy


class Divergence(Callback):
    """Ends the run at the first loss that is not finite; weights that are not are refused by the checkpoint.

    On a GPU the loss is looked at only at validations, because to look is to wait for the iteration to end. A failed
    validation ends the run one iteration later, so that what others have recorded does not depend on their order.
    """

    def __init__(self) -> None:
        self._validation = 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        loss = outputs["batch_loss"]
        if loss.device.type == "cpu" and not math.isfinite(loss):
            self._end(trainer, f"train_loss is {loss.item()}")
        self._check_validation(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._validation = trainer.callback_metrics["val/loss"].item()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._check_validation(trainer)
        metrics = trainer.callback_metrics
        if "val/loss" not in metrics:
            return
        loss, accuracy = metrics["val/loss"].item(), metrics["val/accuracy"].item()
        if loss >= guessing(pl_module.hparams["loss"]) and accuracy < BARELY_BETTER:
            warnings.warn(
                f"training did not beat guessing: val_loss {loss:.4g}, val_accuracy {accuracy:.4g} after iteration "
                f"{trainer.global_step}; {self._likely_cause(trainer, pl_module)}",
                InputWarning,
                stacklevel=2,
            )

    def _check_validation(self, trainer: Trainer) -> None:
        if not math.isfinite(self._validation):
            self._end(trainer, f"val_loss is {self._validation}")

    def _end(self, trainer: Trainer, what: str) -> None:
        assert trainer.log_dir is not None
        raise diverged(what, trainer.global_step, Run(Path(trainer.log_dir)).last)

    def _likely_cause(self, trainer: Trainer, pl_module: LightningModule) -> str:
        options = pl_module.hparams
        mean, std = trainer.datamodule.statistics  # type: ignore[attr-defined]  # Lightning attaches it.
        reach = (mean.abs() + 2 * std).max().item()
        if not options["standardize"] and reach > 10:
            return f"the features reach {reach:.3g}, which saturates the network; try --model.standardize true"
        if trainer.callback_metrics["val/loss"] > 2 * guessing(options["loss"]):
            return f"the network is sure and wrong; try a smaller --model.lr than {options['lr']}"
        return "the classes may look alike, or --model.lr and --trainer.max_steps may be too small"


def guessing(loss: str) -> float:
    """Return the loss of answering 0.5 to everything."""
    return METRICS[loss](torch.tensor([[0.0], [1.0]]), torch.full((2, 1), 0.5)).item()
