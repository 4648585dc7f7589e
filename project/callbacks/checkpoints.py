"""Checkpoints: last.ckpt after every validation, best.ckpt at the lowest validation loss, and snapshots in both."""

import math
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from project.errors import InterruptedRunError
from project.runs.disk import write_whole
from project.runs.run import RunFolder

MOST = 2**16  # parameters of a network that is kept in snapshots: a checkpoint holds many times as many numbers


class Checkpoints(Checkpoint):
    """Keeps the newest and the best state of a run, and no paths, as ModelCheckpoint does: the folder can be moved.

    Either holds snapshots, for boundary.gif: the parameters after the 1st, 2nd, 4th, 8th, ... validation. Lightning
    calls it after all other callbacks, so what a checkpoint has seen is in the history too.
    """

    best_loss = float("inf")
    _saved_step = -1

    def __init__(self, only_last: bool = False) -> None:
        self.only_last = only_last
        self.snapshot_steps: list[int] = []
        self.snapshots: dict[str, Tensor] = {}  # by the parameter's name, (S, *its shape)

    def state_dict(self) -> dict[str, Any]:
        return {"best_loss": self.best_loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_loss = float(state_dict["best_loss"])

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if not self.only_last:
            checkpoint |= {"snapshot_steps": list(self.snapshot_steps), "snapshots": dict(self.snapshots)}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self.snapshot_steps = list(checkpoint.get("snapshot_steps", []))
        self.snapshots = dict(checkpoint.get("snapshots", {}))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.run, self._saved_step = RunFolder.from_trainer(trainer), trainer.global_step or -1
        if trainer.global_step == 0:  # Saving now proves before the first iteration that checkpoints can be written.
            self._save(trainer, "last")

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Have the last iteration validated, whatever the interval: what a fit reports is what it has saved."""
        at_the_end = trainer.is_last_batch and trainer.current_epoch + 1 == trainer.max_epochs
        if at_the_end or trainer.global_step == trainer.max_steps:
            trainer.should_stop = True  # Lightning validates before it stops.

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self.only_last:
            self._take_snapshot(trainer, pl_module)
            self._keep_best(trainer)
        self._save(trainer, "last")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer, "last")

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, InterruptedRunError):
            self._save(trainer, "last")

    def _save(self, trainer: Trainer, name: str) -> None:
        if trainer.global_step > self._saved_step:
            trainer.save_checkpoint(self.run.last.with_name(f"{name}.ckpt"), weights_only=False)
            self._saved_step = trainer.global_step

    def _keep_best(self, trainer: Trainer) -> None:
        if (loss := trainer.callback_metrics["val/loss"].item()) < self.best_loss:
            self.best_loss = loss
            self._save(trainer, "best")
            # A run that is killed before this repeats the validation. What the disk loses of a copy, best.ckpt has.
            if trainer.is_global_zero:
                write_whole(self.run.last, self.run.best.read_bytes(), lasting=False)

    def _take_snapshot(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # The last iteration is validated whenever it comes, and has its own parameters in the checkpoint.
        validation = trainer.global_step / (trainer.val_check_batch or 1)
        size = sum(weights.numel() for weights in pl_module.parameters())
        if validation < 1 or not math.log2(validation).is_integer() or size > MOST:
            return
        self.snapshot_steps.append(trainer.global_step)
        for name, weights in pl_module.named_parameters():
            now = weights.detach().cpu()[None]
            self.snapshots[name] = torch.cat([self.snapshots.get(name, now[:0]), now])
