"""When the number of CPU threads is fixed."""

import torch
from lightning.pytorch import Callback, LightningModule, Trainer


class Threads(Callback):
    """Sets the number of threads, which large sums depend on in their last bits.

    Here, because Lightning sets one of its own when it has started several processes.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        torch.set_num_threads(self.threads)
