"""The rows of each iteration, in pieces that are computed together.

A *batch* is what one iteration (one optimizer step) averages over. It comes as a list of *pieces*; the mean loss of
each piece carries the weight ``rows_in_piece / rows_in_batch``, so that the weighted gradients add up to the gradient
of the uncut batch, ragged pieces included.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor


class Piece(NamedTuple):
    """Some rows of a batch, float32 (n, j) and (n, 1), and their weight in the batch's mean."""

    features: Tensor
    labels: Tensor
    weight: float


Batch = list[Piece]


class Loader(tuple[Any, ...]):
    """Some batches, in order. Lightning takes a list for several loaders, and a DataLoader would collate row by row."""

    __slots__ = ()


class Subset(NamedTuple):
    """The rows of train, validation or test that this process holds, those of class 0 first."""

    features: Tensor  # float32 (n, j)
    labels: Tensor  # float32 (n, 1), 0 and 1
    rows: int  # how many all processes hold together; n if there is one
    held: tuple[range, range]  # the numbers, among those, of the rows of class 0 and of class 1 that are held here

    def whole(self, piece_rows: int) -> Batch:
        """Return the rows that are held here, as part of the batch of all rows."""
        return cut(self.features, self.labels, piece_rows, self.rows)

    def batch(self, numbers: Tensor, piece_rows: int) -> Batch:
        """Return the rows of the given numbers, int64 (n,), that are held here: none twice in all, none missed."""
        own = numbers
        if len(self.labels) < self.rows:
            first, second = (numbers[(numbers >= part.start) & (numbers < part.stop)] for part in self.held)
            own = torch.cat([first - self.held[0].start, second - self.held[1].start + len(self.held[0])])
        return cut(self.features.index_select(0, own), self.labels.index_select(0, own), piece_rows, len(numbers))


def cut(features: Tensor, labels: Tensor, piece_rows: int, rows_in_batch: int) -> Batch:
    """Cut rows, float32 (n, j) and (n, 1), into pieces of piece_rows rows; the last one may be shorter."""
    parts = zip(torch.split(features, piece_rows), torch.split(labels, piece_rows), strict=True)
    return [Piece(x, y, len(y) / rows_in_batch) for x, y in parts if len(y)]


class Iterations:
    """A run's iterations by their numbers, from 1, in passes of so many each that can stop and resume anywhere."""

    def __init__(self, seed: int, iterations: int, done: int = 0) -> None:
        self.seed, self.iterations, self.done = seed, iterations, done

    def __len__(self) -> int:
        return self.iterations

    def __iter__(self) -> Iterator[Any]:
        for _ in range(self.iterations - self.done % self.iterations):
            self.done += 1
            yield self.batch(self.done)

    def batch(self, iteration: int) -> Any:
        """Return what the trainer is given for an iteration: its number."""
        return iteration

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs besides the number of its iterations, which its trainer knows."""
        return {"seed": self.seed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seed = state["seed"]


class TrainingBatches(Iterations):
    """The batches of the run's iterations, of 1 to subset.rows rows, cut into pieces.

    Each epoch takes every row once, in a fresh random order; its last batch is as short as the rows left over. The rows
    of iteration i are a pure function of (seed, i): there is no generator whose state could be lost.
    """

    def __init__(
        self, subset: Subset, batch_size: int, piece_rows: int, seed: int, iterations: int, done: int = 0
    ) -> None:
        super().__init__(seed, iterations, done)
        self.subset, self.batch_size, self.piece_rows = subset, batch_size, piece_rows
        self._order = lru_cache(maxsize=1)(self._draw_order)
        # The order of the rows does not change the gradient of all of them.
        self._whole = subset.whole(piece_rows) if batch_size == subset.rows else None

    def batch(self, iteration: int) -> Batch:
        return self._whole or self.subset.batch(self.rows(iteration), self.piece_rows)

    def rows(self, iteration: int) -> Tensor:
        """Return the row numbers, int64 (n,), of an iteration, counted from 1."""
        epoch, batch = divmod(iteration - 1, -(-self.subset.rows // self.batch_size))
        return self._order(self.seed, epoch)[batch * self.batch_size : (batch + 1) * self.batch_size]

    def _draw_order(self, seed: int, epoch: int) -> Tensor:
        order = np.random.default_rng([seed, epoch]).permutation(self.subset.rows)
        return torch.from_numpy(order).to(self.subset.labels.device)
