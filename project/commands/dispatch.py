"""One command, from its arguments to its exit status."""

import importlib
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from jsonargparse import set_parsing_settings

from project.commands.failures import exit_status
from project.commands.folders import compare, export, plot
from project.commands.network import fit, predict, test, validate
from project.commands.parsing import name_the_run, take_packages
from project.commands.study import study
from project.errors import InputError
from project.model import BinaryClassifier

RUNNERS: dict[str, Callable[..., object]] = {
    each.__name__: each for each in (fit, validate, test, predict, compare, study, plot, export)
}


def run_command(argv: Sequence[str], kind: type[BinaryClassifier] = BinaryClassifier) -> int:
    """Run a command with its options and return its exit status; a subclass as ``kind`` brings its own options."""

    def run() -> None:
        arguments, packages = take_packages([argument for argument in argv if argument != "--debug"])
        allow(packages)
        RUNNERS[arguments[0]](name_the_run(arguments), kind)

    with quiet():
        return exit_status(run, debug="--debug" in argv)


def allow(packages: Sequence[str]) -> None:
    """Import a user's packages, which may add losses, activations and networks, and let configs name what is in them.

    A config is code: importing what is not of these packages, or of ours, is refused before it happens.
    """
    set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=["torch", "lightning", "project", *packages])
    if packages:
        sys.path.insert(0, str(Path.cwd()))  # A package of one's own lies here as often as it is installed.
    for package in packages:
        try:
            importlib.import_module(package)
        except Exception as error:  # The package is not ours, and may raise anything.
            raise InputError(f"--allow-import: {package} cannot be imported ({error})") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep libraries from saying "GPU available", "Seed set to" and the like; a profiler's report is wanted."""
    levels = {"lightning.pytorch.profilers": logging.INFO, "torch.onnx": logging.ERROR}
    for package in "lightning.pytorch", "lightning.fabric":
        names = (package, f"{package}.utilities.rank_zero", f"{package}.utilities.seed")
        levels |= dict.fromkeys(names, logging.WARNING)
    with ExitStack() as stack:
        for name, level in levels.items():
            logger = logging.getLogger(name)
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(level)
        yield
