"""Losses and metrics, recorded in history.csv; a loss that is not finite ends the fit."""

import math
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from project.errors import InputError, InterruptedRunError
from project.model.loss import METRICS
from project.runs.checkpoint import diverged
from project.runs.disk import tolerated
from project.runs.run import RunFolder


class History(Callback):
    """Records the loss of every iteration, the metrics of every validation, and the accuracy of the batch before it.

    Rows reach the disk before the checkpoint of the same validation. Resuming drops those after the checkpoint, and
    the validation of its iteration if that was the last one then, and is not one that every run has.

    The first loss that is not finite ends the run. On a GPU it is looked at only at validations, because to look is to
    wait for the iteration to end. A failed validation ends the run one iteration later, so that what other callbacks
    have made of it does not depend on their order.
    """

    def __init__(self) -> None:
        self._losses: list[Tensor] = []  # since the last validation
        self._accuracy = torch.tensor(0)  # of the newest batch, by the weights before its update
        self._validation = 0.0  # the newest loss

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.run, step = RunFolder.from_trainer(trainer), trainer.global_step
        if not trainer.is_global_zero:
            return
        table, datamodule = self.run.table, trainer.datamodule  # type: ignore[attr-defined]  # Lightning attaches it.
        if step == 0:
            subsets = ["val", "test"] if getattr(datamodule, "track_test", False) else ["val"]
            metrics = [f"{subset}_{name}" for subset in subsets for name in ("loss", *METRICS)]
            table.create(["step", "train_loss", *metrics, "train_accuracy"])
        elif table.path.exists():
            is_regular = step % int(trainer.val_check_batch or 1) == 0
            table.truncate(step, columns=None if is_regular else 2)
        if table.rows != step:
            found = f"has {table.rows} rows, the checkpoint {step}" if table.path.exists() else "missing"
            raise InputError(f"{table.path}: {found}; a run resumes only with its history beside it")

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        loss, self._accuracy = outputs["batch_loss"], outputs["batch_accuracy"]
        if loss.device.type == "cpu":
            self._check(trainer, "train_loss", loss.item())
        self._check(trainer, "val_loss", self._validation)
        self._losses.append(loss)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validation = trainer.callback_metrics["val/loss"].item()
        self._record(trainer, {**trainer.callback_metrics, "train_accuracy": self._accuracy})

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._check(trainer, "val_loss", self._validation)
        self._record(trainer, {})

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, InterruptedRunError):
            self._record(trainer, {})

    def _record(self, trainer: Trainer, metrics: dict[str, Tensor]) -> None:
        """Write the iterations since the last validation; the metrics, if given, belong to the newest of them."""
        losses = torch.stack(self._losses).tolist() if self._losses else []
        self._losses.clear()
        if not trainer.is_global_zero:
            return
        first = trainer.global_step - len(losses) + 1
        rows = [{"step": step, "train_loss": loss} for step, loss in enumerate(losses, first)]
        if metrics:
            rows[-1] = {name.replace("/", "_"): value.item() for name, value in metrics.items()} | rows[-1]
        with tolerated(self.run.path):
            self.run.table.append(rows)

    def _check(self, trainer: Trainer, name: str, loss: float) -> None:
        if not math.isfinite(loss):
            raise diverged(f"{name} is {loss}", trainer.global_step, self.run.last)
