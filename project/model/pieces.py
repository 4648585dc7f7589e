"""The loss of a batch and its gradient, added up over pieces and over processes."""

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from project.model.loss import METRICS


class BatchMean:
    """The mean loss over the rows of a batch that comes in weighted pieces, to one process or to several.

    Adding a piece's loss adds the gradient of the piece before it. The last one's is left to Lightning, whose backward
    exchanges gradients between processes. It averages over them, so each process's part is taken times their number.
    """

    def __init__(self, module: LightningModule) -> None:
        self.module, self.trainer = module, module.trainer
        self.loss, self.accuracy = torch.zeros(2, device=module.device)
        # In other iterations nobody asks for the accuracy, which costs some microseconds.
        self.is_validated = (self.trainer.global_step + 1) % (self.trainer.val_check_batch or 1) == 0

    def add(self, weight: float, loss: Tensor, y: Tensor, y_hat: Tensor) -> None:
        """Add a piece: its share of the batch's rows, its mean loss, its labels and probabilities, (n, 1) each."""
        if self.loss.requires_grad:
            self.loss.backward()
        share = weight * self.trainer.world_size
        self.loss = self.loss.detach() + share * loss
        if self.is_validated:
            self.accuracy += share * METRICS["accuracy"](y, y_hat.detach())

    def outputs(self) -> dict[str, Tensor]:
        """Return the loss for Lightning's backward, and the whole batch's loss and, if validated, accuracy."""
        if not self.loss.requires_grad:  # This process has no row of the batch, and the others wait for its gradients.
            self.loss = 0 * torch.stack([weights.sum() for weights in self.module.parameters()]).sum()
        outputs = {"loss": self.loss, "batch_loss": self.trainer.strategy.reduce(self.loss.detach(), reduce_op="mean")}
        if self.is_validated:
            outputs["batch_accuracy"] = self.trainer.strategy.reduce(self.accuracy, reduce_op="mean")
        return outputs
