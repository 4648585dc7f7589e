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
    """Split so many rows of class 0 and of class 1 one by one; messages name the folder.

    Returns:
        TRAIN, VAL, TEST or DROPPED for each row of class 0 and of class 1, uint8 (N,) each.

    Raises:
        InputError: if the sizes give no split, each subset of which is half class 0.
    """
    keep, surplus = min(sizes), max(sizes) - min(sizes)
    if surplus and balance == "error":
        raise InputError(
            f"{root}: class_0.npy has {sizes[0]} rows, class_1.npy {sizes[1]}; "
            f"use --data.balance downsample to drop {surplus}"
        )
    if surplus:
        larger = f"class_{sizes.index(max(sizes))}.npy"
        warnings.warn(f"{root}: dropped {surplus} of {max(sizes)} rows of {larger}", InputWarning, stacklevel=2)
    if keep < MIN_ROWS:
        raise InputError(f"{root}: {keep} rows per class; need at least {MIN_ROWS} for a 60/20/20 split")
    return [split(rows, keep, seed, label) for label, rows in enumerate(sizes)]


def split(rows: int, keep: int, seed: int, class_index: int) -> Assignment:
    """Deal the rows of one class into train, validation and test, 60/20/20.

    Shuffling the assignment instead of the rows costs one byte a row. The classes are shuffled independently.

    Args:
        rows: number of rows N of the class, N >= 5.
        keep: how many of them to use, 5 <= keep <= rows; the others are DROPPED.
        seed: fixes the split, with rows, keep and class_index, 0 or 1; any integer >= 0.

    Returns:
        (N,) uint8: with k = keep // 5, k rows are VAL, k are TEST and keep - 2 k are TRAIN.
    """
    fifth = keep // 5
    counts = [keep - 2 * fifth, fifth, fifth, rows - keep]
    assignment = np.repeat(np.array([TRAIN, VAL, TEST, DROPPED], np.uint8), counts)
    np.random.default_rng([seed, class_index]).shuffle(assignment)
    return assignment


def has_groups(root: Path) -> bool:
    return any(os.path.exists(root / name) for name in GROUP_FILES)  # noqa: PTH110 (Path.exists fails on long names)


def read_groups(root: Path, sizes: list[int]) -> list[Groups] | None:
    """Return the groups of the rows of class 0 and of class 1, or None if there are no group files.

    Raises:
        InputError: if a group file is missing, or is not one integer for each of so many rows.
    """
    if not has_groups(root):
        return None
    found = []
    for name, rows in zip(GROUP_FILES, sizes, strict=True):
        array = open_array(root / name, dimensions=1)
        if not np.can_cast(array.dtype, np.int64):
            raise InputError(f"{array.path}: dtype {array.dtype.name}; need an integer type up to int64")
        if array.shape[0] != rows:
            class_file = name.replace("group", "class")
            raise InputError(
                f"{array.path}: {array.shape[0]} groups for the {rows} rows of {class_file}; need one each"
            )
        found.append(np.concatenate([part[:, 0].astype(np.int64) for _, part in array.stretches()]))
    return found


def split_groups(root: Path, groups: list[Groups] | None, seed: int, balance: Balance) -> list[Assignment]:
    """Split the rows of class 0 and of class 1 so that no group has rows in two subsets, each of which is half class 0.

    As split_rows, but for the groups of either class, int64 (N,) each, or None if the folder has no group files.
    """
    if groups is None:
        raise InputError(f"--data.split: groups; {root} has no {' and '.join(GROUP_FILES)}")
    assignments = deal(groups, seed)
    counts = {name: [int((each == subset).sum()) for each in assignments] for name, subset in SUBSETS.items()}
    for name, of_class in counts.items():
        if 0 in of_class:
            number, label = len(np.unique(np.concatenate(groups))), of_class.index(0)
            raise InputError(
                f"{root}: {number} groups leave no row of class {label} for {name}; need three groups of each class"
            )
    if surplus := sum(max(of_class) - min(of_class) for of_class in counts.values()):
        if balance == "error":
            said = ", ".join(f"{name} {zeros} and {ones}" for name, (zeros, ones) in counts.items())
            raise InputError(
                f"{root}: whole groups leave unequal rows of class 0 and 1 ({said}); "
                f"use --data.balance downsample to drop {surplus}, or --data.split rows"
            )
        total = sum(map(sum, counts.values()))
        dropped = f"dropped {surplus} of {total} rows, so that each subset of whole groups is half class 0"
        warnings.warn(f"{root}: {dropped}", InputWarning, stacklevel=2)
        drop_surplus(assignments, seed)
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


def drop_surplus(assignments: list[Assignment], seed: int) -> None:
    """Drop rows of the larger class from each subset, at random and in place, so that it is half class 0."""
    rng = np.random.default_rng([seed, len(assignments)])
    for subset in SUBSETS.values():
        rows = [np.flatnonzero(assignment == subset) for assignment in assignments]
        keep = min(map(len, rows))
        for assignment, places in zip(assignments, rows, strict=True):
            assignment[rng.permutation(places)[keep:]] = DROPPED
