"""Commands for Python and notebooks: no Lightning needed, and errors that speak of arguments."""

import json
import re
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jsonargparse import ArgumentError
from matplotlib.figure import Figure

from project.commands import network
from project.commands.failures import fold_message, quiet
from project.commands.parsing import allow_packages
from project.data import NpyDataModule
from project.errors import DivergedError, InputError
from project.model import BinaryClassifier
from project.reports import plot
from project.runs.run import RunFolder
from project.runs.table import Numbers

OWNERS: dict[str, Callable[..., Any]] = {"data": NpyDataModule, "model": BinaryClassifier}
FULL_NAMES = {name: f"{group}.{name}" for group, owner in OWNERS.items() for name in signature(owner).parameters}


class Run(RunFolder):
    """The folder of one training run, or its name under lightning_logs, with its figures and its test."""

    def curve(self, name: str) -> tuple[Numbers, Numbers]:
        """Return the iterations at which a column of the history has values, and these, float64 (n,) each."""
        history = self.history()
        if name not in history:
            raise InputError(f"{self.table.path}: no column {name}; need one of {', '.join(history)}")
        is_filled = ~np.isnan(history[name])
        return history["step"][is_filled], history[name][is_filled]

    def figure_names(self) -> list[str]:
        """Return the names of the figures that can be drawn: of the training, and of each test there was."""
        return list(plot.run_figures(self))

    def figure(self, name: str) -> Figure:
        """Draw one of the run's figures, as in scatter, loss, accuracy and boundary, from what its folder holds."""
        return plot.draw(self, name)

    def test(self, name: str = "last") -> dict[str, Any]:
        """Test last.ckpt, or best, on the test subset, as the command of this name does, and return the numbers."""
        checkpoint = self.last.with_name(f"{name}.ckpt")
        return call(network.test, ["test", "--ckpt_path", str(checkpoint)]).numbers(name)


def fit(
    root: Path | str | None = None,
    *,
    name: str | None = None,
    seed_everything: int | None = None,
    max_steps: int | None = None,
    optimizer: str | dict[str, Any] | None = None,
    lr_scheduler: str | dict[str, Any] | None = None,
    trainer: dict[str, Any] | None = None,
    ckpt_path: Path | str | None = None,
    **options: Any,
) -> Run:
    """Train as the command of this name does, and return the run.

    Args:
        root: Folder with class_0.npy and class_1.npy, each (N, j); the shipped sample unless given.
        name: The run folder under lightning_logs; the next version_N unless given.
        seed_everything: Fixes the initial weights and the order of batches; 0 unless given.
        max_steps: Iterations; 1000 unless given.
        optimizer: One of torch.optim, as "Adam" or {"class_path": "Adam", "init_args": {"lr": 0.01}}, instead of SGD.
        lr_scheduler: One of torch.optim.lr_scheduler, likewise; it steps in every iteration.
        trainer: More options of the trainer, as {"max_epochs": 3}.
        ckpt_path: A checkpoint to go on from: a file, or last or best of ``name`` or else of the newest run.
        options: Those of NpyDataModule and of BinaryClassifier.

    Raises:
        InputError: a ValueError, if the data or an option are not what they should be.
        DivergedError: an ArithmeticError, if training leaves the finite numbers.
        TypeError: if there is no such option.
    """
    given = {"name": name, "seed_everything": seed_everything, "ckpt_path": ckpt_path, "optimizer": optimizer}
    given |= {"lr_scheduler": lr_scheduler, "data.root": root, "trainer.max_steps": max_steps}
    given |= {f"trainer.{option}": value for option, value in (trainer or {}).items()}
    given |= {FULL_NAMES.get(option, option): value for option, value in options.items()}
    # What is not given stays unsaid: a run that goes on has its own.
    arguments = [f"--{option}={to_word(value)}" for option, value in given.items() if value is not None]
    try:
        return call(network.fit, ["fit", *arguments])
    except InputError as error:
        if options.keys() <= FULL_NAMES.keys():
            raise
        raise TypeError(str(error)) from error


def call(command: Callable[..., RunFolder | None], arguments: list[str]) -> Run:
    """Run a command that needs a trainer, and return the run that it was about; errors are raised."""
    threads = torch.get_num_threads()
    try:
        with quiet(name_arguments):
            run = command(allow_packages(arguments), BinaryClassifier)
    except (ArgumentError, InputError, DivergedError) as error:
        failure = DivergedError if isinstance(error, DivergedError) else InputError
        raise failure(name_arguments(fold_message(str(error)))) from error
    finally:  # A command sets the number that suits its data, and a notebook goes on.
        torch.set_num_threads(threads)
    assert run is not None
    return Run(run.path, run.kind)


def name_arguments(message: str) -> str:
    """Return a message that names options as the command line does with the names of arguments."""
    return re.sub(r"--(?:(?:data|model)\.|trainer\.(?=max_steps))?(?=[a-z])", "", message)


def to_word(value: Any) -> str:
    """Return the argument that gives an option its value."""
    return str(value) if isinstance(value, (str, Path)) else json.dumps(value, default=as_plain)


def as_plain(value: Any) -> Any:
    """Return a path as text, and a number of numpy's as Python's; a config holds no other objects."""
    if isinstance(value, (Path, np.generic)):
        return str(value) if isinstance(value, Path) else value.item()
    raise InputError(f'{value!r}: no config can hold it; need {{"class_path": its class, "init_args": its arguments}}')
