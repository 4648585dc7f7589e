"""Checks of the data before training: bad values, odd scales, overlap, fingerprint.

One pass over the values and one over the bytes of either file find all of it.
"""

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from lightning.fabric.utilities.data import sized_len
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from project.data.npy import Array, ArrayFile
from project.data.split import TEST, TRAIN, Assignment
from project.errors import InputError, InputWarning, join_words, name_columns

EXACT_INTEGERS = 2**24  # float32 holds every integer up to here.
MOST_COMPARED = 2**24  # rows whose hashes are kept to be compared, 8 bytes each
BLOCK = 1 << 20
FEW_DIGITS = 2.0**-16  # of a mean, below which float32 leaves a deviation fewer than 8 bits
VAST_RATIO = 1e3  # between the deviations of two features, which one step size can no longer serve

Features = npt.NDArray[np.float32 | np.float64]  # whichever holds every value of its file
Hashes = npt.NDArray[np.uint64]
Fingerprint = dict[str, Any]


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


def survey(arrays: list[ArrayFile], assignments: list[Assignment]) -> tuple[Moments, Overlap | None]:
    """Return the moments of the training rows of class_0.npy and class_1.npy, and the overlap, or None if too many."""
    moments, compared = Moments(), sum(map(len, assignments)) <= MOST_COMPARED
    hashes = [np.empty(len(assignment) if compared else 0, np.uint64) for assignment in assignments]
    for array, assignment, marks in zip(arrays, assignments, hashes, strict=True):
        for start, values in checked_rows(array):
            if (train := values[assignment[start : start + len(values)] == TRAIN]).size:
                moments.add(torch.from_numpy(train))
            if compared:
                marks[start : start + len(values)] = hash_rows(values)
    for array in arrays:  # What varied by less than the distance of their type's numbers is gone.
        precision = float(np.finfo(array.dtype.name).eps) if array.dtype.kind == "f" else 0
        if lost := vague(moments.mean, moments.std, precision):
            what = f"{name_columns(lost)} vary by less than {array.dtype.name} can tell apart at so large a mean"
            warnings.warn(f"{array.path}: {what}; subtract it before saving", InputWarning, stacklevel=2)
    return moments, find_overlap(hashes, assignments) if compared else None


def checked_rows(array: ArrayFile) -> Iterator[tuple[int, Features]]:
    """Yield (number of the first row, consecutive rows (n, j)), and refuse NaN, infinite and too large values."""
    bad, first, largest, place = 0, None, 0, ""
    for start, part in array.stretches():
        values = exact(part)
        if part.dtype.kind in "iu":
            largest = max(largest, int(part.max()), -int(part.min()))
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


def find_overlap(hashes: list[Hashes], assignments: list[Assignment]) -> Overlap:
    """Find equal rows among the hashes, (N,) each, of the rows of class 0 and of class 1."""
    marks, subsets = np.concatenate(hashes), np.concatenate(assignments)
    zeros, ones, test, train = map(np.sort, [*hashes, marks[subsets == TEST], marks[subsets == TRAIN]])
    in_both = np.unique(ones[occur_in(zeros, ones)])
    return Overlap(np.array_equal(zeros, ones), len(in_both), int(occur_in(train, test).sum()))


def occur_in(others: Hashes, hashes: Hashes) -> npt.NDArray[np.bool_]:
    """Tell of each hash, bool (n,), whether it is among others; both are sorted."""
    places = np.searchsorted(others, hashes)
    return np.equal(others[np.minimum(places, len(others) - 1)], hashes)


def hash_rows(values: Features) -> Hashes:
    """Return a hash, uint64 (N,), of each row (N, j), mixed as Steele, Lea and Flood (2014) do in SplitMix."""
    mixed = np.zeros(len(values), np.uint64)
    for column in values.T:
        bits = (column.astype(np.float64) + 0).view(np.uint64)  # Adding 0 makes -0 and 0 the same row.
        mixed = (mixed ^ bits) + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed


def moments_of(loader: Any, device: torch.device, check_width: Callable[[Tensor], None]) -> Moments:
    """Return the moments of the features that a loader gives with their labels, in one pass."""
    if sized_len(loader) is None:
        raise ValueError("standardize: needs a loader that ends; use standardize=False")
    moments = Moments()
    with isolate_rng():  # The order in which a loader shuffles must not depend on this pass.
        for features, _ in loader:
            check_width(features)
            moments.add(features.to(device))
    return moments


def warn_of_odd_scales(mean: Tensor, std: Tensor, standardize: bool, names: Sequence[str] | None) -> None:
    """Warn of training features, of mean and deviation (j,), that are constant, or that suffer from being taken raw."""
    constant, lost, messages = places(std == 0), vague(mean, std, FEW_DIGITS), list[str]()
    if standardize and constant:
        verb, known_as = "is" if len(constant) == 1 else "are", names or [f"feature {i + 1}" for i in range(len(std))]
        figures = join_words([known_as[i] for i in constant])
        messages.append(f"{name_columns(constant)} {verb} constant; standardized to 0 (in figures: {figures})")
    if not standardize and lost:
        what = f"{name_columns(lost)}: float32 has few digits for what varies about so large a mean"
        messages.append(f"{what}; use --model.standardize true")
    if not standardize and not constant and (ratio := std.max() / std.min()) >= VAST_RATIO:
        messages.append(f"columns differ in scale by {ratio:.0e}; consider --model.standardize true")
    for message in messages:
        warnings.warn(message, InputWarning, stacklevel=2)


def vague(mean: Tensor, std: Tensor, share: float) -> list[int]:
    """Return the features, of mean and deviation (j,), that vary by no more than a share of their mean."""
    return places((std > 0) & (std <= share * mean.abs()))


def places(condition: Tensor) -> list[int]:
    """Return where a condition, bool (j,), holds."""
    return condition.nonzero()[:, 0].tolist()


def fingerprint(files: list[Path], assignments: list[Assignment], seed: int, rows: dict[str, int]) -> Fingerprint:
    """Describe two class files and which of their rows went where, so that no others pass for test rows."""
    split = hashlib.sha256(np.concatenate(assignments).data).hexdigest()
    return {"sha256": [hash_file(file) for file in files], "seed": seed, "rows": rows, "split": split}


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, as sha256sum prints it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def check_same(root: Path, here: Fingerprint, trained_on: Fingerprint | None) -> None:
    """Refuse, by an InputError, a checkpoint of other data or another split, which could know the test rows."""
    if trained_on is None:
        raise InputError(f"{root}: the checkpoint does not say what it was trained on; it cannot be compared")
    if trained_on["sha256"] != here["sha256"]:
        digests = "{:.12}..., {:.12}...".format(*trained_on["sha256"])
        found, remedy = f"other data (sha256 {digests})", "name its folder with --data.root"
        raise InputError(f"{root}: the checkpoint was trained on {found}; {remedy}")
    remedy = "leave the data options out"
    if trained_on["seed"] != here["seed"]:
        known, new = (f"{each['seed']} with rows {each['rows']}" for each in (trained_on, here))
        raise InputError(f"--data.seed: the checkpoint was trained on split seed {known}, not {new}; {remedy}")
    if trained_on != here:
        found = f"another split of {root}, with rows {trained_on['rows']}, not {here['rows']}"
        remedy += ", and the group files as they were"
        raise InputError(f"--data.split: the checkpoint was trained on {found}; {remedy}")
