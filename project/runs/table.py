"""CSV files that grow row by row, are cut where a run resumes, and are read."""

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from project.errors import InputError
from project.runs.disk import write_whole

Columns = dict[str, npt.NDArray[np.float64]]


class Table:
    """A CSV file whose first column is the number of an iteration."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._unwritten = list[str]()  # lines

    @property
    def rows(self) -> int:
        """The number of complete rows, without the header."""
        return max(0, self.path.read_bytes().count(b"\n") - 1) if self.path.exists() else 0

    def create(self, columns: Sequence[str]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(",".join(columns) + "\n", newline="\n")

    def truncate(self, step: int) -> None:
        """Drop the rows after an iteration, and one that was not written to its end."""
        with self.path.open("r+b") as file:
            kept = len(file.readline())
            for line in file:
                try:
                    ends = not line.endswith(b"\n") or float(line.partition(b",")[0]) > step
                except ValueError as error:
                    raise InputError(f"{self.path}: not a table of numbers ({error}); restore it") from error
                if ends:
                    break
                kept += len(line)
            file.truncate(kept)

    def forget_last(self, columns: int) -> None:
        """Empty the cells of the last row, but for the first so many columns."""
        *rows, last = self.path.read_bytes().splitlines(keepends=True)
        cells = last.rstrip(b"\n").split(b",")
        cells[columns:] = [b""] * (len(cells) - columns)
        write_whole(self.path, b"".join([*rows, b",".join(cells), b"\n"]))

    def append(self, rows: Iterable[Sequence[float | None]]) -> None:
        """Add rows and wait until they are on the disk; None is an empty cell.

        If that fails, none of them is there, and the next call tries again.
        """
        for row in rows:
            self._unwritten.append(",".join("" if cell is None else format(cell, ".9g") for cell in row) + "\n")
        with self.path.open("ab", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            data = memoryview("".join(self._unwritten).encode())
            try:
                while data:  # A disk that gets full takes a part first, and says so only of the rest.
                    data = data[file.write(data) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise
        self._unwritten.clear()

    def read(self) -> Columns:
        """Return the columns by name, NaN where a cell is empty; a file that is no such table is an InputError."""
        try:
            with self.path.open(newline="", encoding="utf-8-sig") as file:  # A spreadsheet writes a BOM.
                header, *rows = csv.reader(file)
            if header[0] != "step":
                raise ValueError("its first line names no step")
            values = np.array([[float(cell or "nan") for cell in row] for row in rows]).reshape(-1, len(header))
        except FileNotFoundError as error:
            raise InputError(f"{self.path}: missing; the run's losses were recorded there") from error
        except ValueError as error:
            raise InputError(f"{self.path}: not a table of numbers ({error}); restore it") from error
        return dict(zip(header, values.T, strict=True))
