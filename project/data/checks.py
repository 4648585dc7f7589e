"""What is noticed about the data before training: bad values, overlap, fingerprint.

One pass over the values and one over the bytes of either file find all of it.
"""

import hashlib
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from project.data.npy import Array, ArrayFile
from project.data.scales import Moments, tell_lost_digits
from project.data.split import TEST, TRAIN, Assignment
from project.errors import InputError, InputWarning

EXACT_INTEGERS = 2**24  # float32 holds every integer up to here.
MOST_COMPARED = 2**24  # rows whose hashes are kept to be compared, 8 bytes each
BLOCK = 1 << 20

Features = npt.NDArray[np.float32 | np.float64]  # whichever holds every value of its file
Hashes = npt.NDArray[np.uint64]
Fingerprint = dict[str, Any]


class Overlap(NamedTuple):
    same_rows: bool  # Both classes hold the same rows, in whatever order.
    both_classes: int  # different feature vectors that occur in both classes
    test_in_train: int  # test rows that also occur, with either label, among the training rows


def survey(arrays: list[ArrayFile], assignments: list[Assignment]) -> tuple[Moments, Overlap | None]:
    """Look at every value of class_0.npy and class_1.npy once.

    Args:
        arrays: the two files.
        assignments: the subset of each of their rows, uint8 (N,).

    Returns:
        The moments of the training rows, and the overlap, or None if there are too many rows to compare.

    Raises:
        InputError: as checked_rows.
    """
    moments, rows = Moments(), sum(array.shape[0] for array in arrays)
    marks = np.empty(rows if rows <= MOST_COMPARED else 0, np.uint64)
    sums, done = np.zeros(2, np.uint64), 0  # Sums of hashes may wrap around.
    for label, (array, assignment) in enumerate(zip(arrays, assignments, strict=True)):
        for start, values in checked_rows(array):
            subset = assignment[start : start + len(values)]
            if (train := values[subset == TRAIN]).size:
                moments.add(torch.from_numpy(train))
            if len(marks):
                hashes = hash_rows(values)
                sums[label : label + 1] += hashes.sum(dtype=np.uint64)
                marks[done : done + len(values)] = mark(hashes, label, subset)
                done += len(values)
    for array in arrays:
        tell_lost_digits(array, moments)
    same = arrays[0].shape == arrays[1].shape and bool(sums[0] == sums[1])
    return moments, find_overlap(marks, same) if len(marks) else None


def checked_rows(array: ArrayFile) -> Iterator[tuple[int, Features]]:
    """Yield (number of the first row, consecutive rows (n, j)), and refuse the file at its end.

    They are float32 where that holds every value of the file's type, and else float64.

    Raises:
        InputError: if a cell is NaN, infinite or beyond float32; the first one is named.
    """
    bad, first, largest, named = 0, None, 0, ""
    for start, part in array.stretches():
        values = exact(part)
        if part.dtype.kind in "iu":
            largest = max(largest, int(part.max()), -int(part.min()))
        with np.errstate(over="ignore", invalid="ignore"):  # What does not fit is reported below.
            rows, places = np.nonzero(~np.isfinite(values.astype(np.float32, copy=False)))
        bad += int((~np.isfinite(part[rows, places])).sum())  # The other ones are beyond float32.
        if rows.size and first is None:
            first = part[rows[0], places[0]]
            named = f"at row {start + rows[0]}, column {places[0]}"
        if first is None:
            yield start, values
    if first is not None:
        if np.isfinite(first):
            raise InputError(f"{array.path}: value {first:.2g} {named} is too large for float32; rescale")
        count = "1 value is" if bad == 1 else f"{bad} values are"
        raise InputError(f"{array.path}: {count} NaN or infinite; first: {first} {named}; remove such rows")
    if largest > EXACT_INTEGERS:
        warnings.warn(f"{array.path}: values above 2^24 lose precision in float32", InputWarning, stacklevel=2)


