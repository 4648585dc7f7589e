"""Which command runs, and the arguments of those that need no trainer."""

import importlib
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentError, ArgumentParser, Namespace, set_loader, set_parsing_settings

from project.commands.arguments import Parser, name_the_run, refuse, take_packages
from project.commands.cli import ProjectCLI
from project.commands.failures import exit_status, losing_no_rank, refusing
from project.data import NpyDataModule
from project.errors import InputError
from project.model import BinaryClassifier
from project.options import TRAINER_DEFAULTS, check, load_yaml
from project.reports.compare import compare
from project.reports.export import export
from project.reports.plot import plot
from project.reports.report import write_report
from project.runs.finding import find_checkpoint, newest
from project.runs.run import LOGS, RunFolder
from project.study.cli import StudyCLI, StudyTrainer


class PlainParser(ArgumentParser):
    """Takes the arguments of a command that needs no trainer."""

    def __init__(self, command: str, description: str) -> None:
        super().__init__(prog=f"project {command}", description=description, exit_on_error=False, allow_abbrev=False)

    def take(self, arguments: list[str]) -> Namespace:
        """Parse what follows the command, or raise an InputError that says what was meant."""
        try:
            return self.parse_args(arguments[1:])
        except ArgumentError as error:
            refuse(error, arguments, self._option_string_actions)
            raise


def run_compare(arguments: list[str], kind: type[BinaryClassifier]) -> None:
    parser = PlainParser("compare", "Overlay runs, and say whether split and initial weights were the same.")
    parser.add_argument("runs", nargs="+", type=str, help="Run folders, or their names under lightning_logs.")
    parser.add_argument("--output", type=str, default="comparison", help="Folder for comparison.png and .json.")
    options = parser.take(arguments)
    if len(options.runs) < 2:
        raise InputError(f"compare: {len(options.runs)} run given; need at least two")
    compare([Path(run) for run in options.runs], Path(options.output), kind)


def run_plot(arguments: list[str], kind: type[BinaryClassifier]) -> None:
    parser = PlainParser("plot", "Draw the figures of a run again, also of an interrupted one.")
    parser.add_argument("--name", type=str | None, default=None, help="The run; the newest one unless named.")
    parser.add_argument("--format", choices=["png", "svg", "pdf"], default="png", help="Of the files.")
    parser.add_argument("--dpi", type=int, default=100, help="Pixels an inch, 10 to 1000.")
    parser.add_argument("--width", type=float | None, default=None, help="Inches of a figure; null is 6.4 a panel.")
    options = parser.take(arguments)
    with refusing(("dpi", "width")):
        check(dpi=options.dpi, width=options.width)
    run = RunFolder(options.name or newest(Path(LOGS)).path, kind)
    for path in [*plot(run, options.format, options.dpi, options.width), write_report(run)]:
        print(f"written: {path}")


def run_export(arguments: list[str], kind: type[BinaryClassifier]) -> None:
    parser = PlainParser("export", "Write a checkpoint as an ONNX model: raw features in, probability out.")
    parser.add_argument("--ckpt_path", default="last", help="A checkpoint file, or last or best of the newest run.")
    parser.add_argument("--name", type=str | None, default=None, help="The run that last or best is taken from.")
    parser.add_argument("--output", type=str | None, default=None, help="The ONNX file; model.onnx in the run.")
    options = parser.take(arguments)
    output = None if options.output is None else Path(options.output)
    if output is not None and output.is_dir():
        raise InputError(f"--output: {options.output} is a folder; need the name of a file")
    checkpoint = find_checkpoint(Path(LOGS), options.name, options.ckpt_path)
    run = RunFolder.of_checkpoint(checkpoint)
    export(checkpoint, output or (run.path if run else Path()) / "model.onnx", kind)


def run_trainer(arguments: list[str], kind: type[BinaryClassifier]) -> ProjectCLI:
    """Run a command that needs a trainer, and return what its arguments have become."""
    set_loader("yaml", load_yaml, (yaml.YAMLError,))
    cli, own = ProjectCLI, dict[str, Any]()
    if arguments[0] == StudyCLI.trains:
        cli, own = StudyCLI, {"trainer_class": StudyTrainer, "auto_configure_optimizers": False}
    with losing_no_rank():
        return cli(
            kind,
            NpyDataModule,
            **own,
            save_config_callback=None,  # It dies on the config.yaml of a resumed run; before_fit writes it.
            trainer_defaults=TRAINER_DEFAULTS,
            seed_everything_default=0,
            parser_kwargs={name: {"exit_on_error": False} for name in cli.subcommands()} | {"exit_on_error": False},
            args=arguments,
            load_from_checkpoint_support=False,
            parser_class=Parser,
        )


def allow(packages: Sequence[str]) -> None:
    """Import a user's packages, which may add losses, activations and networks, and let configs name what is in them.

    A config is code: importing what is not of these packages, or of ours, is refused before it happens.
    """
    set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=["torch", "lightning", "project", *packages])
    sys.path[:0] = [str(Path.cwd())] * bool(packages)  # A package of one's own lies here as often as it is installed.
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
    loggers = {logging.getLogger(name): level for name, level in levels.items()}
    previous = {logger: logger.level for logger in loggers}
    for logger, level in loggers.items():
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, level in previous.items():
            logger.setLevel(level)


COMMANDS = {"compare": run_compare, "plot": run_plot, "export": run_export}


def run_command(argv: Sequence[str], kind: type[BinaryClassifier] = BinaryClassifier) -> int:
    """Run a command with its options and return its exit status.

    Args:
        argv: the command and its options.
        kind: the class of the model; a subclass brings its own options.
    """

    def run() -> None:
        arguments, packages = take_packages([argument for argument in argv if argument != "--debug"])
        allow(packages)
        arguments = name_the_run(arguments)
        COMMANDS.get(arguments[0], run_trainer)(arguments, kind)

    with quiet():
        return exit_status(run, debug="--debug" in argv)
