"""What a run folder contains, and how runs and checkpoints are found."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from project.errors import InputError
from project.table import Columns, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from project.data import NpyDataModule
    from project.model import BinaryClassifier

LOGS = "lightning_logs"


class Run:
    """The folder of one training run.

    Args:
        where: the folder, or a run's name under lightning_logs.
    """

    def __init__(self, where: Path | str) -> None:
        named = Path(LOGS) / where
        self.path = named if len(Path(where).parts) == 1 and not os.path.isdir(where) else Path(where)  # noqa: PTH112

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

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
    def table(self) -> Table:
        """The losses of every iteration, and the metrics of every validation, as they lie on the disk."""
        return Table(self.path / "history.csv")

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def trained(self) -> bool:
        """Whether a checkpoint of at least one iteration is there."""
        return self.last.exists() and (self.table.rows > 0 or not self.table.path.exists())

    def options(self) -> dict[str, Any]:
        """Return config.yaml as nested plain values; nothing that it names is imported.

        Raises:
            InputError: if it is missing, or no such file.
        """
        import yaml  # noqa: PLC0415 (only runs that are read again need it)

        try:
            options = yaml.safe_load(self.config.read_text())
        except FileNotFoundError as error:
            raise InputError(f"{self.config}: missing; fit writes it") from error
        except (ValueError, yaml.YAMLError) as error:
            raise InputError(f"{self.config}: not a config; restore it") from error
        if not isinstance(options, dict):
            raise InputError(f"{self.config}: not a config; restore it")
        return options

    def history(self) -> Columns:
        """Return history.csv's columns by name, NaN where a cell is empty.

        Raises:
            InputError: if there is none.
        """
        return self.table.read()

    def model(self) -> "BinaryClassifier":
        """Return the model of last.ckpt, ready to predict.

        Raises:
            InputError: if the checkpoint is missing, damaged or not one of ours.
        """
        from project.checkpoint import load, rebuild  # noqa: PLC0415 (who looks for a run need not wait for torch)
        from project.model import BinaryClassifier  # noqa: PLC0415

        return rebuild(load(self.last), BinaryClassifier)

    def data(self) -> "NpyDataModule":
        """Return the data that the run was trained on, set up.

        Raises:
            InputError: if they are missing, or are not what they were.
        """
        from project.plot import Drawing  # noqa: PLC0415

        return Drawing(self).data

    def figure(self, name: str) -> "Figure":
        """Draw one of the run's figures: scatter, loss, accuracy, boundary.

        Raises:
            InputError: if there is no such figure, or what it shows is missing.
        """
        from project.plot import Drawing  # noqa: PLC0415

        return Drawing(self).figure(name)

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
        number = max((int(p.name[8:]) for p in logs.glob("version_*") if p.name[8:].isdecimal()), default=-1) + 1
        while True:  # Of processes that saw the same number, mkdir decides which one gets it.
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


def find_checkpoint(logs: Path, name: str | None, wanted: str) -> Path:
    """Return the checkpoint FILE, or ``last`` or ``best`` of the named run or else of the newest trained one."""
    if wanted not in ("last", "best"):
        return Path(wanted)
    run = Run(logs / name) if name is not None else Run.newest(logs)
    return run.last if wanted == "last" else run.best
