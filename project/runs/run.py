"""Run folders: claimed, read, and found again by name or as the newest."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from lightning.pytorch import Trainer

from project.data import NpyDataModule
from project.errors import InputError, join_words
from project.model import BinaryClassifier
from project.runs.checkpoint import load, optimizer_of, rebuild
from project.runs.disk import hold, release
from project.runs.table import Columns, Table, Tested, read_tested, tested_name

LOGS = "lightning_logs"
CHANGED = "differs from the defaults"  # begins the comment that config.yaml begins with
STUDIES = "studies.txt"  # in LOGS: the names of the studies, which are no runs
Kind = type[BinaryClassifier]  # of a run's model


class RunFolder:
    """The folder of one training run, or its name under lightning_logs, and what can be made of it.

    ``kind`` is the class of its model, and ``data`` are its data, if they are at hand already. Whatever is asked for
    and is missing, damaged or not what it was raises an InputError.
    """

    command = "fit"  # which makes such folders
    prefix = "version"  # of the folder's name, before its number, unless it is named
    order = "runs.txt"  # beside the folders: their names, each time that one begins or goes on

    def __init__(self, where: Path | str, kind: Kind = BinaryClassifier, data: NpyDataModule | None = None) -> None:
        named = Path(LOGS) / where
        is_name = len(Path(where).parts) == 1 and (named.is_dir() or not os.path.isdir(where))  # noqa: PTH112
        self.path = named if is_name else Path(where)
        self.config = self.path / "config.yaml"  # everything needed to run it again
        self.last = self.path / "checkpoints" / "last.ckpt"  # the state after the newest validation
        self.best = self.path / "checkpoints" / "best.ckpt"  # the state of the lowest validation loss
        self.figures = self.path / "figures"
        self.film = self.figures / "boundary.gif"
        self.table = Table(self.path / "history.csv")
        self.kind, self._data = kind, data
        self.instead: dict[str, dict[str, Any]] = {}  # nested options that replace those of its config unless None
        self._contents, self._written = dict[str, Any](), 0

    def __repr__(self) -> str:
        state = f"{self.table.rows} iterations" if self.trained else "not trained"
        return f"{type(self).__name__}({str(self.path)!r}: {state})"

    @property
    def trained(self) -> bool:
        """Whether a checkpoint of at least one iteration is there."""
        return self.last.exists() and (self.table.rows > 0 or not self.table.path.exists())

    def options(self) -> dict[str, Any]:
        """Return config.yaml as nested plain values; nothing that it names is imported."""
        try:
            options = yaml.safe_load(self.config.read_text(encoding="utf-8-sig"))
            for group in "data", "model", "trainer", "figures":
                options[group] = dict(options.get(group) or {})
        except (AttributeError, TypeError, FileNotFoundError, ValueError, yaml.YAMLError) as error:
            raise InputError(f"{self.config}: not a config ({error}); restore it") from error
        for group, own in self.instead.items():
            options[group] |= {name: value for name, value in own.items() if value is not None}
        return dict(options)

    def changed_options(self) -> dict[str, Any]:
        """Return the options that are not the defaults, as "optimizer" and "optimizer.lr"; {} if they are not known."""
        with suppress(OSError, ValueError, TypeError, LookupError, yaml.YAMLError):
            lines = self.config.read_text(encoding="utf-8-sig").splitlines()
            comment = [line[2:] for line in lines if line.startswith("# ")]
            return dict(yaml.safe_load("\n".join(comment))[CHANGED])
        return {}

    def optimizer(self) -> tuple[str, list[float]]:
        """Return the class of last.ckpt's optimizer and the rates that it began with, one a group of parameters."""
        return optimizer_of(self.checkpoint())

    def history(self) -> Columns:
        """Return history.csv's columns by name, float64 (rows,), NaN where a cell is empty."""
        return self.table.read()

    def lowest(self, step: int) -> tuple[int, float] | None:
        """Return iteration and value of the lowest validation loss, if after ``step`` iterations it was higher."""
        losses = self.history()["val_loss"][:step] if self.table.path.exists() else np.empty(0)
        if np.isnan(losses).all() or not (lowest := np.nanmin(losses)) < losses[-1]:
            return None
        return int(np.nanargmin(losses)) + 1, float(lowest)

    def checkpoint(self) -> dict[str, Any]:
        """Return the contents of last.ckpt, which is read and verified once for each time that it was written."""
        self.refuse_study()
        written = self.last.stat().st_mtime_ns if self.last.exists() else 0
        if not written or written != self._written:
            self._contents, self._written = load(self.last, self.kind), written
        return self._contents

    def refuse_study(self) -> None:
        """Raise an InputError if another command's networks are in here."""
        logs = self.path.parent
        if self.order != STUDIES and self.path.name in names_in(logs / STUDIES):
            raise InputError(f"{self.path} is a study of many networks; name a run{alternatives(logs)}")

    def model(self, initial: bool = False) -> BinaryClassifier:
        """Return the model of last.ckpt, ready to predict, or as it was before the first iteration."""
        contents = self.checkpoint()
        return rebuild(contents, self.kind, contents["initial"] if initial else {})

    def data(self) -> NpyDataModule:
        """Return the data that the run was trained on, set up."""
        if self._data is None:
            data = NpyDataModule(**{**self.options()["data"], "predict": None})
            data.setup("fit")
            data.classes.check_same(self.checkpoint()["fingerprint"])
            self._data = data
        return self._data

    def tested(self, name: str = "last", wanted: int | None = None) -> Tested:
        """Return what ``test`` found of last.ckpt or another, which has to be that of a wanted iteration."""
        path = self.path / f"{tested_name(name)}_predictions.csv"
        try:
            found = read_tested(path.read_text(encoding="utf-8"), int(self.numbers(name)["step"]))
        except (FileNotFoundError, ValueError, LookupError, TypeError) as error:
            raise InputError(f"{path}: not a table of predictions ({error}); run test") from error
        if wanted not in (None, found.step):
            raise InputError(f"{self.path}: its test is of iteration {found.step}; test the checkpoint of {wanted}")
        return found

    def final(self) -> dict[str, float]:
        """Return the last value of each column of history.csv."""
        columns = {name: values[~np.isnan(values)] for name, values in self.history().items() if name != "step"}
        return {name: float(values[-1]) for name, values in columns.items() if values.size}

    def numbers(self, name: str = "last") -> dict[str, Any]:
        """Return what test.json, or that of another checkpoint, holds."""
        return dict(json.loads((self.path / f"{tested_name(name)}.json").read_text(encoding="utf-8")))

    @property
    def tests(self) -> dict[str, str]:
        """The names of the tested checkpoints by those of the tests' files: test of last, test-best of best."""
        names = sorted(path.stem for path in self.path.glob("test*.json"))
        return {name: name.removeprefix("test").removeprefix("-") or "last" for name in names}

    @classmethod
    def from_trainer(cls, trainer: Trainer) -> "RunFolder":
        """Return the run that a trainer is training."""
        kind: Any = type(trainer.lightning_module)
        return cls(Path(trainer.log_dir or ""), kind, getattr(trainer, "datamodule", None))

    @classmethod
    def from_checkpoint(cls, checkpoint: Path, kind: Kind = BinaryClassifier) -> "RunFolder | None":
        """Return the run that a checkpoint lies in, or None if it lies elsewhere."""
        folder = checkpoint.absolute().parent.parent
        run = cls(folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder, kind)
        return run if run.config.exists() else None

    @classmethod
    def claim(cls, logs: Path, name: str | None) -> "RunFolder":
        """Make a folder that no other process has or gets: the next version_N, or a NAME that has no checkpoint yet."""
        logs.mkdir(parents=True, exist_ok=True)
        while name is None:
            numbers = [path.name.removeprefix(f"{cls.prefix}_") for path in logs.glob(f"{cls.prefix}_*")]
            number = 1 + max((int(each) for each in numbers if each.isdecimal()), default=-1)
            with suppress(FileExistsError):  # Another process may have just made it.
                (logs / f"{cls.prefix}_{number}").mkdir()
                name = f"{cls.prefix}_{number}"
        run = cls(logs / name)
        if not (run.last.exists() or run.path.is_file()):
            run.path.mkdir(exist_ok=True)
            run.hold()  # Of processes that saw the same, this decides which one gets it.
            if not run.last.exists():
                return run
            release(run.path)  # Another process has had it in between.
        raise InputError(f"--name: {run.path} exists; choose another, or resume it with --ckpt_path {run.last}")

    def hold(self) -> None:
        """Keep other processes from writing the run, and note that it is the newest: a file's time may be a copy's."""
        if hold(self.path):
            with (self.path.parent / self.order).open("a", encoding="utf-8") as order:
                order.write(f"{self.path.name}\n")


