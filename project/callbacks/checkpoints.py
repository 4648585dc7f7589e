"""When checkpoints are saved: last.ckpt after every validation, best.ckpt when the validation loss is its lowest."""

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from project.disk import write_whole
from project.errors import InterruptedRunError
from project.run import Run


class Checkpoints(Checkpoint):
    """Keeps the newest and the best state of the run.

    Lightning's ModelCheckpoint stores absolute paths in the checkpoint and forgets the best score when they change;
    this one knows the score alone, so a run folder can be moved. Lightning calls checkpoint callbacks after all others,
    so what a checkpoint has seen is in the history too. best.ckpt is written before last.ckpt: a run that is killed
    between the two repeats the validation and writes the same best.ckpt again.
    """

    def __init__(self) -> None:
        self.best_loss = float("inf")
        self._saved_step = -1

    def state_dict(self) -> dict[str, Any]:
        return {"best_loss": self.best_loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_loss = float(state_dict["best_loss"])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert trainer.log_dir is not None
        self.run = Run(Path(trainer.log_dir))
        self._saved_step = trainer.global_step
        if trainer.global_step == 0:  # Saving now proves before the first iteration that checkpoints can be written.
            self.best_loss, self._saved_step = float("inf"), -1
            self._save_last(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        loss = trainer.callback_metrics["val/loss"].item()
        if loss < self.best_loss:
            self.best_loss = loss
            trainer.save_checkpoint(self.run.best, weights_only=False)
            if trainer.is_global_zero:
                write_whole(self.run.last, self.run.best.read_bytes())
            self._saved_step = trainer.global_step
        else:
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
