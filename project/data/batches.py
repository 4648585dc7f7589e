"""Which rows make iteration i, and in which pieces they are computed.

A *batch* is what one iteration (one optimizer step) averages over. It comes as a list of *pieces*; the mean loss of
each piece carries the weight ``rows_in_piece / rows_in_batch``, so that the weighted gradients add up to the gradient
of the uncut batch, ragged pieces included.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

T = TypeVar("T")
CPU = torch.device("cpu")


class Subset(NamedTuple):
    """Features, float32 (N, j), and labels, float32 (N, 1) of 0 and 1."""

    features: Tensor
    labels: Tensor

    @property
    def rows(self) -> int:
        return len(self.labels)

    @property
    def place(self) -> torch.device:
        return self.labels.device

    def take(self, rows: Tensor) -> "Subset":
        """Return the rows of the given numbers, int64 (n,)."""
        return Subset(self.features.index_select(0, rows), self.labels.index_select(0, rows))

    def pieces(self, piece_rows: int, rows_in_batch: int | None = None) -> "Batch":
        """Cut all rows into pieces of piece_rows rows; the last one may be shorter.

        They are one batch, or else the share of one process in a batch of rows_in_batch rows.
        """
        parts = zip(torch.split(self.features, piece_rows), torch.split(self.labels, piece_rows), strict=True)
        rows_in_batch = rows_in_batch or self.rows
        return [Piece(features, labels, len(labels) / rows_in_batch) for features, labels in parts if len(labels)]


class Piece(NamedTuple):
    """Some rows of a batch, float32 (n, j) and (n, 1), and their weight in the batch's mean."""

    features: Tensor
    labels: Tensor
    weight: float


Batch = Iterable[Piece]


class Rows(Protocol):
    """A subset, wherever its rows are kept."""

    @property
    def rows(self) -> int: ...

    @property
    def place(self) -> torch.device:
        """Where the row numbers to take should lie, so that no iteration has to move them."""
        ...

    def take(self, rows: Tensor) -> Subset: ...

    def pieces(self, piece_rows: int, rows_in_batch: int | None = None) -> Batch: ...


@dataclass(frozen=True)
class Share:
    """The rows of a subset that one of several processes holds; it stands where the whole subset does.

    Of every batch a process takes the rows that it holds: some more or fewer than the others, none twice, none missed.

    Args:
        held: the rows.
        rows: how many rows all processes hold together.
        first: the number, among those, of the first row held of class 0, and of class 1.
        counts: how many rows are held of each.
    """

    held: Rows
    rows: int
    first: list[int]
    counts: list[int]

    @property
    def place(self) -> torch.device:
        return CPU  # how many rows are held must be known there

    def take(self, rows: Tensor) -> Subset:
        own, offset = [], 0
        for first, count in zip(self.first, self.counts, strict=True):
            own.append(rows[(rows >= first) & (rows < first + count)] - first + offset)
            offset += count
        return self.held.take(torch.cat(own).to(self.held.place, non_blocking=True))

    def pieces(self, piece_rows: int, rows_in_batch: int | None = None) -> Batch:
        return self.held.pieces(piece_rows, rows_in_batch or self.rows)


class Loader(Generic[T]):
    """Some batches, in order. Lightning takes a list for several loaders, and a DataLoader would collate row by row."""

    def __init__(self, batches: Sequence[T]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[T]:
        return iter(self.batches)


class TrainingBatches:
    """The batches of the run's iterations, in sized passes that can stop and resume anywhere.

    Each epoch takes every row once, in a fresh random order; its last batch is as short as the rows left over. The rows
    of iteration i are a pure function of (seed, i): there is no generator whose state could be lost.

    Args:
        subset: the training subset.
        batch_size: rows per batch, 1 <= batch_size <= subset.rows.
        piece_rows: rows computed together, >= 1.
        seed: fixes the order of the rows.
        iterations: how many batches a pass has; the next pass goes on where it ended.
    """

    def __init__(self, subset: Rows, batch_size: int, piece_rows: int, seed: int, iterations: int) -> None:
        self.subset = subset
        self.batch_size = batch_size
        self.piece_rows = piece_rows
        self.seed = seed
        self.iterations = iterations
        self.done = 0
        self._order = lru_cache(maxsize=1)(self._draw_order)
        self._whole = subset.pieces(piece_rows) if batch_size == subset.rows else None

    def __len__(self) -> int:
        return self.iterations

    def __iter__(self) -> Iterator[Batch]:
        for _ in range(self.iterations - self.done % self.iterations):
            self.done += 1
            yield self.batch(self.done)

    def batch(self, iteration: int) -> Batch:
        """Return the batch of an iteration, counted from 1."""
        if self._whole is not None:  # the order of the rows does not change the gradient of all of them
            return self._whole
        rows = self.rows(iteration)
        return self.subset.take(rows).pieces(self.piece_rows, len(rows))

    def rows(self, iteration: int) -> Tensor:
        """Return the row numbers, int64 (n,), of an iteration, counted from 1."""
        epoch, batch = divmod(iteration - 1, -(-self.subset.rows // self.batch_size))
        return self._order(self.seed, epoch)[batch * self.batch_size : (batch + 1) * self.batch_size]

    def _draw_order(self, seed: int, epoch: int) -> Tensor:
        order = np.random.default_rng([seed, epoch]).permutation(self.subset.rows)
        return torch.from_numpy(order).to(self.subset.place)

    def state_dict(self) -> dict[str, Any]:
        return {"seed": self.seed, "done": self.done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seed = state["seed"]
        self.done = state["done"]
