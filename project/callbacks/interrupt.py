"""When a signal ends the run: after the iteration in hand, with everything saved."""

import signal
import threading
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from project.ranks import greatest_over_ranks

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupt(Callback):
    """Takes note of SIGINT, SIGTERM and SIGHUP, until History and Checkpoints have saved the iteration in hand.

    Lightning ends at once on SIGINT and with exit status 0 on SIGTERM, and saves on neither; its own way of stopping,
    ``trainer.should_stop``, would validate where an uninterrupted run does not. Its handlers are replaced when training
    starts, and when training has ended it restores those that it found.

    Several processes end at the same iteration, whichever of them gets the signal.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._noted = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if threading.current_thread() is threading.main_thread():  # no other thread may
            for number in SIGNALS:
                signal.signal(number, self._note)

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        if number := greatest_over_ranks(self._noted, trainer.strategy.root_device):
            self.received = signal.Signals(number)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted = number
