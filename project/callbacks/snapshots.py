"""Parameters in the course of training, from which boundary.gif is drawn."""

import math
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

MOST = 2**16  # parameters of a network: each checkpoint holds several times as many numbers


class Snapshots(Callback):
    """Keeps in each checkpoint the parameters after the 1st, 2nd, 4th, 8th, 16th, ... validation.

    Their number grows with the logarithm of the run's length, and early in a run, when most of the change happens,
    they are the densest. Of a network of more than MOST parameters there are none.
    """

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.weights: dict[str, Tensor] = {}  # by the parameter's name, (S, *its shape)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step == 0:
            self.steps, self.weights = [], {}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        validation = trainer.global_step / (trainer.val_check_batch or 1)
        # The last iteration is validated whenever it comes, and has its own parameters in the checkpoint.
        if validation < 1 or not math.log2(validation).is_integer():
            return
        if sum(weights.numel() for weights in pl_module.parameters()) > MOST:
            return
        self.steps.append(trainer.global_step)
        for name, weights in pl_module.named_parameters():
            now = weights.detach().cpu()[None]
            self.weights[name] = torch.cat([self.weights.get(name, now[:0]), now])

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["snapshot_steps"], checkpoint["snapshots"] = list(self.steps), dict(self.weights)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self.steps, self.weights = list(checkpoint.get("snapshot_steps", [])), dict(checkpoint.get("snapshots", {}))
