"""When checkpoints are saved: last.ckpt after every validation, best.ckpt when the validation loss is its lowest."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities import rank_zero_only

from project.callbacks.access import interrupted, run_of, stops_here, validates_training
from project.disk import write_whole
from project.errors import InterruptedRunError


class Checkpoints(Checkpoint):
    """Keeps the newest and the best state of the run.

    Lightning's ModelCheckpoint stores absolute paths in the checkpoint and forgets the best score when they change;
    this one knows the score alone, so a run folder can be moved. best.ckpt is written before last.ckpt: a run that is
    killed between the two repeats the validation and writes the same best.ckpt again. The last iteration's last.ckpt
    waits until the figures are drawn: a run that has it is complete.
    """

    def __init__(self) -> None:
        self.best_loss = float("inf")
        self._saved_step = -1

    def state_dict(self) -> dict[str, Any]:
        return {"best_loss": self.best_loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_loss = state_dict["best_loss"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.run = run_of(trainer)
        if trainer.global_step == 0:  # proves before the first iteration that checkpoints can be written
            self._save_last(trainer)
        self._saved_step = trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        if stops_here(trainer):
            self._save_last(trainer)
            self._end_if_interrupted(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not validates_training(trainer):
            return
        loss = trainer.callback_metrics["val/loss"].item()
        improved = loss < self.best_loss
        if improved:
            self.best_loss = loss
            trainer.save_checkpoint(self.run.best, weights_only=False)
        if trainer.global_step == trainer.max_steps:
            return
        if improved:
            self._copy_best_to_last()
            self._saved_step = trainer.global_step
        else:
            self._save_last(trainer)
        self._end_if_interrupted(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step > self._saved_step:
            self._save_last(trainer)

    def _end_if_interrupted(self, trainer: Trainer) -> None:
        if number := interrupted(trainer):
            raise InterruptedRunError(number, self.run.last, trainer.global_step)

    @rank_zero_only
    def _copy_best_to_last(self) -> None:
        write_whole(self.run.last, self.run.best.read_bytes())

    def _save_last(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.run.last, weights_only=False)
        self._saved_step = trainer.global_step
