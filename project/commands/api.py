"""The commands for Python and notebooks: no Lightning needed, and errors that speak of arguments."""

import inspect
import json
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError

from project.commands.commands import allow, quiet, run_trainer
from project.commands.failures import in_few_words, one_line
from project.data import NpyDataModule
from project.errors import InputError
from project.model import BinaryClassifier
from project.runs.run import Run

OWNERS = {"data": NpyDataModule, "model": BinaryClassifier}


def fit(
    root: Path | str | None = None,
    *,
    name: str | None = None,
    seed_everything: int = 0,
    max_steps: int = 1000,
    **options: Any,
) -> Run:
    """Train as the command of this name does, and return the run.

    Args:
        root: Folder with class_0.npy and class_1.npy, each (N, j); None is the shipped sample.
        name: The run folder under lightning_logs; None is the next version_N.
        seed_everything: Fixes the initial weights and the order of batches.
        max_steps: Iterations.
        options: More ones, of NpyDataModule and of BinaryClassifier.

    Raises:
        InputError: a ValueError, if the data or an option are not what they should be.
        DivergedError: an ArithmeticError, if training leaves the finite numbers.
        TypeError: if there is no such option.
    """
    config: dict[str, Any] = {"name": name, "seed_everything": seed_everything, "trainer": {"max_steps": max_steps}}
    given = {"root": None if root is None else str(root), **options}
    for group, owner in OWNERS.items():
        own = inspect.signature(owner).parameters.keys() - {"num_features", "predict"}
        config[group] = {option: given.pop(option) for option in own & given.keys()}
    if given:
        raise TypeError(f"fit: no option {', '.join(given)}; see help(NpyDataModule) and help(BinaryClassifier)")
    return call(["fit", "--config", json.dumps(config)])


def call(arguments: list[str]) -> Run:
    """Run a command that needs a trainer, and return the run that it was about; errors are raised."""
    try:
        with quiet(), in_few_words():
            allow([])
            run = run_trainer(arguments, BinaryClassifier).run
    except ArgumentError as error:
        raise InputError(one_line(str(error))) from error
    assert run is not None
    return run
