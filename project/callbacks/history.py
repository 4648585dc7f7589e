"""When losses and accuracies are recorded, and that they go to history.csv, losses.csv and the loggers."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from project.callbacks.access import data_of, run_of, stops_here, validates_training
from project.disk import tolerated
from project.errors import InputError

Row = list[float | None]


class History(Callback):
    """Records the loss of every iteration and the metrics of every validation.

    Rows reach the disk at each validation, before the checkpoint of the same iteration; what a full disk refuses is
    tried again at the next one, and meanwhile travels in the checkpoint. So what a checkpoint has seen, the history has
    too. Resuming drops the rows after the checkpoint.
    """

    def __init__(self) -> None:
        self._losses: list[Tensor] = []
        self._history: list[Row] = []  # rows that are not on the disk yet
        self._both_losses: list[Row] = []

    def state_dict(self) -> dict[str, Any]:
        return {"history": self._history, "both_losses": self._both_losses}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._history, self._both_losses = state_dict["history"], state_dict["both_losses"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._losses.clear()
        self.run = run_of(trainer)
        self.subsets = ["val", "test"] if data_of(trainer).track_test else ["val"]
        self._open(trainer.global_step)

    @rank_zero_only
    def _open(self, step: int) -> None:
        """Begin the tables, or drop from them what a resumed run repeats."""
        if step == 0:
            columns = ["step", "train_loss"] + [f"{s}_{name}" for s in self.subsets for name in ("loss", "accuracy")]
            self.run.history.create(columns)
            self.run.losses.create(["step"] + [f"{s}_{name}" for s in self.subsets for name in ("bce", "mse")])
            return
        on_disk = step - len(self._history)
        for table in self.run.history, self.run.losses:
            if not table.path.exists():
                raise InputError(f"{table.path}: missing; a run resumes only with its history beside it")
            table.truncate(on_disk)
        if self.run.history.rows != on_disk:
            raise InputError(
                f"{self.run.history.path}: has {self.run.history.rows} rows, the checkpoint {on_disk}; "
                "a run resumes only with its history beside it"
            )

    @rank_zero_only
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._losses.append(outputs["loss"])
        if stops_here(trainer):
            self._record(trainer, {})

    @rank_zero_only
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if validates_training(trainer):
            self._record(trainer, {name: value.item() for name, value in trainer.callback_metrics.items()})

    @rank_zero_only
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._record(trainer, {})

    def _record(self, trainer: Trainer, metrics: Mapping[str, float]) -> None:
        """Write the iterations since the last validation; the metrics belong to the newest of them."""
        losses = torch.stack(self._losses).tolist() if self._losses else []
        self._losses.clear()
        step = trainer.global_step
        empty: Row = [None] * (2 * len(self.subsets))
        rows: list[Row] = [[i, loss, *empty] for i, loss in enumerate(losses, step - len(losses) + 1)]
        if metrics:
            rows[-1][2:] = [metrics[f"{subset}/{name}"] for subset in self.subsets for name in ("loss", "accuracy")]
            both = [metrics[f"{subset}/{name}"] for subset in self.subsets for name in ("bce", "mse")]
            self._both_losses.append([step, *both])
        self._history += rows
        with tolerated(self.run.path):
            self.run.history.append(self._history)
            self._history.clear()
            self.run.losses.append(self._both_losses)
            self._both_losses.clear()
        for logger in trainer.loggers:
            for number, loss in enumerate(losses, step - len(losses) + 1):
                logger.log_metrics({"train/loss": loss}, number)
            logger.log_metrics(dict(metrics), step)
