"""Parsers of the commands, their help, packages of one's own, and the config of a run."""

import argparse
import inspect
import os
import re
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from pydoc import locate
from typing import Any, Literal, cast

import yaml
from jsonargparse import DefaultHelpFormatter, Namespace, set_parsing_settings
from lightning.pytorch.cli import LightningArgumentParser

from project.commands import COMMANDS
from project.commands.failures import refusing
from project.commands.slips import settle
from project.data import NpyDataModule
from project.errors import InputError
from project.options import check, flatten, is_part
from project.runs.run import CHANGED

LONGEST_NAME = 255  # bytes, on the usual file systems
OPTIMIZERS = """
Optimizer and scheduler of torch.optim, instead of SGD with a rate that stays:
  --optimizer NAME                  As in --optimizer Adam --optimizer.lr 0.01
  --lr_scheduler NAME               As in --lr_scheduler StepLR --lr_scheduler.step_size 100
"""


class WideHelpFormatter(DefaultHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=36, width=100)  # type: ignore[no-untyped-call]


class Parser(LightningArgumentParser):
    """Parses the arguments of one command, and raises an error where it cannot."""

    def format_help(self, *args: Any) -> str:
        """Leave out types, the classes that there are, what only lists help, and what nobody can give."""
        page, _, linked = super().format_help(*args).partition("\nLinked arguments:")
        for left_out in r"(?<=\()type:.*?default:\s+", r",\s+known\s+subclasses:[^)]*(?=\))", r", --\S+\+ \S+":
            page = re.sub(left_out, "", page, flags=re.DOTALL)
        page = re.sub(r"\n  --(\S+\.help|\w+ CONFIG) .*(\n {8,}.*)*", "", page)
        return page + (OPTIMIZERS if linked else "")

    def parse(self, arguments: Sequence[str]) -> Namespace:
        """Parse a command and its arguments, or raise an InputError that says what was meant."""
        _, *settled = settle(arguments, list(self.get_defaults().keys()))
        with refusing():
            options = self.parse_args(settled)
        if "trainer" in options:
            check_run_options(options)
        return options


def make_parser(command: str) -> Parser:
    """Return a parser of a command by its name, which takes config files, too."""
    about = COMMANDS[command]
    words = {"fit": "", "study": "", "compare": "RUN RUN ... "}.get(command, "[RUN] ")
    parser = Parser(
        usage=f"project {command} {words}[options]",
        description=f"{about[0].upper()}{about[1:]}.",
        formatter_class=WideHelpFormatter,
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("-c", "--config", action="config", help="A config file, in YAML or JSON.")
    if command == "predict":
        label = "The probability of class 1 from which on a row is labelled 1."
        parser.add_argument("--threshold", type=float, default=0.5, help=label)
    return parser


def add_run_options(parser: LightningArgumentParser) -> None:
    """Add what every command with a trainer asks besides its trainer, model and data."""
    parser.add_argument("--name", type=str | None, default=None, help="The run folder under lightning_logs.")
    parser.add_argument("--ckpt_path", type=str | None, default=None, help="A checkpoint file, or last or best.")
    threads = "CPU threads, 1 to 1024; null suits the size of a piece."
    parser.add_argument("--threads", type=int | None, default=None, help=threads)
    add_plane(parser, "best")


def add_plane(parser: LightningArgumentParser, default: str | None) -> None:
    planes = Literal["best", "features", "components", "model", "gradients"]
    plane = "Where more than two features are shown; best is where the colours agree most with the model."
    parser.add_argument("--figures.plane", type=planes | None, default=default, help=plane)


def check_run_options(options: Namespace) -> None:
    """Refuse, by an InputError, names of no folder, numbers out of their range, and groups without names."""
    for group in "trainer", "model", "data":
        if not isinstance(options[group], (Namespace, dict)):
            raise InputError(f"--{group}: {options[group]}; need options by their names")
    with refusing(options.keys()):
        check(threads=options.threads, seed_everything=options.seed_everything, threshold=options.get("threshold"))
    name = options.name or ""
    if Path(name).name != name or not name.isprintable() or len(os.fsencode(name)) > LONGEST_NAME:
        raise InputError(f"--name: {name}; need the name of one folder, printable, without a path and not too long")


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


def format_config(parser: Parser, options: Namespace) -> str:
    """Return options as a config that ``fit -c`` accepts: anew, not into the same folder."""
    again = options.clone()
    again.name = again.ckpt_path = None
    if again.data.root is not None:
        again.data.root = str(Path(again.data.root).absolute())
    with refusing(what="--trainer"):
        config, defaults = (str(parser.dump(each, skip_unset=False)) for each in (again, parser.get_defaults()))
    if broken := re.search(r'"[^"\n]*\\uD[89A-F][^"\n]*"', config):
        raise InputError(f"options: {broken[0]} is not UTF-8, and no config can hold it; rename it")
    by_data = {f"data.{name}": value for name, value in NpyDataModule(again.data.root).hparams.items()}
    changed = find_changes(yaml.safe_load(config), {**flatten(yaml.safe_load(defaults)), **by_data})
    comment = yaml.safe_dump({CHANGED: changed}, sort_keys=False, default_flow_style=None)
    return "".join(f"# {line}\n" for line in comment.splitlines()) + config


def find_changes(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return by their full names the options that are not the defaults, as RunFolder.changed_options tells them."""
    changed = {name: value for name, value in flatten(config).items() if value != defaults.get(name)}
    for name, value in [*changed.items()]:
        if is_part(value):
            changed[name], arguments = read_part(value)
            changed |= {f"{name}.{argument}": each for argument, each in arguments.items()}
        elif isinstance(value, list):
            changed[name] = [format_part(each) if is_part(each) else each for each in value]
    return changed


def read_part(part: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the name of a part's class, and those of its arguments that are not the defaults of the class."""
    bases = reversed(inspect.getmro(cast("type", locate(part["class_path"]))))
    signatures = [inspect.signature(base.__init__) for base in bases]  # type: ignore[misc]  # It is a class.
    usual = {name: each.default for signature in signatures for name, each in signature.parameters.items()}
    given = part.get("init_args", {}).items()
    own = {name: each for name, each in given if (tuple(each) if isinstance(each, list) else each) != usual.get(name)}
    return part["class_path"].rpartition(".")[2], own


def format_part(part: Mapping[str, Any]) -> str:
    name, arguments = read_part(part)
    return f"{name}({', '.join(f'{argument}={value}' for argument, value in arguments.items())})"
