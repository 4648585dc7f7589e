"""What ``test`` found of each row, and the table that holds it."""

from collections.abc import Iterable, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from project.data.split import Groups


class Tested(NamedTuple):
    """What ``test`` found: after how many iterations, and each row's label and probability of class 1, float64 (N,).

    Of a split by groups, the group of each row, int64 (N,), tells which rows are not independent.
    """

    step: int
    labels: npt.NDArray[np.float64]
    probabilities: npt.NDArray[np.float64]
    groups: Groups | None = None


def predictions_csv(rows: Sequence[int], found: Tested) -> str:
    """Return a line a row: its number in its class file, its label, its probability and, if there is one, its group."""
    cells = [f"{p:.9g}" if isfinite(p) else "" for p in found.probabilities.tolist()]
    columns: dict[str, Iterable[Any]] = {"row": rows, "class": found.labels.astype(int).tolist(), "probability": cells}
    if found.groups is not None:
        columns["group"] = found.groups.tolist()
    return "".join(",".join(map(str, row)) + "\n" for row in [columns, *zip(*columns.values(), strict=True)])


def read_predictions(path: Path, step: int) -> Tested:
    """Read the table that ``predictions_csv`` made of a checkpoint after so many iterations.

    Raises:
        OSError: if it is not there.
        ValueError: if it is no such table.
    """
    table = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2, converters=lambda cell: float(cell or "nan"))
    if table.shape[1] < 3:
        raise ValueError(f"it has {table.shape[1]} columns")
    groups = np.loadtxt(path, np.int64, delimiter=",", skiprows=1, usecols=3) if table.shape[1] > 3 else None
    return Tested(step, table[:, 1], table[:, 2], groups)


def tested_name(checkpoint: str) -> str:
    """Return what the files of a test are called: "test" for last.ckpt, and "test-best" for best.ckpt."""
    return "test" if checkpoint == "last" else f"test-{checkpoint}"


def tested_checkpoint(test: str) -> str:
    """Return the checkpoint's name in what the files of its test are called."""
    return test.removeprefix("test").removeprefix("-") or "last"
