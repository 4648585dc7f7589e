"""Two class files that agree, their split, and the rows of each subset."""

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from project.data.batches import Store, Subset
from project.data.checks import Features, exact, hash_file, survey
from project.data.npy import open_array
from project.data.split import DROPPED, MIN_ROWS, SUBSETS, Balance, Groups, read_groups, split_groups, split_rows
from project.errors import InputError, InputWarning

CLASS_FILES = ("class_0.npy", "class_1.npy")
MISTAKEN = {  # files of a class by the ends of their names, and how they become {0}
    "npy": "rename it to {0}",
    "npz": "numpy.save('{0}', numpy.load('{1}')['arr_0']) takes its array out",
    "csv": "numpy.save('{0}', numpy.loadtxt('{1}', delimiter=',')) converts it",
}
MOST_DOTS = 20_000  # More would hide each other in a picture.
MOST_CELLS = 2**22  # of them, where rows are wide
MEMORY = Store(torch.device("cpu"))
Flags = npt.NDArray[np.bool_]
Prepare = Callable[[Tensor], Tensor]  # of raw rows (n, j)
Fingerprint = dict[str, Any]


class ClassFiles:
    """The class files of a folder, checked and split by rows or whole groups, or an InputError that names the fault."""

    def __init__(
        self, root: Path, seed: int, balance: Balance, by_groups: bool = False, overlap_is_known: bool = False
    ) -> None:
        self.root = root
        self.files = find_files(root)
        self.arrays = [open_array(file) for file in self.files]
        self.num_features = self.arrays[0].shape[1]
        if self.arrays[1].shape[1] != self.num_features:
            columns = [f"{array.path} has {array.shape[1]} columns" for array in self.arrays]
            raise InputError(f"{', '.join(columns)}; need the same features in both")
        sizes = [array.shape[0] for array in self.arrays]
        if sizes[0] == sizes[1] < MIN_ROWS <= self.num_features:
            found = f"shape {self.arrays[0].shape} looks transposed, as a row is an example"
            raise InputError(f"{self.files[0]}: {found}; numpy.save('class_0.npy', array.T), and likewise class_1.npy")
        self.groups = read_groups(root, sizes)
        if by_groups:
            self.assignments = split_groups(root, self.groups, seed, balance)
        else:
            self.assignments = split_rows(root, sizes, seed, balance)
        self.rows = {
            name: sum(int((each == place).sum()) for each in self.assignments) for name, place in SUBSETS.items()
        }
        self.moments, self.overlap = survey(self.arrays, self.assignments)
        self._check_overlap(overlap_is_known)
        split = hashlib.sha256(np.concatenate(self.assignments).data).hexdigest()
        self.fingerprint: Fingerprint = {  # what a checkpoint remembers, so that no other rows pass for test rows
            "sha256": [hash_file(file) for file in self.files],
            "seed": seed,
            "rows": self.rows,
            "split": split,
        }

    def _check_overlap(self, known: bool) -> None:
        if self.overlap is None:
            warnings.warn(f"{self.root}: too many rows to look for equal ones among them", InputWarning, stacklevel=2)
            return
        if self.overlap.same_rows:
            raise InputError(f"{self.root}: class_0.npy and class_1.npy hold the same rows; nothing tells them apart")
        words = ("feature vectors occur in both classes", "test rows also occur in train")
        found = [f"{count} {what}" for count, what in zip(self.overlap[1:], words, strict=True) if count]
        if found and not known:
            warnings.warn(f"{self.root}: {'; '.join(found)}", InputWarning, stacklevel=2)

    def check_same(self, trained_on: Fingerprint | None) -> None:
        """Refuse, by an InputError, a checkpoint of other data or another split, which could know the test rows."""
        here, remedy = self.fingerprint, "leave the data options out"
        if trained_on is None:
            raise InputError(f"{self.root}: the checkpoint does not say what it was trained on; it cannot be compared")
        if trained_on["sha256"] != here["sha256"]:
            found = "other data (sha256 {:.12}..., {:.12}...)".format(*trained_on["sha256"])
            raise InputError(f"{self.root}: the checkpoint was trained on {found}; name its folder with --data.root")
        if trained_on["seed"] != here["seed"]:
            known, new = (f"{each['seed']} with rows {each['rows']}" for each in (trained_on, here))
            raise InputError(f"--data.seed: the checkpoint was trained on split seed {known}, not {new}; {remedy}")
        if trained_on != here:
            found = f"another split of {self.root}, with rows {trained_on['rows']}, not {here['rows']}"
            remedy += ", and the group files as they were"
            raise InputError(f"--data.split: the checkpoint was trained on {found}; {remedy}")

    def gather(
        self,
        name: str,
        store: Store = MEMORY,
        prepare: Prepare = Tensor.float,
        share: tuple[int, int] = (0, 1),
        most: int | None = None,
    ) -> Subset:
        """Copy the share (rank, ranks) of train, val or test, or of ``most`` rows at random, prepared, into a store."""
        held, readers, total = [], [], min(self.rows[name], most or self.rows[name])
        for label, assignment in enumerate(self.assignments):
            start, stop = (len(assignment) * part // share[1] for part in (share[0], share[0] + 1))
            chosen = draw(assignment == SUBSETS[name], total // 2)
            first = label * total // 2 + int(chosen[:start].sum())  # Every subset is half class 0.
            held.append(range(first, first + int(chosen[start:stop].sum())))
            readers.append(self._read(label, chosen, start, stop))
        zeros, ones = held
        features, done = store.empty(len(zeros) + len(ones), self.num_features), 0
        for rows in chain(*readers):
            features[done : done + len(rows)] = prepare(torch.from_numpy(rows))
            done += len(rows)
        return Subset(features, total, (zeros, ones))

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
        most = max(2, min(MOST_DOTS, MOST_CELLS // self.num_features)) // 2
        dots: dict[str, list[Features]] = {name: [] for name in SUBSETS}
        for label, assignment in enumerate(self.assignments):
            shown = draw(assignment != DROPPED, most)
            rows = np.concatenate(list(self._read(label, shown)))
            for name, subset in SUBSETS.items():
                dots[name].append(rows[assignment[shown] == subset])
        return dots

    def pick(self, name: str, places: npt.NDArray[np.int64]) -> Features:
        """Return raw rows (n, j) of a subset by their places in it, (n,) different ones in any order."""
        wanted, picked = np.zeros(self.rows[name], bool), list[Features]([np.empty((0, self.num_features), np.float32)])
        wanted[places] = True
        for label, (numbers, own) in enumerate(zip(self.row_numbers(name), np.split(wanted, 2), strict=True)):
            chosen = np.zeros(len(self.assignments[label]), bool)
            chosen[numbers[own]] = True
            picked.extend(self._read(label, chosen))
        return np.concatenate(picked)[places.argsort().argsort()]

    def _read(self, label: int, chosen: Flags, start: int = 0, stop: int | None = None) -> Iterator[Features]:
        """Yield the chosen rows (n, j) of a class file, so many as memory can hold."""
        for first, part in self.arrays[label].stretches(start, stop):
            if (here := chosen[first : first + len(part)]).any():
                yield exact(part[here])


def draw(rows: Flags, most: int) -> Flags:
    """Mark the marked rows, bool (N,), or so many of them at random."""
    if (count := int(rows.sum())) <= most:
        return rows
    chosen, drawn = np.zeros(count, bool), np.zeros_like(rows)
    chosen[np.random.default_rng(0).choice(count, most, replace=False, shuffle=False)] = True
    drawn[rows] = chosen
    return drawn


def find_files(root: Path) -> list[Path]:
    """Return the paths of the two class files in a folder, or raise an InputError that says what is there instead."""
    remedy = "--data.root names the folder that holds class_0.npy and class_1.npy"
    if not os.path.isdir(root):  # noqa: PTH112 (Path.is_dir fails on long names)
        raise InputError(f"{root}: {'is a file' if os.path.exists(root) else 'no such folder'}; {remedy}")
    if missing := [name for name in CLASS_FILES if not os.path.exists(root / name)]:
        for other in sorted((path.name for path in root.iterdir()), reverse=True):
            stem, _, ending = other.lower().rpartition(".")
            if (name := f"{stem}.npy") in missing and ending in MISTAKEN:
                remedy = f"{other} is there: {MISTAKEN[ending].format(name, other)}"
        raise InputError(f"{root}: {' and '.join(missing)} missing; {remedy}")
    return [root / name for name in CLASS_FILES]
