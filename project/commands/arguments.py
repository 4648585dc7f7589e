"""What was meant by arguments that no option takes, and the page that lists the options there are."""

import argparse
import difflib
import os
import shlex
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser

from project.commands.failures import UNUSABLE
from project.errors import InputError, InputWarning

MORE = "--help.trainer"
IMPORT = "--allow-import"
WORDS = {
    "ckpt_path": "A file, or last or best of the run.",
    "seed_everything": "Fixes the initial weights and the order of batches.",
    "print_config": "Print the config that the other arguments make, and exit.",
    "data": argparse.SUPPRESS,
    "model": argparse.SUPPRESS,
}
BY_COMMAND = {
    "fit": "Train, and write a run folder.",
    "predict": "Classify the rows of --data.predict FILE.npy.",
    "study": "Train many networks at once, and say what differs; any --model option may be a list, as in [0.5, 1].",
}
SPREAD = {"data": "root", "model": "hidden_features", "trainer": "max_steps"}  # groups, and an option of each


class Parser(LightningArgumentParser):
    """Explains the project's own options; the hundreds of lines of Lightning's own come if they are asked for."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, allow_abbrev=False, **options)
        self.whole = False
        more = "Explain Lightning's options, too."
        self.add_argument(MORE, action=More, nargs=0, default=argparse.SUPPRESS, help=more)

    def _parse_known_args(self, arg_strings: Any, *args: Any, **options: Any) -> Any:
        """Whichever of the two comes first, --help beside --help.trainer explains all."""
        self.whole = MORE in arg_strings
        return super()._parse_known_args(arg_strings, *args, **options)

    def format_help(self, formatter: Any = None) -> str:
        groups, command = self._action_groups, self.prog.split()[-1]
        self.usage = f"project {command} [options]"
        self.description = BY_COMMAND.get(command, f"Evaluate a checkpoint on its own {command} subset.")
        for action in self._actions:
            action.help = WORDS.get(action.dest, action.help)
        if not self.whole:
            self._action_groups = [group for group in groups if is_own(group)]
        try:
            return super().format_help() if formatter is None else super().format_help(formatter)
        finally:
            self._action_groups = groups


class More(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        parser.print_help()
        parser.exit()


def is_own(group: Any) -> bool:
    """Say whether a group of a parser has options of the project's own."""
    names = {action.dest.partition(".")[0] for action in group._group_actions}
    return not names & {"trainer", "optimizer", "lr_scheduler"} and not str(group.title).startswith("Linked")


def refuse(error: argparse.ArgumentError, arguments: Sequence[str], known: Iterable[str]) -> None:
    """Raise an InputError that says what was meant, if a parser did not recognize an argument."""
    _, found, rest = str(error).partition("unrecognized arguments: ")
    if not found:
        return
    places = [i for i in range(1, len(arguments)) if f"{rest} ".startswith(f"{arguments[i]} ")]
    if not places:
        return
    place = max(places, key=lambda i: len(arguments[i]))  # An argument may have spaces, and begin like another one.
    unknown, sign, value = arguments[place], "", ""
    if unknown.startswith("-"):
        unknown, sign, value = unknown.partition("=")
    options = [option for option in known if option.startswith("--")]
    likely = [option for option in options if option.rpartition(".")[2] == unknown.removeprefix("--")]
    likely += difflib.get_close_matches(unknown, options, 1)
    if not likely and not unknown.endswith(".npy"):
        named = unknown if unknown.strip() and unknown.isprintable() else repr(unknown)
        raise InputError(f"{named}: no such option; project {arguments[0]} --help lists them") from error
    meant = ["--data.predict", unknown] if unknown.endswith(".npy") else [likely[0] + sign + value]
    command = shlex.join([*arguments[:place], *meant, *arguments[place + 1 :]])
    raise InputError(f"{unknown}: no such option; did you mean: python -m project {command}") from error


def name_the_culprit(error: InputError, parser: LightningArgumentParser, arguments: Sequence[str]) -> None:
    """Raise an InputError that names the argument on which a parser fails with an error that names none."""
    for place, argument in enumerate(arguments):
        alone = [argument] if "=" in argument else arguments[place : place + 2]
        try:
            if argument.startswith("--"):
                parser.parse_args([arguments[0], *alone])
        except argparse.ArgumentError:
            continue
        except UNUSABLE:
            raise InputError(f"{' '.join(alone).replace('=', ' ').replace(' ', ': ', 1)}; {error}") from error


def tell_overruled(parser: LightningArgumentParser, arguments: Sequence[str], parsed: Namespace) -> None:
    """Warn of options that stand before a config which says otherwise: the last one counts."""
    configs, others = list[str](), list[str]()
    for place, argument in enumerate(arguments[1:], 1):
        is_value = place > 1 and arguments[place - 1] in ("-c", "--config")
        (configs if is_value or argument.partition("=")[0] in ("-c", "--config") else others).append(argument)
    reordered = [arguments[0], *configs, *others]
    if not configs or reordered == list(arguments):
        return
    meant, taken = parser.parse_args(reordered).as_flat(), parsed.as_flat()
    for name, value in vars(meant).items():
        if name.rpartition(".")[2] != "config" and (other := vars(taken).get(name)) != value:
            option = f"--{name.partition('.')[2]}"
            message = f"{option}: {value} stands before the config, whose {other} is taken; put it behind"
            warnings.warn(message, InputWarning, stacklevel=2)


def check_groups(arguments: Sequence[str]) -> None:
    """Refuse, by an InputError, what is given for a whole group and is no config: ``--data DIR`` is the usual slip."""
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, _, value = argument.partition("=")
        group, value = name.removeprefix("--"), value or following
        is_file = value.endswith(".npy")
        # Path.is_dir raises an error if the name is too long, as a config in one line may be.
        if name.startswith("--") and group in SPREAD and (is_file or os.path.isdir(value)):  # noqa: PTH112
            option, meant = SPREAD[group], value
            if is_file and group == "data":
                option, meant = ("predict", value) if arguments[0] == "predict" else ("root", str(Path(value).parent))
            raise InputError(f"{name}: {value} is no config; did you mean --{group}.{option} {meant}")


def take_packages(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return arguments without each ``--allow-import PACKAGE``, and the packages."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument(IMPORT, action="append", default=[])
    options, rest = parser.parse_known_args(list(arguments))
    return rest, options.allow_import


def name_the_run(arguments: Sequence[str]) -> list[str]:
    """Return a command's arguments with the run, which may stand first without an option, as its ``--name``.

    To name a second one with ``--name`` is an InputError: neither is the right one to ignore.
    """
    command, *rest = arguments
    if command in ("fit", "study", "compare") or not rest or rest[0].startswith("-") or rest[0].endswith(".npy"):
        return list(arguments)
    run = Path(rest[0])
    if any(argument.partition("=")[0] == "--name" for argument in rest):
        raise InputError(f"{run}: --name names a run, too; leave one of them out")
    return [command, "--name", run.name if run.parent.name == "lightning_logs" else rest[0], *rest[1:]]
