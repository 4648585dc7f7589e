"""Prepared rows, in memory or where it cannot hold them in a scratch file, and the batch of each iteration.

A *batch* is what one iteration (one optimizer step) averages over. It comes as a list of *pieces*; the mean loss of
each piece carries the weight ``rows_in_piece / rows_in_batch``, so that the weighted gradients add up to the gradient
of the uncut batch, ragged pieces included.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import torch
from torch import Tensor

MEMORY_SHARE = 0.5  # of what is free, that the rows may take
FLOAT_BYTES = 4
CONTAINER = Path("/sys/fs/cgroup")


class Piece(NamedTuple):
    """Some rows of a batch, float32 (n, j) and (n, 1), and their weight in the batch's mean."""

    features: Tensor
    labels: Tensor
    weight: float


Batch = list[Piece] | tuple[Tensor, Tensor]  # or just features and labels, for a module that takes no pieces


class Loader(tuple[Any, ...]):
    """Some batches, in order. Lightning takes a list for several loaders, and a DataLoader would collate row by row."""

    __slots__ = ()


@dataclass(frozen=True)
class Subset:
    """The rows of train, validation or test that this process holds, class 0 first; ``x, y = subset`` unpacks them."""

    features: Tensor  # float32 (n, j)
    rows: int  # how many all processes hold together; n if there is one
    held: tuple[range, range]  # the numbers, among those, of the rows of class 0 and of class 1 that are held here

    def __iter__(self) -> Iterator[Tensor]:
        return iter((self.features, self.labels))

    @property
    def labels(self) -> Tensor:
        """0 and 1, float32 (n, 1), made when they are asked for: the rows of a class are one stretch."""
        return self._label(0, len(self.features))

    def _label(self, start: int, stop: int) -> Tensor:
        """Return the labels of consecutive rows, float32 (n, 1); where all are the same, it is one number in memory."""
        ones, device = max(start, len(self.held[0])), self.features.device
        if ones == start or ones >= stop:
            return torch.full((1, 1), float(ones == start), device=device).expand(stop - start, 1)
        labels = torch.zeros(stop - start, 1, device=device)
        labels[ones - start :] = 1
        return labels

    def whole(self, piece_rows: int | None) -> Batch:
        """Return the rows that are held here, as part of the batch of all rows."""
        if piece_rows is None:
            return self.features, self.labels
        starts = range(0, len(self.features), piece_rows)
        parts = [(self.features[start : start + piece_rows], start) for start in starts]
        return [Piece(x, self._label(start, start + len(x)), len(x) / self.rows) for x, start in parts]

    def batch(self, numbers: Tensor, piece_rows: int | None) -> Batch:
        """Return the rows of the given numbers, int64 (n,), that are held here: none twice in all, none missed."""
        own = numbers
        if len(self.features) < self.rows:
            first, second = (numbers[(numbers >= part.start) & (numbers < part.stop)] for part in self.held)
            own = torch.cat([first - self.held[0].start, second - self.held[1].start + len(self.held[0])])
        features, labels = self.features.index_select(0, own), self.label(own)
        if piece_rows is None:
            return features, labels
        parts = zip(torch.split(features, piece_rows), torch.split(labels, piece_rows), strict=True)
        return [Piece(x, y, len(y) / len(numbers)) for x, y in parts if len(y)]

    def label(self, places: Tensor) -> Tensor:
        """Return the labels, float32 (..., 1), of rows by their places among those held here, int64 (...)."""
        return (places >= len(self.held[0])).float()[..., None]


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
        self, subset: Subset, batch_size: int, piece_rows: int | None, seed: int, iterations: int, done: int = 0
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
        return torch.from_numpy(order).to(self.subset.features.device)


class Store(NamedTuple):
    """The memory of a device or, if a folder is given, scratch files in it that only this process can see."""

    device: torch.device
    scratch: Path | None = None

    def empty(self, rows: int, columns: int) -> Tensor:
        """Return a float32 (rows, columns) to be filled, or raise an OSError if the disk has no room for it."""
        if self.scratch is None or not rows * columns:
            return torch.empty(rows, columns, dtype=torch.float32, device=self.device)
        try:
            with tempfile.TemporaryFile(dir=self.scratch) as file:  # The mapping keeps what is in it.
                reserve(file.fileno(), rows * columns * FLOAT_BYTES)
                return torch.from_numpy(np.memmap(file, np.float32, "r+", shape=(rows, columns)))
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror} (scratch file of the rows)", str(self.scratch)) from error


def choose_store(cells: int, device: torch.device, processes: int, scratch: Path) -> Store:
    """Return where so many numbers of each process go: to the device, to main memory, or to files in a folder."""
    size = cells * FLOAT_BYTES
    if device.type == "meta" or (device.type == "cuda" and size <= MEMORY_SHARE * torch.cuda.mem_get_info(device)[0]):
        return Store(device)
    return Store(torch.device("cpu"), None if size <= MEMORY_SHARE * free_memory() / processes else scratch)


def reserve(file: int, size: int) -> None:
    """Give an empty file its size on the disk, so that writing to it through memory cannot meet a full disk."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
        return
    while size:  # A disk that gets full takes a part first, and says so only of the rest.
        size -= os.write(file, bytes(min(1 << 20, size)))


def free_memory() -> int:
    """Return the bytes that may still be allocated on this machine and, if that limits them, in this container."""
    free: int = psutil.virtual_memory().available
    with suppress(OSError, ValueError):  # Most systems have no such files, and no limit is called "max".
        limit, used = (int((CONTAINER / f"memory.{name}").read_text()) for name in ("max", "current"))
        free = min(free, limit - used)
    return max(0, free)
