"""Commands for Python and notebooks: no Lightning needed, and errors that speak of arguments."""

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

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

OWNERS = {"data": NpyDataModule, "model": BinaryClassifier}


class Run(RunFolder):
    """The folder of one training run, or its name under lightning_logs, with its figures and its test."""

    def figure_names(self) -> list[str]:
        """Return the names of the figures that can be drawn: of the training, and of each test there was."""
        return list(plot.figure_drawers(self))

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
    return call(network.fit, ["fit", "--config", json.dumps(config)])


def call(command: Callable[..., RunFolder | None], arguments: list[str]) -> Run:
    """Run a command that needs a trainer, and return the run that it was about; errors are raised."""
    try:
        with quiet(name_arguments):
            run = command(allow_packages(arguments), BinaryClassifier)
    except (ArgumentError, InputError, DivergedError) as error:
        failure = DivergedError if isinstance(error, DivergedError) else InputError
        raise failure(name_arguments(fold_message(str(error)))) from error
    assert run is not None
    return Run(run.path, run.kind)


def name_arguments(message: str) -> str:
    """Return a message that names options as the command line does with the names of arguments."""
    return re.sub(r"--(?:\w+\.)?(?=[a-z])", "", message)
