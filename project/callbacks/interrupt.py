"""The end of a fit by a signal, between two iterations."""

import signal
import threading
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from project.errors import InterruptedRunError
from project.runs.run import RunFolder

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interrupt(Callback):
    """Turns SIGINT, SIGTERM and SIGHUP into an InterruptedRunError between two iterations, at which others save.

    Lightning ends at once on SIGINT and with exit status 0 on SIGTERM, and saves on neither; its own way of stopping,
    ``trainer.should_stop``, would validate where an uninterrupted run does not. It restores the handlers at the end.
    Several processes end at the same iteration, whichever of them gets the signal.
    """

    _noted = 0  # the number of a signal

    def __init__(self, command: str = "fit") -> None:
        self.command = command  # which resumes the run

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if threading.current_thread() is threading.main_thread():  # Python lets no other thread set handlers.
            for number in SIGNALS:
                signal.signal(number, self._note)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        number = self._noted
        if trainer.world_size > 1:
            noted = torch.tensor(number, device=trainer.strategy.root_device)
            number = int(trainer.strategy.reduce(noted, reduce_op="max"))
        if number:
            # Lightning has counted the batch that is not trained on now; uncounted, the checkpoint is that of its step.
            progress = trainer.fit_loop.epoch_loop.batch_progress
            progress.total.ready -= 1
            progress.current.ready -= 1
            run = RunFolder.from_trainer(trainer).path
            raise InterruptedRunError(signal.Signals(number), run, trainer.global_step, self.command)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted = number
