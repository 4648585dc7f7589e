"""Checks of the data before training: bad values, odd scales, overlap.

One pass over the values and one over the bytes of either file find all of it.
"""

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from project.data.npy import Array, ArrayFile
from project.data.split import TEST, TRAIN, Assignment
from project.errors import InputError, InputWarning, join_words, name_columns

EXACT_INTEGERS = 2**24  # float32 holds every integer up to here.
MOST_COMPARED = 2**24  # rows whose hashes are kept to be compared, 8 bytes each
BLOCK = 1 << 18  # bytes, or hashes, that are looked at together
FEW_DIGITS = 2.0**-16  # of a mean, below which float32 leaves a deviation fewer than 8 bits
VAST_RATIO = 1e3  # between the deviations of two features, which one step size can no longer serve

Features = npt.NDArray[np.float32 | np.float64]  # whichever holds every value of its file
Hashes = npt.NDArray[np.int64]


class Overlap(NamedTuple):
    same_rows: bool  # Both classes hold the same rows, in whatever order.
    both_classes: int  # different feature vectors that occur in both classes
    test_in_train: int  # test rows that also occur, with either label, among the training rows


class Moments:
    """Mean, deviation and range, float64 (j,) each, of rows that come in parts.

    They are merged as Chan, Golub and LeVeque (1983) do, which costs no digits where the mean is large.
    """

    def __init__(self) -> None:
        self.rows, self.mean, self.squares = 0, torch.zeros(()), torch.zeros(())
        self.low, self.high = torch.tensor(torch.inf), torch.tensor(-torch.inf)

    def add(self, features: Tensor) -> None:
        """Take in n >= 1 rows, (n, j)."""
        values = features.double()
        n, mean = len(values), values.mean(0)
        delta, total = mean - self.mean, self.rows + n
        between = delta.square() * (self.rows * n / total)
        self.squares = self.squares + (values - mean).square().sum(0) + between
        self.mean, self.rows = self.mean + delta * (n / total), total
        self.low, self.high = values.amin(0).minimum(self.low), values.amax(0).maximum(self.high)

    @property
    def std(self) -> Tensor:
        """The population standard deviation, float64 (j,); exactly 0 where all rows are equal."""
        return torch.where(self.low < self.high, (self.squares / self.rows).sqrt(), 0)

    @property
    def constant(self) -> list[int]:
        """The features that are the same in all rows."""
        return torch.where(self.std == 0)[0].tolist()

    def vague(self, share: float) -> list[int]:
        """Return the features that vary, but by no more than a share of their mean."""
        return torch.where((self.std > 0) & (self.std <= share * self.mean.abs()))[0].tolist()

    def warn_of_odd_scales(self, standardize: bool, names: Sequence[str] | None) -> None:
        """Warn of features that are constant, or that suffer from being taken raw."""
        messages, std = list[str](), self.std
        if standardize and (constant := self.constant):
            known_as = names or [f"feature {i + 1}" for i in range(len(std))]
            figures = join_words([known_as[i] for i in constant])
            verb = "is" if len(constant) == 1 else "are"
            messages.append(f"{name_columns(constant)} {verb} constant; standardized to 0 (in figures: {figures})")
        if not standardize and (lost := self.vague(FEW_DIGITS)):
            what = f"{name_columns(lost)}: float32 has few digits for what varies about so large a mean"
            messages.append(f"{what}; use --model.standardize true")
        if not standardize and VAST_RATIO <= (ratio := std.max() / std.min()) < torch.inf:
            messages.append(f"columns differ in scale by {ratio:.0e}; consider --model.standardize true")
        for message in messages:
            warnings.warn(message, InputWarning, stacklevel=2)


