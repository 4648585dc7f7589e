"""Splits of the rows of either class into train, validation and test: one by one, or in whole groups.

Rows that belong together, as those of one speaker do, have the same number in group_0.npy and group_1.npy.
"""

import os
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from project.data.npy import open_array
from project.errors import InputError, InputWarning

TRAIN, VAL, TEST, DROPPED = range(4)
SUBSETS = {"train": TRAIN, "val": VAL, "test": TEST}
SHARES = (0.6, 0.2, 0.2)  # of all rows, in each of them
MIN_ROWS = 5  # fewer leave a 60/20/20 split with an empty subset
GROUP_FILES = ("group_0.npy", "group_1.npy")

Assignment = npt.NDArray[np.uint8]
Groups = npt.NDArray[np.int64]  # the number of the group that each row belongs to
Balance = Literal["error", "downsample"]


def split_rows(root: Path, sizes: list[int], seed: int, balance: Balance) -> list[Assignment]:
    """Assign so many rows of class 0 and of class 1, uint8 (N,) each, one by one; messages name the folder."""
    keep, surplus = min(sizes), max(sizes) - min(sizes)
    if surplus and balance == "error":
        found = f"class_0.npy has {sizes[0]} rows, class_1.npy {sizes[1]}"
        raise InputError(f"{root}: {found}; use --data.balance downsample to drop {surplus}")
    if surplus:
        larger = f"class_{sizes.index(max(sizes))}.npy"
        warnings.warn(f"{root}: dropped {surplus} of {max(sizes)} rows of {larger}", InputWarning, stacklevel=2)
    if keep < MIN_ROWS:
        raise InputError(f"{root}: {keep} rows per class; need at least {MIN_ROWS} for a 60/20/20 split")
    return [split(rows, keep, seed, label) for label, rows in enumerate(sizes)]


def split(rows: int, keep: int, seed: int, class_index: int) -> Assignment:
    """Assign the rows of one class, uint8 (rows,): with k = keep // 5, k are VAL, k are TEST, keep - 2 k are TRAIN."""
    fifth = keep // 5
    assignment = np.repeat(np.arange(4, dtype=np.uint8), [keep - 2 * fifth, fifth, fifth, rows - keep])
    np.random.default_rng([seed, class_index]).shuffle(assignment)
    return assignment


def has_groups(root: Path) -> bool:
    return any(os.path.exists(root / name) for name in GROUP_FILES)  # Path.exists fails on long names.


def read_groups(root: Path, sizes: list[int]) -> list[Groups] | None:
    """Return the groups of so many rows of class 0 and of class 1, or None if there are no group files."""
    if not has_groups(root):
        return None
    found = []
    for name, rows in zip(GROUP_FILES, sizes, strict=True):
        if not os.path.exists(root / name):
            raise InputError(f"{root / name}: missing; save the groups of both classes, or of neither")
        array = open_array(root / name, dimensions=1)
        if not np.can_cast(array.dtype, np.int64):
            raise InputError(f"{array.path}: dtype {array.dtype.name}; need an integer type up to int64")
        if array.shape[0] != rows:
            wanted = f"the {rows} rows of {name.replace('group', 'class')}; need one each"
            raise InputError(f"{array.path}: {array.shape[0]} groups for {wanted}")
        found.append(np.concatenate([part[:, 0].astype(np.int64) for _, part in array.stretches()]))
    return found


def split_groups(root: Path, groups: list[Groups] | None, seed: int, balance: Balance) -> list[Assignment]:
    """Assign the rows of class 0 and of class 1, as split_rows does, but no group to two subsets."""
    if groups is None:
        raise InputError(f"--data.split: groups; {root} has no {' and '.join(GROUP_FILES)}")
    assignments = deal(groups, seed)
    places = {name: [np.flatnonzero(each == subset) for each in assignments] for name, subset in SUBSETS.items()}
    counts = {name: list(map(len, both)) for name, both in places.items()}
    for name, of_class in counts.items():
        if 0 in of_class:
            number, label = len(np.unique(np.concatenate(groups))), of_class.index(0)
            left = f"{number} groups leave no row of class {label} for {name}"
            raise InputError(f"{root}: {left}; need three groups of each class")
    surplus = sum(max(of_class) - min(of_class) for of_class in counts.values())
    if surplus and balance == "error":
        said = ", ".join(f"{name} {zeros} and {ones}" for name, (zeros, ones) in counts.items())
        left = f"whole groups leave unequal rows of class 0 and 1 ({said})"
        raise InputError(f"{root}: {left}; use --data.balance downsample to drop {surplus}, or --data.split rows")
    if surplus:
        dropped = f"dropped {surplus} of {sum(map(len, assignments))} rows"
        words = f"{root}: {dropped}, so that each subset of whole groups is half class 0"
        warnings.warn(words, InputWarning, stacklevel=2)
    rng = np.random.default_rng([seed, len(assignments)])
    for both in places.values():
        for assignment, rows in zip(assignments, both, strict=True):
            assignment[rng.permutation(rows)[min(map(len, both)) :]] = DROPPED
    return assignments


def deal(groups: list[Groups], seed: int) -> list[Assignment]:
    """Deal whole groups into train, validation and test, as near to 60/20/20 of either class's rows as they come.

    In random order, each group goes where the smallest share is filled of the rows that it has most of. So one that
    comes late evens out what the ones before have left uneven, and each class is shared out, also where no group has
    rows of both.
    """
    names, places = np.unique(np.concatenate(groups), return_inverse=True)
    of_class = np.split(places, [len(groups[0])])
    sizes = np.stack([np.bincount(each, minlength=len(names)) for each in of_class], 1)
    wanted = np.outer(SHARES, sizes.sum(0)).tolist()
    filled, subsets = [[0.0, 0.0] for _ in SHARES], np.empty(len(names), np.uint8)
    order = np.random.default_rng(seed).permutation(len(names))
    for group, (zeros, ones) in zip(order.tolist(), sizes[order].tolist(), strict=True):
        # Each entry is a share of what the subset should have of a class, weighted by the group's rows of it.
        subset = min(range(len(SHARES)), key=lambda s: zeros * filled[s][0] + ones * filled[s][1])
        subsets[group] = subset
        filled[subset][0] += zeros / wanted[subset][0]
        filled[subset][1] += ones / wanted[subset][1]
    return [subsets[each] for each in of_class]
