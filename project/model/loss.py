"""The training criteria, written out, and all metrics that a validation or a test reports.

Each takes labels y of 0 and 1 and probabilities y_hat in [0, 1], (N, 1) each, to a scalar, the mean over rows, and
raises a ValueError if either is not (N, 1), because (N,) against (N, 1) would broadcast silently.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

EPSILON = 1e-7  # This is about the distance from 1 to its float32 neighbour, so that 1 - EPSILON is still below 1.


class BCELoss(nn.Module):
    """Binary cross-entropy: the mean of ``-(y log(y_hat) + (1 - y) log(1 - y_hat))``, at least 0.

    The logarithms' inputs are clamped to [1e-7, 1], so that a certain but wrong prediction costs 16.1 and not
    infinity. Source: Bishop (2006), "Pattern recognition and machine learning", equation 4.90.

    Shape: labels y and probabilities y_hat, (N, 1) each, or a ValueError is raised, to a scalar.
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
    """Return the share of rows, float64, on whose side of 0.5 the probability is; at 0.5 it speaks for class 1."""
    check_shapes(y, y_hat)
    return ((y_hat >= 0.5) == (y == 1)).double().mean()


def check_shapes(y: Tensor, y_hat: Tensor) -> None:
    if y.shape != y_hat.shape or y.ndim != 2 or y.shape[1] != 1:
        raise ValueError(f"labels {tuple(y.shape)} and probabilities {tuple(y_hat.shape)}; need (N, 1) and (N, 1)")


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
