"""Losses and metrics, recorded in history.csv."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from project.errors import InputError, InterruptedRunError
from project.model.loss import METRICS
from project.runs.disk import tolerated
from project.runs.run import RunFolder


class History(Callback):
    """Records the loss of every iteration and the metrics of every validation.

    Rows reach the disk before the checkpoint of the same validation. Resuming drops those after the checkpoint, and
    the validation of its iteration if that was the last one then, and is not of the grid.
    """

    def __init__(self) -> None:
        self._losses: list[Tensor] = []  # since the last validation
        self._accuracy = torch.tensor(0)  # of the newest batch, by the weights before its update

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.run = RunFolder.from_trainer(trainer)
        datamodule = trainer.datamodule  # type: ignore[attr-defined]  # Lightning attaches it.
        subsets = ["val", "test"] if getattr(datamodule, "track_test", False) else ["val"]
        self.metrics = [f"{subset}/{name}" for subset in subsets for name in ("loss", *METRICS)]
        if not trainer.is_global_zero:
            return
        table, accuracies, step = self.run.table, self.run.accuracies, trainer.global_step
        off_grid = not is_on_grid(trainer)
        if step == 0:
            table.create(["step", "train_loss", *(name.replace("/", "_") for name in self.metrics)])
            with tolerated(self.run.path):
                accuracies.create(["step", "train_accuracy"])
        elif table.path.exists():
            table.truncate(step, columns=2 if off_grid else None)
        if step and accuracies.path.exists():
            accuracies.truncate(step - 1 if off_grid else step)
        if table.rows != step:
            found = f"has {table.rows} rows, the checkpoint {step}" if table.path.exists() else "missing"
            raise InputError(f"{table.path}: {found}; a run resumes only with its history beside it")

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        self._losses.append(outputs["batch_loss"])
        self._accuracy = outputs["batch_accuracy"]

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._record(trainer, [trainer.callback_metrics[name].item() for name in self.metrics])

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._record(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, InterruptedRunError):
            self._record(trainer)

    def _record(self, trainer: Trainer, metrics: Sequence[float] = ()) -> None:
        """Write the iterations since the last validation; the metrics, if given, belong to the newest of them."""
        losses = torch.stack(self._losses).tolist() if self._losses else []
        self._losses.clear()
        if not trainer.is_global_zero:
            return
        step, nothing = trainer.global_step, [None] * len(self.metrics)
        rows = [[number, loss, *nothing] for number, loss in enumerate(losses, step - len(losses) + 1)]
        if metrics:
            rows[-1][2:] = metrics
        accuracies = [[step, self._accuracy.item()]] if metrics and is_on_grid(trainer) else []
        for table, new in (self.run.table, rows), (self.run.accuracies, accuracies):
            with tolerated(self.run.path):
                table.append(new)


def is_on_grid(trainer: Trainer) -> bool:
    """Return whether the newest iteration is one that is validated whenever the run ends, as every 20th is."""
    return trainer.global_step % int(trainer.val_check_batch or 1) == 0