def newest(logs: Path, folders: type[RunFolder] = RunFolder) -> RunFolder:
    """Return the run here that was trained last."""
    for name in names_in(logs / folders.order):
        if (run := folders(logs / name)).trained:
            return run
    raise InputError(f"{logs}: no run was trained here yet; run {folders.command} first{alternatives(logs)}")


def names_in(order: Path) -> list[str]:
    """Return the names in a file of those that began, each once, the newest first."""
    names = order.read_text(encoding="utf-8").splitlines() if order.exists() else []
    return list(dict.fromkeys(reversed(names)))


def alternatives(logs: Path) -> str:
    """Return the end of a message that lists the trained runs in a folder, if there are any."""
    studies = names_in(logs / STUDIES)
    names = sorted(path.name for path in logs.glob("*") if path.name not in studies and RunFolder(path).trained)
    return f", or give the --name of one that is there: {join_words(names)}" if names else ""


def find_checkpoint(logs: Path, name: str | None, wanted: str, folders: type[RunFolder] = RunFolder) -> Path:
    """Return the checkpoint FILE, or ``last`` or ``best`` of the named run or else of the newest trained one."""
    run = folders(logs / name) if name is not None else None
    if run and not run.path.exists():
        raise InputError(f"--name: {run.path}: no such run; run {folders.command} first{alternatives(logs)}")
    if run:
        run.refuse_study()
    if wanted in ("last", "best"):
        return (run or newest(logs, folders)).last.with_name(f"{wanted}.ckpt")
    if run and run.path.absolute() != Path(wanted).absolute().parent.parent:
        raise InputError(f"--name: {name}; {wanted} is of another run, leave the name out")
    return Path(wanted)
