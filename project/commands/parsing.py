"""Arguments of the commands, and what was meant by those that no option takes."""

import argparse
import difflib
import os
import re
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ArgumentError, Namespace, set_parsing_settings
from lightning.pytorch.cli import LightningArgumentParser

from project.commands import COMMANDS
from project.commands.failures import refusing
from project.errors import InputError
from project.options import check

LONGEST_NAME = 255  # bytes, on the usual file systems
USUAL = {"data": "root", "model": "hidden_features", "trainer": "max_steps"}  # by group, the option to be named first


class Parser(LightningArgumentParser):
    """Parses the arguments of one command, and raises an error where it cannot."""

    def format_help(self, *args: Any) -> str:
        """Leave out the lists of all classes that an option could be given."""
        return re.sub(r",\s+known\s+subclasses:[^)]*\)", ")", super().format_help(*args))

    def parse(self, arguments: Sequence[str]) -> Namespace:
        """Parse a command and its arguments, or raise an InputError that says what was meant."""
        check_group_arguments(arguments)
        try:
            with refusing():
                options = self.parse_args(list(arguments[1:]))
        except ArgumentError as error:
            refuse(error, arguments, [f"--{name}" for name in self.get_defaults().keys()])  # noqa: SIM118
            raise
        if "trainer" in options:
            check_run_options(options)
        return options


def make_parser(command: str) -> Parser:
    """Return a parser of a command by its name, which takes config files, too."""
    about = COMMANDS[command]
    description, usage = f"{about[0].upper()}{about[1:]}.", f"project {command} [options]"
    parser = Parser(description=description, usage=usage, exit_on_error=False, allow_abbrev=False)
    parser.add_argument("-c", "--config", action="config", help="A config file, in YAML or JSON.")
    return parser


def add_run_options(parser: LightningArgumentParser) -> None:
    """Add what every command with a trainer asks besides its trainer, model and data."""
    parser.add_argument("--name", type=str | None, default=None, help="The run folder under lightning_logs.")
    parser.add_argument("--ckpt_path", type=str | None, default=None, help="A checkpoint file, or last or best.")
    threads = "CPU threads, 1 to 1024; null suits the size of a piece."
    parser.add_argument("--threads", type=int | None, default=None, help=threads)
    planes = Literal["best", "features", "components", "model"]
    plane = "Where the boundary of more than two features is shown; best agrees most with the model."
    parser.add_argument("--figures.plane", type=planes, default="best", help=plane)


def check_run_options(options: Namespace) -> None:
    """Refuse, by an InputError, names of no folder, numbers out of their range, and groups without names."""
    for group in "trainer", "model", "data":
        if not isinstance(options[group], (Namespace, dict)):
            raise InputError(f"--{group}: {options[group]}; need options by their names")
    with refusing(options.keys()):
        check(threads=options.threads, seed_everything=options.seed_everything)
    name = options.name or ""
    if Path(name).name != name or not name.isprintable() or len(os.fsencode(name)) > LONGEST_NAME:
        raise InputError(f"--name: {name}; need the name of one folder, printable, without a path and not too long")


def refuse(error: ArgumentError, arguments: Sequence[str], known: Sequence[str]) -> None:
    """Raise an InputError that says what was meant, if a parser did not recognize an argument."""
    _, found, rest = str(error).partition("unrecognized arguments: ")
    places = [place for place in range(1, len(arguments)) if f"{rest} ".startswith(f"{arguments[place]} ")]
    if not found or not places:
        return
    place = max(places, key=lambda place: len(arguments[place]))  # It may have spaces, and begin like another one.
    unknown, sign, value = arguments[place], "", ""
    if unknown.startswith("-"):
        unknown, sign, value = unknown.partition("=")
    meant = [option for option in known if option.rpartition(".")[2] == unknown.removeprefix("--")]
    meant += difflib.get_close_matches(unknown, known, 1)
    if unknown.endswith(".npy"):
        replacement = ["--data.predict", unknown]
    elif meant:
        replacement = [meant[0] + sign + value]
    else:
        named = unknown if unknown.strip() and unknown.isprintable() else repr(unknown)
        raise InputError(f"{named}: no such option; project {arguments[0]} --help lists them") from error
    command = shlex.join([*arguments[:place], *replacement, *arguments[place + 1 :]])
    raise InputError(f"{unknown}: no such option; did you mean: python -m project {command}") from error


def check_group_arguments(arguments: Sequence[str]) -> None:
    """Refuse, by an InputError, what is given for a whole group and is no config: ``--data DIR`` is the usual slip."""
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, _, value = argument.partition("=")
        group, value = name.removeprefix("--"), value or following
        is_file = value.endswith(".npy")
        # Path.is_dir raises an error if the name is too long, as a config in one line may be.
        if name.startswith("--") and group in USUAL and (is_file or os.path.isdir(value)):  # noqa: PTH112
            meant = f"{USUAL[group]} {value}"
            if is_file and group == "data":
                meant = f"predict {value}" if arguments[0] == "predict" else f"root {Path(value).parent}"
            raise InputError(f"{name}: {value} is no config; did you mean --{group}.{meant}")


def allow_packages(arguments: Sequence[str]) -> list[str]:
    """Import the PACKAGE of each ``--allow-import PACKAGE``, and return the other arguments.

    Packages may add losses, activations and networks, and configs may name what is in them. A config is code: importing
    what is not of these packages, or of ours, is refused before it happens.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--allow-import", action="append", default=[])
    options, rest = parser.parse_known_args(list(arguments))
    packages = options.allow_import
    set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=["torch", "lightning", "project", *packages])
    if packages:
        sys.path.insert(0, str(Path.cwd()))  # A package of one's own lies here as often as it is installed.
    for package in packages:
        try:
            import_module(package)
        except Exception as error:  # The package is not ours, and may raise anything.
            raise InputError(f"--allow-import: {package} cannot be imported ({error})") from error
    return rest


def name_the_run(arguments: Sequence[str]) -> list[str]:
    """Return a command's arguments with the run, which may stand first without an option, as its ``--name``."""
    command, *rest = arguments
    if command in ("fit", "study", "compare") or not rest or rest[0].startswith("-") or rest[0].endswith(".npy"):
        return list(arguments)
    run = Path(rest[0])
    if any(argument.partition("=")[0] == "--name" for argument in rest):
        raise InputError(f"{run}: --name names a run, too; leave one of them out")
    return [command, "--name", run.name if run.parent.name == "lightning_logs" else rest[0], *rest[1:]]
