"""The table of what ``test`` found of each row."""

import csv
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
    """Read the table that ``predictions_csv`` made after so many iterations.

    Raises:
        OSError: if it is not there.
        LookupError, TypeError, ValueError: if it is no such table.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    labels, probabilities = ([float(row[name] or "nan") for row in rows] for name in ("class", "probability"))
    groups = np.array([int(row["group"]) for row in rows]) if "group" in rows[0] else None
    return Tested(step, np.array(labels), np.array(probabilities), groups)


def tested_name(checkpoint: str) -> str:
    """Return what the files of a test are called: "test" for last.ckpt, and "test-best" for best.ckpt."""
    return "test" if checkpoint == "last" else f"test-{checkpoint}"


def tested_checkpoint(test: str) -> str:
    """Return the checkpoint's name in what the files of its test are called."""
    return test.removeprefix("test").removeprefix("-") or "last"
