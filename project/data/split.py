"""Which row goes where: every row of a class lands in exactly one subset, the same numbers for either class."""

import numpy as np
import numpy.typing as npt

TRAIN, VAL, TEST, DROPPED = range(4)
SUBSETS = {"train": TRAIN, "val": VAL, "test": TEST}
MIN_ROWS = 5  # fewer leave a 60/20/20 split with an empty subset

Assignment = npt.NDArray[np.uint8]
Groups = npt.NDArray[np.int64]  # the number of the group that each row belongs to


def split(rows: int, keep: int, seed: int, class_index: int) -> Assignment:
    """Deal the rows of one class into train, validation and test, 60/20/20.

    Shuffling the assignment instead of the rows costs one byte a row.

    Args:
        rows: number of rows N of the class, N >= 5.
        keep: how many of them to use, 5 <= keep <= rows; the others are DROPPED.
        seed: fixes the split, with rows, keep and class_index; any integer >= 0.
        class_index: 0 or 1; the classes are shuffled independently of each other.

    Returns:
        (N,) uint8: TRAIN, VAL, TEST or DROPPED for each row; with k = keep // 5, k rows are VAL, k are TEST and
        keep - 2 k are TRAIN.
    """
    fifth = keep // 5
    counts = [keep - 2 * fifth, fifth, fifth, rows - keep]
    assignment = np.repeat(np.array([TRAIN, VAL, TEST, DROPPED], np.uint8), counts)
    np.random.default_rng([seed, class_index]).shuffle(assignment)
    return assignment
