"""The number of CPU threads."""

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

PARALLEL_ELEMENTS = 2**17  # Layers with fewer lose more by waiting than they gain by several threads.


class Threads(Callback):
    """Sets the number of threads, which large sums depend on in their last bits; None suits the largest piece.

    It is a callback because Lightning sets a number of its own when it has started several processes.
    """

    def __init__(self, threads: int | None) -> None:
        self.threads = threads

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        datamodule = trainer.datamodule  # type: ignore[attr-defined]  # Lightning attaches it.
        elements = datamodule.largest_piece * pl_module.width
        several = max(1, torch.get_num_threads() // trainer.num_devices)
        torch.set_num_threads(self.threads or (several if elements >= PARALLEL_ELEMENTS else 1))
