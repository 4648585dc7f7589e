"""Mean, standard deviation and median of each feature, of rows that need not be in memory together."""

from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Rows = npt.NDArray[np.float32]
Bins = npt.NDArray[np.int64]
HALF = 2**16  # values that half of a float32's bits can have


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


def medians(read: Callable[[], Iterable[Rows]], rows: int) -> Rows:
    """Return the median of each column, (j,), as numpy does, of chunks (n, j) of so many rows in all.

    The bits of a float32, once negative numbers are turned round, count upwards as the numbers do. So a first reading
    counts the upper halves of the bits, and another one, for each middle row, the lower halves where its upper one is
    known.
    """
    uppers = reduce(np.add, (_count(keys >> 16) for keys in map(_keys, read())))
    middle = [_refine(read, *_place(uppers, rank)) for rank in {(rows - 1) // 2, rows // 2}]
    return np.asarray(np.mean(middle, axis=0, dtype=np.float64), np.float32)


def _refine(read: Callable[[], Iterable[Rows]], upper: Bins, rank: Bins) -> Rows:
    """Return the value of each column, (j,), that has these upper bits and is of this rank among those that do."""
    lowers = (_count(keys & (HALF - 1), keys >> 16 == upper) for keys in map(_keys, read()))
    lower, _ = _place(reduce(np.add, lowers), rank)
    keys = (upper * HALF + lower).astype(np.uint32)
    return np.where(keys >> 31, keys ^ np.uint32(2**31), ~keys).view(np.float32)


def _keys(values: Rows) -> npt.NDArray[np.uint32]:
    bits = values.view(np.uint32)
    return np.where(bits >> 31, ~bits, bits ^ np.uint32(2**31))


def _count(halves: npt.NDArray[Any], among: npt.NDArray[np.bool_] | None = None) -> Bins:
    """Return how often each half occurs in each column, (j, HALF), among all or the given cells."""
    columns = halves.T if among is None else [column[there] for column, there in zip(halves.T, among.T, strict=True)]
    return np.array([np.bincount(column, minlength=HALF) for column in columns])


def _place(counts: Bins, rank: Bins | int) -> tuple[Bins, Bins]:
    """Return the bin of each row of counts in which the cell of a rank falls, and its rank in there, each (j,)."""
    ends = counts.cumsum(axis=1)
    bins = (ends > np.reshape(rank, (-1, 1))).argmax(axis=1)
    columns = np.arange(len(counts))
    return bins, rank - (ends - counts)[columns, bins]
