"""The clock of a Lightning run, as a callback."""

import re
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer


class Stopwatch(Callback):
    """Prints the seconds from the end of one iteration to the end of a later one, counted from 1.

    With a limit, the process may take that many bytes of private memory more from now on; mapped files do not count.
    """

    def __init__(self, first: int, last: int, limit: int | None = None) -> None:
        self.first, self.last = first, last
        if limit:
            import resource

            (in_use,) = re.findall(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text())
            resource.setrlimit(resource.RLIMIT_DATA, (int(in_use) * 1024 + limit,) * 2)

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        if trainer.global_step == self.first:
            self.start = time.perf_counter()
        if trainer.global_step == self.last:
            print("\nclock:", time.perf_counter() - self.start)
