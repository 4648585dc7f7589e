"""Which rows belong together, as those of one speaker do: group_0.npy and group_1.npy, (N,) integers each."""

import os
import warnings
from pathlib import Path

import numpy as np

from project.data.npy import open_array
from project.data.split import DROPPED, SUBSETS, Assignment, Groups
from project.errors import InputError, InputWarning

GROUP_FILES = ("group_0.npy", "group_1.npy")
SHARES = (0.6, 0.2, 0.2)  # of all rows, in train, validation and test


def has_groups(root: Path) -> bool:
    """Whether a folder holds any group file."""
    return any(os.path.exists(root / name) for name in GROUP_FILES)  # noqa: PTH110 (Path.exists fails on long names)


def read_groups(root: Path, rows: list[int]) -> list[Groups] | None:
    """Return the groups of the rows of class 0 and of class 1, (N,) each, or None if there are no group files.

    The same number is the same group in both files.

    Args:
        root: the folder.
        rows: how many rows there are of either class.

    Raises:
        InputError: if a group file is missing or not what it should be.
    """
    if not has_groups(root):
        return None
    found = []
    for name, count in zip(GROUP_FILES, rows, strict=True):
        array = open_array(root / name, dimensions=1)
        if not np.can_cast(array.dtype, np.int64):
            raise InputError(f"{array.path}: dtype {array.dtype.name}; need an integer type up to int64")
        if array.shape[0] != count:
            class_file = name.replace("group", "class")
            raise InputError(
                f"{array.path}: {array.shape[0]} groups for the {count} rows of {class_file}; need one each"
            )
        found.append(np.concatenate([part[:, 0].astype(np.int64) for _, part in array.stretches()]))
    return found


def split_groups(root: Path, groups: list[Groups] | None, seed: int, balance: str) -> list[Assignment]:
    """Split the rows of class 0 and of class 1 so that no group has rows in two subsets, each of which is half class 0.

    Args:
        root: the folder, to be named in messages.
        groups: those of the rows of either class, int64 (N,) each, or None if the folder has no group files.
        seed: fixes the split, with the groups; any integer >= 0.
        balance: whether to refuse groups that leave the classes unequal, or to downsample.

    Returns:
        TRAIN, VAL, TEST or DROPPED for each row of class 0 and of class 1, uint8 (N,) each.

    Raises:
        InputError: if the groups give no such split.
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

    Args:
        groups: those of the rows of class 0 and of class 1, int64 (N,) each.
        seed: fixes the split, with the groups; any integer >= 0.

    Returns:
        TRAIN, VAL or TEST for each row of class 0 and of class 1, uint8 (N,) each.
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
    for subset in range(len(SHARES)):
        rows = [np.flatnonzero(assignment == subset) for assignment in assignments]
        keep = min(map(len, rows))
        for assignment, places in zip(assignments, rows, strict=True):
            assignment[rng.permutation(places)[keep:]] = DROPPED
