"""When losses and metrics are recorded in history.csv."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from project.disk import tolerated
from project.errors import InputError, InterruptedRunError
from project.model.loss import METRICS
from project.run import Run


class History(Callback):
    """Records the loss of every iteration and the metrics of every validation.

    Rows reach the disk at each validation, before the checkpoint of the same iteration; what a full disk refuses is
    tried again at the next one. Resuming drops the rows after the checkpoint.
    """

    def __init__(self) -> None:
        self._losses: list[Tensor] = []
        self._rows: list[list[float | None]] = []  # what is not on the disk yet

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert trainer.log_dir is not None
        self.run = Run(Path(trainer.log_dir))
        subsets = ["val", "test"] if getattr(trainer.datamodule, "track_test", False) else ["val"]  # type: ignore[attr-defined]  # Lightning attaches it
        self.metrics = [f"{subset}/{name}" for subset in subsets for name in ("loss", *METRICS)]
        self._losses.clear()
        self._rows.clear()
        if trainer.is_global_zero:
            self._open(trainer.global_step)

    def _open(self, step: int) -> None:
        """Begin the table, or drop from it what a resumed run repeats."""
        table = self.run.table
        if step == 0:
            table.create(["step", "train_loss", *(name.replace("/", "_") for name in self.metrics)])
            return
        if not table.path.exists():
            raise InputError(f"{table.path}: missing; a run resumes only with its history beside it")
        table.truncate(step)
        if table.rows != step:
            raise InputError(
                f"{table.path}: has {table.rows} rows, the checkpoint {step}; a run resumes only with its history "
                "beside it"
            )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._losses.append(outputs["batch_loss"])

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            metrics = trainer.callback_metrics
            self._record(trainer, [metrics[name].item() for name in self.metrics])

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._record(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, InterruptedRunError):
            self._record(trainer)

    def _record(self, trainer: Trainer, metrics: list[float] | None = None) -> None:
        """Write the iterations since the last validation; the metrics belong to the newest of them."""
        losses = torch.stack(self._losses).tolist() if self._losses else []
        self._losses.clear()
        if not trainer.is_global_zero:
            return
        nothing = [None] * len(self.metrics)
        first = trainer.global_step - len(losses) + 1
        self._rows += [[step, loss, *nothing] for step, loss in enumerate(losses, first)]
        if metrics:
            self._rows[-1][2:] = metrics
        with tolerated(self.run.path):
            self.run.table.append(self._rows)
            self._rows.clear()