def survey(arrays: list[ArrayFile], assignments: list[Assignment]) -> tuple[Moments, Overlap | None]:
    """Return the moments of the training rows of class_0.npy and class_1.npy, and the overlap, or None if too many."""
    moments, compared = Moments(), sum(map(len, assignments)) <= MOST_COMPARED
    marks, done = np.empty(sum(map(len, assignments)) if compared else 0, np.int64), 0
    for array, assignment in zip(arrays, assignments, strict=True):
        for start, values in checked_rows(array):
            if (train := values[assignment[start : start + len(values)] == TRAIN]).size:
                moments.add(torch.from_numpy(train))
            if compared:
                marks[done : done + len(values)] = hash_rows(values) << 2 | assignment[start : start + len(values)]
                done += len(values)
    for array in arrays:  # What varied by less than the distance of their type's numbers is gone.
        precision = float(np.finfo(array.dtype.name).eps) if array.dtype.kind == "f" else 0
        if lost := moments.vague(precision):
            what = f"{name_columns(lost)} vary by less than {array.dtype.name} can tell apart at so large a mean"
            warnings.warn(f"{array.path}: {what}; subtract it before saving", InputWarning, stacklevel=2)
    if not compared:
        return moments, None
    return moments, find_overlap(*np.split(marks, [len(assignments[0])]))


def find_overlap(zeros: Hashes, ones: Hashes) -> Overlap:
    """Compare rows of both classes by their hashes, whose last two bits are the subset; the hashes are spent on it.

    They are sorted where they are, and looked up in parts, because a copy would take as much memory again.
    """
    test_in_train = 0
    for each in zeros, ones:
        each.sort()
    for part in cut(zeros) + cut(ones):
        test = part[part & 3 == TEST] - TEST + TRAIN  # as the same rows would be in train
        test_in_train += int((occur_in(zeros, test) | occur_in(ones, test)).sum())
    for each in zeros, ones:
        np.right_shift(each, 2, out=each)
    in_both = [part[occur_in(zeros, part)] for part in cut(ones)]
    return Overlap(np.array_equal(zeros, ones), len(np.unique(np.concatenate(in_both))), test_in_train)


def cut(hashes: Hashes) -> list[Hashes]:
    return np.array_split(hashes, len(hashes) // BLOCK + 1)


def checked_rows(array: ArrayFile) -> Iterator[tuple[int, Features]]:
    """Yield (number of the first row, consecutive rows (n, j)), and refuse NaN, infinite and too large values."""
    bad, first, largest, place = 0, None, 0.0, ""
    for start, part in array.stretches():
        values = exact(part)
        if part.dtype.kind in "iu":
            largest = max(largest, np.abs(values).max())
        with np.errstate(over="ignore", invalid="ignore"):  # What does not fit is reported below.
            rows, places = np.nonzero(~np.isfinite(values.astype(np.float32, copy=False)))
        bad += int((~np.isfinite(part[rows, places])).sum())  # The other ones are beyond float32.
        if rows.size and first is None:
            first, place = part[rows[0], places[0]], f"at row {start + rows[0]}, column {places[0]}"
        if first is None:
            yield start, values
    if first is not None:
        if np.isfinite(first):
            raise InputError(f"{array.path}: value {first:.2g} {place} is too large for float32; rescale")
        count = "1 value is" if bad == 1 else f"{bad} values are"
        raise InputError(f"{array.path}: {count} NaN or infinite; first: {first} {place}; remove such rows")
    if largest > EXACT_INTEGERS:
        warnings.warn(f"{array.path}: values above 2^24 lose precision in float32", InputWarning, stacklevel=2)


def exact(rows: Array) -> Features:
    """Return rows as float32 or, where that could lose digits, as float64."""
    kind = np.float32 if np.can_cast(rows.dtype, np.float32) else np.float64
    with np.errstate(invalid="ignore"):  # A signaling NaN is refused as any other.
        return rows.astype(kind, copy=False)


def occur_in(others: Hashes, hashes: Hashes) -> npt.NDArray[np.bool_]:
    """Tell of each hash, bool (n,), whether it is among others, which are sorted; np.isin takes 40 times as long."""
    places = np.searchsorted(others, hashes)
    return np.equal(others[np.minimum(places, len(others) - 1)], hashes)


def hash_rows(values: Features) -> Hashes:
    """Return a hash, int64 (N,), of each row (N, j)."""
    rows = np.ascontiguousarray(values, np.float64) + 0  # Adding 0 makes -0 and 0 the same row.
    as_bytes = rows.view(f"V{rows.shape[1] * rows.itemsize}")[:, 0].tolist()
    return np.fromiter(map(hash, as_bytes), np.int64, len(rows))


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, as sha256sum prints it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