def exact(rows: Array) -> Features:
    """Return rows as float32 or, where that could lose digits, as float64."""
    kind = np.float32 if np.can_cast(rows.dtype, np.float32) else np.float64
    with np.errstate(invalid="ignore"):  # A signaling NaN is refused as any other.
        return rows.astype(kind, copy=False)


def mark(hashes: Hashes, label: int, subset: Assignment) -> Hashes:
    """Replace the low three bits of each row's hash by what the row is."""
    return (hashes & ~np.uint64(7)) | np.uint64(label) | (subset.astype(np.uint64) << np.uint64(1))


def find_overlap(marks: Hashes, same_rows: bool) -> Overlap:
    """Find equal rows among marked hashes, which are sorted in place."""
    marks.sort()
    repeated = np.zeros(len(marks), bool)
    for start in range(0, len(marks) - 1, BLOCK):  # so that no copy of all of them is made
        part = marks[start : start + BLOCK + 1] >> np.uint64(3)
        equal = part[1:] == part[:-1]
        repeated[start : start + len(equal)] |= equal
        repeated[start + 1 : start + 1 + len(equal)] |= equal
    marks = marks[repeated]
    if not len(marks):
        return Overlap(same_rows, 0, 0)
    row, label, subset = marks >> np.uint64(3), marks & np.uint64(1), (marks & np.uint64(7)) >> np.uint64(1)
    first = np.flatnonzero(np.concatenate([[True], row[1:] != row[:-1]]))
    in_class_0, in_class_1, in_train = (
        np.logical_or.reduceat(condition, first) for condition in (label == 0, label == 1, subset == TRAIN)
    )
    tests = np.add.reduceat((subset == TEST).astype(np.int64), first)
    return Overlap(same_rows, int((in_class_0 & in_class_1).sum()), int(tests[in_train].sum()))


def hash_rows(values: Features) -> Hashes:
    """Return a 64-bit hash, uint64 (N,), of each row: equal rows have equal hashes, others differ all but surely.

    Each column is mixed in as Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators", do.
    """
    mixed = np.zeros(len(values), np.uint64)
    for column in values.T:
        bits = (column.astype(np.float64) + 0).view(np.uint64)  # Adding 0 makes -0 and 0 the same row.
        mixed = (mixed ^ bits) + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed


def fingerprint(files: list[Path], assignments: list[Assignment], seed: int, rows: dict[str, int]) -> Fingerprint:
    """Describe class_0.npy and class_1.npy and which of their rows, uint8 (N,), went where by which seed.

    So no other rows pass for the test rows.
    """
    split = _hash(assignment.data for assignment in assignments)
    return {"sha256": [hash_file(file) for file in files], "seed": seed, "rows": rows, "split": split}


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, as sha256sum prints it."""
    with path.open("rb") as file:
        return _hash(iter(lambda: file.read(BLOCK), b""))


def _hash(blocks: Iterable[bytes | memoryview]) -> str:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


def check_same(root: Path, here: Fingerprint, trained_on: Fingerprint) -> None:
    """Refuse, by an InputError, a checkpoint of other data or another split, which could know the test rows."""
    if trained_on["sha256"] != here["sha256"]:
        first, second = (digest[:12] for digest in trained_on["sha256"])
        raise InputError(
            f"{root}: the checkpoint was trained on other data (sha256 {first}..., {second}...); "
            f"name its folder with --data.root"
        )
    if trained_on["seed"] != here["seed"]:
        raise InputError(
            f"--data.seed: the checkpoint was trained on split seed {trained_on['seed']} with rows "
            f"{trained_on['rows']}, not {here['seed']} with {here['rows']}; leave the data options out"
        )
    if trained_on != here:
        raise InputError(
            f"--data.split: the checkpoint was trained on another split of {root}, with rows "
            f"{trained_on['rows']}, not {here['rows']}; leave the data options out, and the group files as they were"
        )
