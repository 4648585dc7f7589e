"""A progress bar on stderr, if that is a terminal."""

import sys
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm


class Progress(ProgressBar):
    """Counts iterations. Lightning's own bar writes to stdout, also into files and pipes."""

    bar: "tqdm[Any]" = tqdm(disable=True)  # until training starts
    _off: bool | None = None  # tqdm then shows a bar only on a terminal.

    def disable(self) -> None:  # Lightning calls it where another process shows a bar, or a search for a rate does.
        self._off = True

    def enable(self) -> None:
        self._off = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        total, done = trainer.fit_loop.max_batches, trainer.global_step
        self.bar = tqdm(total=total, initial=done, unit="it", file=sys.stderr, disable=self._off)

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        self.bar.update()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        metrics = trainer.callback_metrics
        self.bar.set_postfix_str(f"val {metrics['val/loss']:.3f} / {metrics['val/accuracy']:.3f}", refresh=False)

    def on_train_end(self, *args: Any, **kwargs: Any) -> None:
        self.bar.close()

    on_exception = on_train_end
