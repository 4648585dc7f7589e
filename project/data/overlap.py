"""Which rows stand in two places: in both classes, or in train and in test."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from project.data.arrays import Array, chunks
from project.data.split import TEST, TRAIN, Assignment

Hashes = npt.NDArray[np.uint64]

BUCKET_ROWS = 2**19
MOST_BUCKETS = 32  # that are all looked at: of larger data, only the first of them


class Overlap(NamedTuple):
    same_rows: bool  # both classes hold the same rows, in whatever order
    both_classes: int  # different feature vectors that occur in both classes
    test_in_train: int  # test rows that also occur, with either label, among the training rows
    buckets: int = 1  # one in so many different rows was compared


def find_overlap(arrays: list[Array], assignments: list[Assignment]) -> Overlap:
    """Compare the rows of both classes, as the float32 features that training sees.

    Rows are compared by their hashes, those of one bucket at a time, so that memory stays bounded; the files are read
    once for each of them. To read 16 million rows more than 32 times would take too long: then those of one bucket, in
    which equal rows still meet, stand for all.
    """
    rows = sum(len(array) for array in arrays)
    buckets = -(-rows // BUCKET_ROWS)
    compared = buckets if buckets <= MOST_BUCKETS else 1
    both_classes = test_in_train = 0
    sums = [0, 0]
    for bucket in range(compared):
        parts = []
        for label, (array, assignment) in enumerate(zip(arrays, assignments, strict=True)):
            for start, values in chunks(array):
                hashes = hash_rows(values)
                # The low three bits make way for what the row is.
                marks = np.uint64(label) | (assignment[start : start + len(values)].astype(np.uint64) << np.uint64(1))
                mine = (hashes >> np.uint64(32)) % np.uint64(buckets) == bucket
                parts.append((hashes[mine] & ~np.uint64(7)) | marks[mine])
                sums[label] += int(hashes[mine].sum(dtype=np.uint64))
        marked = np.concatenate(parts)
        marked.sort()
        first = np.flatnonzero(np.diff(marked >> np.uint64(3), prepend=marked[:1] >> np.uint64(3)) != 0)
        first = np.concatenate([[0], first]) if len(marked) else first
        kinds = marked & np.uint64(7)
        in_class = [np.logical_or.reduceat((kinds & np.uint64(1)) == label, first) for label in (0, 1)]
        subset = kinds >> np.uint64(1)
        in_train = np.logical_or.reduceat(subset == TRAIN, first)
        tests = np.add.reduceat((subset == TEST).astype(np.int64), first)
        both_classes += int((in_class[0] & in_class[1]).sum())
        test_in_train += int(tests[in_train].sum())
    same_rows = len(arrays[0]) == len(arrays[1]) and sums[0] % 2**64 == sums[1] % 2**64
    return Overlap(same_rows, both_classes, test_in_train, buckets // compared)


def hash_rows(values: npt.NDArray[np.float32]) -> Hashes:
    """Return a 64-bit hash, uint64 (N,), of each row: equal rows have equal hashes, others differ all but surely."""
    bits = (values + np.float32(0)).view(np.uint32)  # adding 0 makes -0 and 0 the same row
    mixed = np.zeros(len(values), np.uint64)
    for column in bits.T:
        mixed = _splitmix64(mixed ^ column)
    return mixed


def _splitmix64(x: Hashes) -> Hashes:
    """Mix 64 bits: Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators"."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
