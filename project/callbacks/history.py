"""When losses and accuracies are recorded, and that they go to history.csv, losses.csv and the loggers."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from project.callbacks.access import data_of, run_of, validates_training
from project.errors import InputError


class History(Callback):
    """Records the loss of every iteration and the metrics of every validation.

    Rows reach the disk at each validation, before the checkpoint of the same iteration: what a checkpoint has seen, the
    history has too. Resuming drops the rows after the checkpoint.
    """

    def __init__(self) -> None:
        self._losses: list[Tensor] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._losses.clear()
        self.run = run_of(trainer)
        tests = data_of(trainer).track_test
        if trainer.global_step == 0:
            columns = ["step", "train_loss", "val_loss", "val_accuracy"]
            self.run.history.create(columns + ["test_loss", "test_accuracy"] * tests)
            self.run.losses.create(["step", "val_bce", "val_mse"] + ["test_bce", "test_mse"] * tests)
            return
        for table in self.run.history, self.run.losses:
            if not table.path.exists():
                raise InputError(f"{table.path}: missing; a run resumes only with its history beside it")
            table.truncate(trainer.global_step)
        if self.run.history.rows != trainer.global_step:
            raise InputError(
                f"{self.run.history.path}: has {self.run.history.rows} rows, the checkpoint {trainer.global_step}; "
                "a run resumes only with its history beside it"
            )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._losses.append(outputs["loss"])

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if validates_training(trainer):
            self._record(trainer, {name: value.item() for name, value in trainer.callback_metrics.items()})

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._record(trainer, {})

    def _record(self, trainer: Trainer, metrics: Mapping[str, float]) -> None:
        """Write the iterations since the last validation; the metrics belong to the newest of them."""
        if not self._losses:
            return
        losses = torch.stack(self._losses).tolist()
        self._losses.clear()
        step = trainer.global_step
        rows: list[list[float | None]] = [[step - len(losses) + 1 + i, loss] for i, loss in enumerate(losses)]
        subsets = ["val", "test"] if data_of(trainer).track_test else ["val"]
        if metrics:
            rows[-1] += [metrics[f"{subset}/{name}"] for subset in subsets for name in ("loss", "accuracy")]
            both = [metrics[f"{subset}/{name}"] for subset in subsets for name in ("bce", "mse")]
            self.run.losses.append([[step, *both]])
        width = 2 + 2 * len(subsets)
        self.run.history.append([*row, *[None] * (width - len(row))] for row in rows)
        for logger in trainer.loggers:
            for number, loss in enumerate(losses, step - len(losses) + 1):
                logger.log_metrics({"train/loss": loss}, number)
            logger.log_metrics(dict(metrics), step)
