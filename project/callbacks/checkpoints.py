"""Checkpoints: last.ckpt after every validation, best.ckpt when the validation loss is its lowest."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from project.errors import InterruptedRunError
from project.runs.disk import write_whole
from project.runs.run import RunFolder


class Checkpoints(Checkpoint):
    """Keeps the newest and the best state of a run, and no paths, as ModelCheckpoint does: the folder can be moved.

    Lightning calls checkpoint callbacks after all others, so what a checkpoint has seen is in the history too. A run
    that is killed between best.ckpt and last.ckpt repeats the validation and writes the same best.ckpt again.
    """

    best_loss = float("inf")
    _saved_step = -1

    def __init__(self, best: bool = True) -> None:
        self.keeps_best = best

    def state_dict(self) -> dict[str, Any]:
        return {"best_loss": self.best_loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_loss = float(state_dict["best_loss"])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.run, self._saved_step = RunFolder.from_trainer(trainer), trainer.global_step or -1
        if trainer.global_step == 0:  # Saving now proves before the first iteration that checkpoints can be written.
            self.best_loss = float("inf")
            self._save_last(trainer)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Have the last iteration validated, whatever the interval: what a fit reports is what it has saved."""
        at_the_end = trainer.is_last_batch and trainer.current_epoch + 1 == trainer.max_epochs
        if at_the_end or trainer.global_step == trainer.max_steps:
            trainer.should_stop = True  # Lightning validates before it stops.

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loss = trainer.callback_metrics["val/loss"].item()
        if self.keeps_best and loss < self.best_loss:
            self.best_loss = loss
            trainer.save_checkpoint(self.run.best, weights_only=False)
            if trainer.is_global_zero:
                write_whole(self.run.last, self.run.best.read_bytes())
            self._saved_step = trainer.global_step
        self._save_last(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save_last(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, InterruptedRunError):
            self._save_last(trainer)

    def _save_last(self, trainer: Trainer) -> None:
        if trainer.global_step > self._saved_step:
            trainer.save_checkpoint(self.run.last, weights_only=False)
            self._saved_step = trainer.global_step
