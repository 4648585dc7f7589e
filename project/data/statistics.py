"""Mean and standard deviation of each feature, in float64 and in one pass."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor


class Statistics(NamedTuple):
    """Per-feature mean and population standard deviation, float64 (j,)."""

    mean: Tensor
    std: Tensor


def statistics(chunks: Iterable[Tensor]) -> Statistics:
    """Merge the moments of chunks of rows, each (n, j) with n >= 1, as Chan, Golub and LeVeque (1983) do.

    Unlike sums of squares, this keeps its digits when the mean is large against the deviation.
    """
    rows, mean, squares = 0, torch.zeros(()), torch.zeros(())
    for chunk in chunks:
        values = chunk.double()
        n, chunk_mean = len(values), values.mean(0)
        delta = chunk_mean - mean
        squares = squares + (values - chunk_mean).square().sum(0) + delta.square() * (rows * n / (rows + n))
        mean = mean + delta * (n / (rows + n))
        rows += n
    return Statistics(mean, (squares / rows).sqrt())
