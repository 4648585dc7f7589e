"""What is known of two class files together: that they agree, how they are split, and the rows of each subset."""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from project.data.batches import Subset
from project.data.checks import Features, Overlap, exact, fingerprint, survey
from project.data.groups import read_groups, split_groups
from project.data.npy import CHANGED, open_array
from project.data.split import DROPPED, MIN_ROWS, SUBSETS, Groups, split
from project.data.store import Store
from project.errors import InputError, InputWarning

CLASS_FILES = ("class_0.npy", "class_1.npy")
MOST_DOTS = 20_000  # More would hide each other in a picture.
MOST_CELLS = 2**22  # of them, where rows are wide

MAIN_MEMORY = Store(torch.device("cpu"))


def as_it_is(features: Tensor) -> Tensor:
    return features


class ClassFiles:
    """The class files of a folder, checked and split, or an InputError that says what they should be.

    Every row is in one subset or, if the classes differ in size, perhaps dropped; the seed fixes which. Rows are split
    one by one, or in whole groups.
    """

    def __init__(
        self,
        root: Path,
        seed: int,
        balance: Literal["error", "downsample"],
        by_groups: bool = False,
        overlap_is_known: bool = False,
    ) -> None:
        self.root = root
        self.files = find_files(root)
        self._states = [state(file) for file in self.files]
        self.arrays = [open_array(file) for file in self.files]
        self.num_features = self.arrays[0].shape[1]
        if self.arrays[1].shape[1] != self.num_features:
            columns = [f"{array.path} has {array.shape[1]} columns" for array in self.arrays]
            raise InputError(f"{', '.join(columns)}; need the same features in both")
        self.groups = read_groups(root, [array.shape[0] for array in self.arrays])
        if by_groups:
            self.assignments = split_groups(root, self.groups, seed, balance)
        else:
            keep = self._rows_to_keep(balance)
            self.assignments = [split(array.shape[0], keep, seed, label) for label, array in enumerate(self.arrays)]
        self.rows = {
            name: sum(int((assignment == subset).sum()) for assignment in self.assignments)
            for name, subset in SUBSETS.items()
        }
        self.moments, self.overlap = survey(self.arrays, self.assignments)
        self._tell(self.overlap, overlap_is_known)
        self.fingerprint = fingerprint(self.files, self.assignments, seed, self.rows)

    def _rows_to_keep(self, balance: str) -> int:
        sizes = [array.shape[0] for array in self.arrays]
        keep, surplus = min(sizes), max(sizes) - min(sizes)
        if surplus and balance == "error":
            raise InputError(
                f"{self.root}: class_0.npy has {sizes[0]} rows, class_1.npy {sizes[1]}; "
                f"use --data.balance downsample to drop {surplus}"
            )
        if surplus:
            larger = CLASS_FILES[sizes.index(max(sizes))]
            warnings.warn(f"{self.root}: dropped {surplus} of {max(sizes)} rows of {larger}", InputWarning, 2)
        if keep < MIN_ROWS:
            raise InputError(f"{self.root}: {keep} rows per class; need at least {MIN_ROWS} for a 60/20/20 split")
        return keep

    def _tell(self, overlap: Overlap | None, known: bool) -> None:
        if overlap is None:
            warnings.warn(f"{self.root}: too many rows to look for equal ones among them", InputWarning, stacklevel=2)
        elif overlap.same_rows:
            raise InputError(f"{self.root}: class_0.npy and class_1.npy hold the same rows; nothing tells them apart")
        elif (overlap.both_classes or overlap.test_in_train) and not known:
            found = {
                "feature vectors occur in both classes": overlap.both_classes,
                "test rows also occur in train": overlap.test_in_train,
            }
            said = "; ".join(f"{count} {what}" for what, count in found.items() if count)
            warnings.warn(f"{self.root}: {said}", InputWarning, stacklevel=2)

    def gather(
        self,
        name: str,
        store: Store = MAIN_MEMORY,
        prepare: Callable[[Tensor], Tensor] = as_it_is,
        rank: int = 0,
        ranks: int = 1,
    ) -> Subset:
        """Copy the rows of a subset out of one of as many stretches of the files as there are processes.

        Args:
            name: train, val or test.
            store: where the copy goes.
            prepare: from raw features, float32 or float64 (n, j), to prepared ones.
            rank: the number of this process.
            ranks: how many there are.

        Raises:
            InputError: if a file is not what it was when it was checked.
        """
        counts, firsts, parts = [], [], []
        for array, assignment in zip(self.arrays, self.assignments, strict=True):
            start, end = array.shape[0] * rank // ranks, array.shape[0] * (rank + 1) // ranks
            chosen = assignment == SUBSETS[name]
            counts.append(int(chosen[start:end].sum()))
            firsts.append(int(chosen[:start].sum()))
            parts.append((array.stretches(start, end), chosen))
        features, labels = store.empty(sum(counts), self.num_features), store.empty(sum(counts), 1)
        labels[: counts[0]] = 0
        labels[counts[0] :] = 1
        done = 0
        with self._unchanged():
            for stretches, chosen in parts:
                for start, part in stretches:
                    if (there := chosen[start : start + len(part)]).any():
                        rows = torch.from_numpy(exact(part[there]))
                        features[done : done + len(rows)] = prepare(rows)
                        done += len(rows)
        second = self.rows[name] // 2 + firsts[1]  # Every subset is half class 0.
        held = range(firsts[0], firsts[0] + counts[0]), range(second, second + counts[1])
        return Subset(features, labels, self.rows[name], held)

    def row_numbers(self, name: str) -> list[npt.NDArray[np.int64]]:
        """Return which rows of class_0.npy and of class_1.npy, counted from 0, are in a subset, in its order."""
        return [np.flatnonzero(assignment == SUBSETS[name]) for assignment in self.assignments]

    def groups_of(self, name: str) -> Groups | None:
        """Return the groups of the rows of a subset, int64 (n,) in its order, or None if there are no group files."""
        if self.groups is None:
            return None
        return np.concatenate([of[rows] for of, rows in zip(self.groups, self.row_numbers(name), strict=True)])

    @cached_property
    def dots(self) -> dict[str, list[Features]]:
        """Raw rows (n, j) of class 0 and class 1 in each subset: all, or else MOST_DOTS at random."""
        most = min(MOST_DOTS, MOST_CELLS // self.num_features) // 2
        shown: dict[str, list[Features]] = {name: [] for name in SUBSETS}
        with self._unchanged():
            for array, assignment in zip(self.arrays, self.assignments, strict=True):
                parts: dict[str, list[Features]] = {name: [] for name in SUBSETS}
                kept, before = int((assignment != DROPPED).sum()), 0
                few = np.random.default_rng(0).choice(kept, min(kept, most), replace=False, shuffle=False)
                for start, part in array.stretches():
                    here = np.flatnonzero(assignment[start : start + len(part)] != DROPPED)
                    rows = here[np.sort(few[(few >= before) & (few < before + len(here))]) - before]
                    before += len(here)
                    for name, subset in SUBSETS.items():
                        parts[name].append(exact(part[rows[assignment[start + rows] == subset]]))
                for name, of_subset in parts.items():
                    shown[name].append(np.concatenate(of_subset))
        return shown

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        """Read the files between two looks at them, so that all rows are of the files that were checked."""
        self._check_states()
        yield
        self._check_states()

    def _check_states(self) -> None:
        for file, known in zip(self.files, self._states, strict=True):
            if state(file) != known:
                raise InputError(f"{file}: {CHANGED}")


def find_files(root: Path) -> list[Path]:
    """Return the paths of the two class files in a folder, or raise an InputError if one is missing."""
    # Path.exists raises an error if the name is too long.
    missing = [name for name in CLASS_FILES if not os.path.exists(root / name)]  # noqa: PTH110
    if missing:
        remedy = "--data.root names the folder that holds class_0.npy and class_1.npy"
        if text := next((name for name in missing if os.path.exists((root / name).with_suffix(".csv"))), None):  # noqa: PTH110
            table = text.replace("npy", "csv")
            remedy = f"{table} is there: numpy.save('{text}', numpy.loadtxt('{table}', delimiter=',')) converts it"
        raise InputError(f"{root}: {' and '.join(missing)} missing; {remedy}")
    return [root / name for name in CLASS_FILES]


def state(file: Path) -> tuple[int, int]:
    """Return the size in bytes and the time, in ns, of the last change of a file; 0 and 0 if it is gone."""
    status = file.stat() if file.exists() else None
    return (status.st_size, status.st_mtime_ns) if status else (0, 0)
