"""CSV files of a run folder: a table that grows by iterations, and one of what ``test`` found of each row."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from project.data.split import Groups
from project.errors import InputError
from project.runs.disk import append_whole, write_whole

Numbers = npt.NDArray[np.float64]
Columns = dict[str, Numbers]


class Table:
    """A CSV file whose first column is the number of an iteration."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._unwritten = ""  # lines

    @property
    def rows(self) -> int:
        """The number of complete rows, without the header."""
        return max(0, self.path.read_bytes().count(b"\n") - 1) if self.path.exists() else 0

    def create(self, columns: Sequence[str]) -> None:
        self.path.write_text(",".join(columns) + "\n", newline="\n")

    def truncate(self, step: int, columns: int | None = None) -> None:
        """Drop rows after an iteration or not written to their end, and all cells of the last but the first columns."""
        try:
            header, *lines = self.path.read_bytes().splitlines(keepends=True)
            kept = [line for line in lines if line.endswith(b"\n") and float(line.partition(b",")[0]) <= step]
        except ValueError as error:
            raise InputError(f"{self.path}: not a table of numbers ({error}); restore it") from error
        if columns and kept:
            cells = kept[-1].rstrip(b"\r\n").split(b",")
            kept[-1] = b",".join(cells[:columns] + [b""] * (len(cells) - columns)) + b"\n"
        write_whole(self.path, header + b"".join(kept))

    def append(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Add rows of values by their columns' names, whole and lasting; if it fails, the next call tries again.

        A cell is empty where a row has no value, and a value of a column that the file lacks is left out.
        """
        with self.path.open(newline="", encoding="utf-8-sig") as file:  # A spreadsheet writes a BOM.
            columns = next(csv.reader(file))
        for row in rows:
            cells = [format(row[name], ".9g") if name in row else "" for name in columns]
            self._unwritten += ",".join(cells) + "\n"
        append_whole(self.path, self._unwritten.encode())
        self._unwritten = ""

    def read(self) -> Columns:
        """Return the columns by name, float64 (rows,), NaN where a cell is empty."""
        try:
            with self.path.open(newline="", encoding="utf-8-sig") as file:
                header, *rows = csv.reader(file)
            if header[0] != "step":
                raise ValueError("its first line names no step")
            values = np.array([[float(cell or "nan") for cell in row] for row in rows]).reshape(-1, len(header))
        except (FileNotFoundError, ValueError) as error:
            raise InputError(f"{self.path}: not a table of numbers ({error}); restore it") from error
        return dict(zip(header, values.T, strict=True))


class Tested(NamedTuple):
    """What ``test`` found after so many iterations: labels and probabilities of class 1, (N,) each, and groups."""

    step: int
    labels: Numbers
    probabilities: Numbers
    groups: Groups | None = None  # int64 (N,), of a split by groups: which rows are not independent


def read_tested(text: str, step: int) -> Tested:
    """Return what ``tested_csv`` wrote of a test after so many iterations; of other text an error."""
    rows = list(csv.DictReader(text.splitlines()))
    labels, answers = (np.array([float(row[key] or "nan") for row in rows]) for key in ("class", "probability"))
    groups = np.array([int(row["group"]) for row in rows]) if "group" in rows[0] else None
    return Tested(step, labels, answers, groups)


def tested_csv(rows: Sequence[int], found: Tested) -> str:
    """Return a line a row: its number in its class file, its label, its probability, perhaps its group, the answer."""
    probabilities, answers = format_answers(found.probabilities)
    columns = {"row": rows, "class": found.labels.astype(int).tolist(), "probability": probabilities}
    groups = {} if found.groups is None else {"group": found.groups.tolist()}
    return format_csv({**columns, **groups, "answer": answers})


def predicted_csv(probabilities: Numbers, class_names: Sequence[str], threshold: float = 0.5) -> str:
    """Return a line a row: its number, the probability of class 1, the label 0 or 1, and what these are called."""
    cells, labels = format_answers(probabilities, threshold)
    names, of = [class_names[int(label)] if label else "" for label in labels], [class_names[1]] * len(labels)
    columns = {"row": range(len(labels)), "probability": cells, "label": labels}
    return format_csv({**columns, "class": names, "probability_of": of})


def format_answers(probabilities: Numbers, threshold: float = 0.5) -> tuple[list[str], list[str]]:
    """Return probabilities, (N,), and the labels 0 and 1 that they speak for; what is not finite is empty."""
    answers = [(f"{p:.9g}", str(int(p >= threshold))) if isfinite(p) else ("", "") for p in probabilities.tolist()]
    return [cell for cell, _ in answers], [label for _, label in answers]


def format_csv(columns: Mapping[str, Sequence[Any]]) -> str:
    csv.writer(text := io.StringIO(), lineterminator="\n").writerows([columns, *zip(*columns.values(), strict=True)])
    return text.getvalue()


def tested_name(checkpoint: str) -> str:
    """Return what the files of a test are called: "test" for last.ckpt, and "test-best" for best.ckpt."""
    return "test" if checkpoint == "last" else f"test-{checkpoint}"
