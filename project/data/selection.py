"""The rows of one subset where they lie, in the class files."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from project.data.arrays import Array, stretches
from project.data.batches import CPU, Batch, Piece, Subset
from project.data.split import Assignment

BLOCK_ROWS = 512  # rows of a file that are counted together, so that one of them is found without a list of them all

Prepare = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Selection:
    """The rows of both classes that are assigned to a subset, class 0 first.

    Args:
        arrays: class 0 and class 1, each (N, j), backed by their files.
        assignments: the subset of each of their rows, uint8 (N,).
        subset: the one that is selected.
    """

    arrays: list[Array]
    assignments: list[Assignment]
    subset: int

    @cached_property
    def counts(self) -> list[int]:
        """How many rows there are of each class."""
        return [int((assignment == self.subset).sum()) for assignment in self.assignments]

    @property
    def rows(self) -> int:
        return sum(self.counts)

    @property
    def num_features(self) -> int:
        return int(self.arrays[0].shape[1])

    def share(self, rank: int, ranks: int) -> tuple["Selection", list[int]]:
        """Return what lies in one of as many stretches of the files as there are processes, so that each reads its own.

        Returns:
            The selection, and the number in the whole one of its first row of class 0, and of class 1.
        """
        arrays, assignments, before = [], [], []
        for array, assignment in zip(self.arrays, self.assignments, strict=True):
            start, end = (len(array) * i // ranks for i in (rank, rank + 1))
            arrays.append(array[start:end])
            assignments.append(assignment[start:end])
            before.append(int((assignment[:start] == self.subset).sum()))
        return Selection(arrays, assignments, self.subset), [before[0], self.counts[0] + before[1]]

    def read(self, file_rows: int | None = None) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Yield (class, float32 (n, j) features) of every row, from file_rows rows of a file at a time."""
        for label in (0, 1):
            for rows in self.read_class(label, file_rows):
                yield label, rows

    def read_class(self, label: int, file_rows: int | None = None) -> Iterator[npt.NDArray[np.float32]]:
        """Yield float32 (n, j) features of one class's rows, from file_rows rows of its file at a time."""
        assignment = self.assignments[label]
        for start, part in stretches(self.arrays[label], file_rows):
            rows = part.take(np.flatnonzero(assignment[start : start + len(part)] == self.subset), axis=0)
            if len(rows):
                yield rows.astype(np.float32, copy=False)

    def gather(self, prepare: Prepare, device: torch.device, label_dtype: torch.dtype) -> Subset:
        """Copy all rows into memory, through a function from raw to prepared features."""
        features = torch.empty(self.rows, self.num_features, dtype=torch.float32, device=device)
        done = 0
        for _, rows in self.read():
            features[done : done + len(rows)] = prepare(torch.from_numpy(rows).to(device))
            done += len(rows)
        labels = torch.zeros(self.rows, 1, dtype=label_dtype, device=device)
        labels[self.counts[0] :] = 1
        return Subset(features, labels)

    def find(self, rows: npt.NDArray[np.int64], label: int) -> npt.NDArray[np.int64]:
        """Return where in the class file the given of its selected rows lie."""
        assignment, first = self.assignments[label], self._first_of_block[label]
        block = np.searchsorted(first, rows, side="right") - 1
        within = np.minimum(block[:, None] * BLOCK_ROWS + np.arange(BLOCK_ROWS), len(assignment) - 1)
        number = np.cumsum(assignment[within] == self.subset, axis=1)
        places = np.argmax(number == (rows - first[block] + 1)[:, None], axis=1)
        found: npt.NDArray[np.int64] = block * BLOCK_ROWS + places
        return found

    @cached_property
    def _first_of_block(self) -> list[npt.NDArray[np.int64]]:
        """The number, among the selected rows of the class, of the first one in each block of the file."""
        firsts = []
        for assignment in self.assignments:
            starts = np.arange(0, len(assignment), BLOCK_ROWS)
            counts = np.add.reduceat(assignment == self.subset, starts, dtype=np.int64)
            firsts.append(np.concatenate([[0], np.cumsum(counts[:-1])]))
        return firsts


@dataclass(frozen=True)
class StreamedSubset:
    """A subset that is read from its files again in every iteration, because memory cannot hold it.

    It stands where a Subset does. A mini-batch's rows are as random as in memory; each costs the disk, or the cache of
    the operating system, a page.
    """

    selection: Selection
    prepare: Prepare
    device: torch.device

    @property
    def rows(self) -> int:
        return self.selection.rows

    @property
    def place(self) -> torch.device:
        return CPU

    def take(self, rows: Tensor) -> Subset:
        numbers = rows.numpy()
        features = np.empty((len(numbers), self.selection.num_features), np.float32)
        negatives = self.selection.counts[0]
        for label, of_class in enumerate((numbers < negatives, numbers >= negatives)):
            places = self.selection.find(numbers[of_class] - negatives * label, label)
            features[of_class] = self.selection.arrays[label][places]
        labels = torch.from_numpy((numbers >= negatives).astype(np.uint8))[:, None]
        return Subset(self.prepare(torch.from_numpy(features).to(self.device)), labels.to(self.device))

    def pieces(self, piece_rows: int, rows_in_batch: int | None = None) -> Batch:
        return StreamedBatch(self, piece_rows, rows_in_batch or self.rows)


@dataclass(frozen=True)
class StreamedBatch:
    """All rows of a subset as pieces of about piece_rows rows, read as they are asked for."""

    subset: StreamedSubset
    piece_rows: int
    rows_in_batch: int

    def __iter__(self) -> Iterator[Piece]:
        device, selection = self.subset.device, self.subset.selection
        rows_in_files = sum(len(array) for array in selection.arrays)
        for label, rows in selection.read(self.piece_rows * rows_in_files // max(1, selection.rows)):
            features = self.subset.prepare(torch.from_numpy(rows).to(device))
            labels = torch.full((len(rows), 1), label, dtype=torch.uint8, device=device)
            yield Piece(features, labels, len(rows) / self.rows_in_batch)
