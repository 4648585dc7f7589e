"""What a run folder contains, and how a run is found."""

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from project.errors import InputError

LOGS = "lightning_logs"


@dataclass(frozen=True)
class Run:
    """The folder of one training run."""

    path: Path

    @property
    def config(self) -> Path:
        """Everything needed to run it again."""
        return self.path / "config.yaml"

    @property
    def last(self) -> Path:
        """The checkpoint after the newest validation."""
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def best(self) -> Path:
        """The checkpoint of the lowest validation loss."""
        return self.path / "checkpoints" / "best.ckpt"

    @property
    def history(self) -> "Table":
        """Losses of every iteration, and loss and accuracy of every validation."""
        return Table(self.path / "history.csv")

    @property
    def losses(self) -> "Table":
        """Both BCE and MSE of every validation, whichever of them trains."""
        return Table(self.path / "losses.csv")

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def trained(self) -> bool:
        """Whether a checkpoint of at least one iteration is there."""
        return self.last.exists() and self.history.rows > 0

    @classmethod
    def of_checkpoint(cls, checkpoint: Path) -> "Run | None":
        """Return the run that a checkpoint lies in, or None if it lies elsewhere."""
        run = cls(checkpoint.absolute().parent.parent)
        return run if run.config.exists() else None

    @classmethod
    def claim(cls, logs: Path, name: str | None) -> "Run":
        """Make a new run folder that no other process has: NAME, or else the next version_N.

        Raises:
            InputError: if NAME exists.
            OSError: if the folder cannot be made.
        """
        logs.mkdir(parents=True, exist_ok=True)
        if name is not None:
            try:
                (logs / name).mkdir()
            except FileExistsError as error:
                raise InputError(
                    f"--name: {logs / name} exists; choose another name, or resume it with "
                    f"--ckpt_path {cls(logs / name).last}"
                ) from error
            return cls(logs / name)
        number = max((int(p.name[8:]) for p in logs.glob("version_*") if p.name[8:].isdigit()), default=-1) + 1
        while True:  # mkdir is what decides between processes that saw the same number
            try:
                (logs / f"version_{number}").mkdir()
                return cls(logs / f"version_{number}")
            except FileExistsError:
                number += 1

    @classmethod
    def newest(cls, logs: Path) -> "Run":
        """Return the run that was trained last.

        Raises:
            InputError: if there is none.
        """
        runs = [run for folder in logs.glob("*/") if (run := cls(folder)).trained]
        if not runs:
            raise InputError(f"{logs}: no trained run here; run fit first, or name a file with --ckpt_path")
        return max(runs, key=lambda run: run.last.stat().st_mtime_ns)


@dataclass(frozen=True)
class Table:
    """A CSV file whose first column is the number of an iteration, growing row by row."""

    path: Path

    @property
    def rows(self) -> int:
        """How many complete rows there are, the header not counted."""
        return max(0, self.path.read_bytes().count(b"\n") - 1) if self.path.exists() else 0

    def create(self, columns: Sequence[str]) -> None:
        """Write the header of an empty table."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(",".join(columns) + "\n")

    def truncate(self, step: int) -> None:
        """Drop the rows after an iteration, and one that was not written to its end."""
        with self.path.open("r+b") as file:
            kept = len(file.readline())
            for line in file:
                if not line.endswith(b"\n") or int(line.partition(b",")[0]) > step:
                    break
                kept += len(line)
            file.truncate(kept)

    def append(self, rows: Iterable[Sequence[float | None]]) -> None:
        """Add rows and wait until they are on the disk, all of them or, if that fails, none; None is an empty cell."""
        lines = [",".join("" if cell is None else format(cell, ".9g") for cell in row) + "\n" for row in rows]
        with self.path.open("ab", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            data = memoryview("".join(lines).encode())
            try:
                while data:  # a disk that gets full takes a part first, and says so only of the rest
                    data = data[file.write(data) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise

    def read(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return the columns by name, NaN where a cell is empty."""
        with self.path.open(newline="") as file:
            header, *rows = csv.reader(file)
        values = np.array([[float(cell or "nan") for cell in row] for row in rows]).reshape(-1, len(header))
        return dict(zip(header, values.T, strict=True))
