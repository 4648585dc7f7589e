"""The training criteria, written out, all metrics that a validation or a test reports, and their mean over a batch.

A metric takes labels y of 0 and 1 and probabilities y_hat in [0, 1], (N, 1) each, to a scalar, the mean over rows, and
raises a ValueError if either is not (N, 1), because (N,) against (N, 1) would broadcast silently.
"""

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

EPSILON = 1e-7  # This is about the distance from 1 to its float32 neighbour, so that 1 - EPSILON is still below 1.


class BCELoss(nn.Module):
    """Binary cross-entropy, the mean over rows (N, 1) of ``-(y log(y_hat) + (1 - y) log(1 - y_hat))``, at least 0.

    The logarithms' inputs are clamped to [1e-7, 1], so that a certain but wrong prediction costs 16.1 and not
    infinity. Source: Bishop (2006), "Pattern recognition and machine learning", equation 4.90.
    """

    def forward(self, y: Tensor, y_hat: Tensor) -> Tensor:
        check_shapes(y, y_hat)
        log_hit = torch.log(torch.clamp(y_hat, min=EPSILON))
        log_miss = torch.log(torch.clamp(1 - y_hat, min=EPSILON))
        return -torch.mean(y * log_hit + (1 - y) * log_miss)


class MSELoss(nn.Module):
    """Mean squared error, the Brier score: the mean of ``(y - y_hat)^2``, in [0, 1]."""

    def forward(self, y: Tensor, y_hat: Tensor) -> Tensor:
        check_shapes(y, y_hat)
        return torch.mean((y - y_hat) ** 2)


def accuracy(y: Tensor, y_hat: Tensor) -> Tensor:
    """Return the share of rows, float64, whose probability is on their side of 0.5; 0.5 itself speaks for class 1."""
    check_shapes(y, y_hat)
    return ((y_hat >= 0.5) == (y == 1)).double().mean()


def check_shapes(y: Tensor, y_hat: Tensor) -> None:
    if y.shape != y_hat.shape or y.ndim != 2 or y.shape[1] != 1:
        raise ValueError(f"labels {tuple(y.shape)} and probabilities {tuple(y_hat.shape)}; need (N, 1) and (N, 1)")


def check_pair(batch: Any) -> tuple[Tensor, Tensor]:
    """Return a plain loader's features and labels, or raise a ValueError that says what else it gave."""
    if not isinstance(batch, (tuple, list)) or [isinstance(part, Tensor) for part in batch] != [True, True]:
        raise ValueError(f"batch: a {type(batch).__name__}; need a pair of tensors, features (N, j) and labels (N, 1)")
    features, labels = batch
    if labels.ndim != 2:
        raise ValueError(f"labels {tuple(labels.shape)}; need (N, 1), as labels.reshape(-1, 1) is")
    return features, labels


Metric = Callable[[Tensor, Tensor], Tensor]

CRITERIA: dict[str, type[nn.Module]] = {}
# A line here is all that a metric needs to reach the history, TensorBoard and test.json.
METRICS: dict[str, Metric] = {"accuracy": accuracy}


def add_criterion(name: str, criterion: type[nn.Module]) -> None:
    """Let ``--model.loss`` name a criterion, and record it as a metric, whichever trains."""
    CRITERIA[name] = criterion
    METRICS[name] = criterion()


add_criterion("bce", BCELoss)
add_criterion("mse", MSELoss)


class BatchMean:
    """The mean loss over the rows of a batch that comes in weighted pieces, to one process or to several.

    Adding a piece's loss adds the gradient of the piece before it. The last one's is left to Lightning, whose backward
    exchanges gradients between processes. It averages over them, so each process's part is taken times their number.
    """

    def __init__(self, module: LightningModule) -> None:
        self.module, self.trainer = module, module.trainer
        self.loss, self.accuracy = torch.zeros(2, device=module.device)

    def add(self, weight: float, loss: Tensor, y: Tensor, y_hat: Tensor) -> None:
        """Add a piece: its share of the batch's rows, its mean loss, its labels and probabilities, (n, 1) each."""
        if self.loss.requires_grad:
            self.loss.backward()
        share = weight * self.trainer.world_size
        self.loss = self.loss.detach() + share * loss
        self.accuracy += share * METRICS["accuracy"](y, y_hat.detach())

    def outputs(self) -> dict[str, Tensor]:
        """Return the loss for Lightning's backward, and the whole batch's loss and accuracy."""
        if not self.loss.requires_grad:  # This process has no row of the batch, and the others wait for its gradients.
            self.loss = 0 * torch.stack([weights.sum() for weights in self.module.parameters()]).sum()
        means = self.trainer.strategy.reduce(torch.stack([self.loss.detach(), self.accuracy]), reduce_op="mean")
        return {"loss": self.loss, "batch_loss": means[0], "batch_accuracy": means[1]}
