"""When the clock of a Lightning run starts and stops."""

import time
from typing import Any

from lightning.pytorch import Callback, Trainer


class Stopwatch(Callback):
    """Takes the time from the end of one iteration to the end of a later one, counted from 1."""

    def __init__(self, first: int, last: int) -> None:
        self.times: dict[int, float] = {first: 0.0, last: 0.0}

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        if trainer.global_step in self.times:
            self.times[trainer.global_step] = time.perf_counter()

    @property
    def seconds(self) -> float:
        first, last = self.times.values()
        return last - first
