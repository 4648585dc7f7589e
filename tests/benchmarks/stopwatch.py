"""What the measured loops have in common: their options, and when the clock of a Lightning run starts and stops."""

import argparse
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer


def parse(description: str | None, *switches: str, root: Path | None) -> argparse.Namespace:
    """Return the options of a process; without a warm-up, the whole of trainer.fit is timed."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", type=Path, default=root, help="the shipped sample unless given")
    parser.add_argument("--warmup", type=int, default=0, help="iterations before the clock starts")
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--validate-every", type=int, default=20, help="0 is never")
    for switch in switches:
        parser.add_argument(switch, action="store_true")
    return parser.parse_args()


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
