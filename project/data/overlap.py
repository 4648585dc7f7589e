"""Which rows stand in two places: in both classes, or in train and in test."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from project.data.arrays import Array, chunks
from project.data.split import TEST, TRAIN, Assignment

Hashes = npt.NDArray[np.uint64]


class Overlap(NamedTuple):
    same_rows: bool  # both classes hold the same rows, in whatever order
    both_classes: int  # different feature vectors that occur in both classes
    test_in_train: int  # test rows that also occur, with either label, among the training rows


def find_overlap(arrays: list[Array], assignments: list[Assignment]) -> Overlap:
    """Compare the rows of both classes, as the float32 features that training sees."""
    hashes = [hash_rows(array) for array in arrays]
    train = np.concatenate([h[a == TRAIN] for h, a in zip(hashes, assignments, strict=True)])
    test = np.concatenate([h[a == TEST] for h, a in zip(hashes, assignments, strict=True)])
    test_in_train = int(np.isin(test, train).sum())
    for h in hashes:
        h.sort()
    both_classes = len(np.intersect1d(hashes[0], hashes[1]))
    return Overlap(np.array_equal(hashes[0], hashes[1]), both_classes, test_in_train)


def hash_rows(array: Array) -> Hashes:
    """Return a 64-bit hash, uint64 (N,), of each row: equal rows have equal hashes, others differ all but surely."""
    hashes = np.empty(len(array), np.uint64)
    for start, values in chunks(array):
        bits = (values + np.float32(0)).view(np.uint32)  # adding 0 makes -0 and 0 the same row
        mixed = np.zeros(len(values), np.uint64)
        for column in bits.T:
            mixed = _splitmix64(mixed ^ column)
        hashes[start : start + len(values)] = mixed
    return hashes


def _splitmix64(x: Hashes) -> Hashes:
    """Mix 64 bits: Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators"."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
