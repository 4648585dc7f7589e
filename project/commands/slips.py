"""Slips on the command line and in configs: what was given, and what was meant."""

import difflib
import os
import re
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path

import torch
import yaml

from project.errors import InputError

NAMES = {  # what options, or many of them, are called elsewhere, and what they are called here
    "epoch": ["trainer.max_epochs"],
    "step": ["trainer.max_steps"],
    "iteration": ["trainer.max_steps"],
    "learning_rate": ["model.lr"],
    "hidden": ["model.hidden_features"],
    "gpu": ["trainer.accelerator=gpu"],
    "seed": ["data.seed", "seed_everything"],  # of the split, and of initial weights and batches
}
PARTS = {"optimizer": torch.optim, "lr_scheduler": torch.optim.lr_scheduler}  # Their values are classes in here.
FILES = {".ckpt": "ckpt_path", ".npy": "data.predict", ".yaml": "config", ".yml": "config", ".json": "config"}
CONFIGS = ("config", "data", "model", "trainer")  # options that take a config file
NO_VALUE = ("help", "print_config")
NO_RUN = ("fit", "study", "compare")  # commands that are not about one run

Pair = tuple[str, str]  # an option's name and its value, "" where there is none; or "" and a word that is no value


def settle(arguments: Sequence[str], known: Collection[str]) -> list[str]:
    """Return a command's arguments with RUN, which may stand anywhere without an option, as its ``--name``.

    ``known`` are the command's options. A slip, also in a config, is an InputError that says what was meant.
    """
    command, *rest = arguments
    pairs = read_pairs(rest)
    for place, (option, value) in enumerate(pairs):
        if not option and command not in NO_RUN and Path(value).suffix not in FILES:
            if "name" in dict(pairs):
                raise InputError(f"{value}: the run is named already; leave one of the names out")
            pairs[place] = "name", Path(value).name if Path(value).parent.name == "lightning_logs" else value
        elif option or command != "compare":
            check_slip(command, option, value, known)
    return [command, *(join_pair(f"--{name}" if name else "", value) for name, value in pairs)]


def read_pairs(arguments: Sequence[str]) -> list[Pair]:
    """Read arguments as a parser does that gives each option one value."""
    pairs: list[Pair] = []
    awaits_value = False
    for argument in arguments:
        name, sign, value = argument.partition("=")
        if argument.startswith("-") and not re.match(r"-\.?\d", argument):  # -1 is a value.
            name = {"c": "config", "h": "help"}.get(name.lstrip("-"), name.lstrip("-"))
            awaits_value = not sign and name not in NO_VALUE
            pairs.append((name, value))
        elif awaits_value:
            pairs[-1], awaits_value = (pairs[-1][0], argument), False
        else:
            pairs.append(("", argument))
    return pairs


def join_pair(option: str, value: str) -> str:
    return "=".join(filter(None, (option, value)))


def check_slip(command: str, name: str, value: str, known: Collection[str]) -> None:
    """Refuse an option, or a word that stands alone, that a command does not have, and say what may have been meant."""
    suffix, is_folder = Path(value).suffix, os.path.isdir(value)  # noqa: PTH112 (Path.is_dir raises if it is too long)
    name = name.removesuffix("+")
    problem, meant = "", list[str]()
    if name in CONFIGS and os.path.isfile(value) and suffix != ".npy":  # noqa: PTH113 (likewise)
        check_config(Path(value), known, "" if name == "config" else f"{name}.")
    elif not name and value.endswith("]"):
        raise InputError(f"{value!r}: no such option; put a list that has spaces in quotes, as in '[0.5, 1]'")
    elif not name or (name == "data" and (is_folder or suffix == ".npy")):
        problem = f"--data: {value} is no config" if name else f"{value!r}: no such option"
        if suffix == ".npy" and command != "predict":
            suffix, value = "", str(Path(value).parent)
        meant = [FILES.get(suffix, "data.root")]
    elif name == "ckpt_path" and is_folder:
        problem, meant, value = f"--ckpt_path: {value} is a folder", ["name"], Path(value).name
    elif name in PARTS and value not in (names := [each for each in dir(PARTS[name]) if each[0].isupper()]):
        meant = [f"{name}={each}" for each in names if each.lower() == value.lower()]
        problem = f"--{name}: {value}" if meant else ""
    elif not is_known(name, known):
        shown = f"--{name}" if name.isprintable() else repr(name)
        problem, meant = f"{shown}: no such option", find_names(name, known)
    if meant:
        words = (f"--{each}" if "=" in each else join_pair(f"--{each}", shlex.quote(value)) for each in meant)
        raise InputError(f"{problem}; did you mean {' or '.join(words)}")
    if problem:
        raise InputError(f"{problem}; --help lists them")


def is_known(name: str, known: Collection[str]) -> bool:
    """Say whether a name is that of an option, of a group of options, or of an argument of an option's part."""
    related = any(f"{option}.".startswith(f"{name}.") or name.startswith(f"{option}.") for option in known)
    return related or name.endswith(".help") or name in NO_VALUE


def find_names(name: str, known: Collection[str]) -> list[str]:
    """Return the options, if there are any, that may have been meant by a name."""
    name = name.lower().replace("-", "_")
    usual = [option for option in NAMES.get(name.removesuffix("s"), []) if option.partition("=")[0] in known]
    same = [option for option in known if option.rpartition(".")[2] == name]
    return usual or same or difflib.get_close_matches(name, known, 1)


def check_config(path: Path, known: Collection[str], prefix: str) -> None:
    """Refuse, by an InputError that names the line, a config that is not YAML, or whose options are not known."""
    try:
        nodes = [(prefix, yaml.compose(path.read_text(encoding="utf-8-sig"), yaml.SafeLoader))]
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{path}{line}: {error.problem}; indent by spaces alone, each level by as many") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: not a config ({error})") from error
    for group, node in nodes:
        if not isinstance(node, yaml.MappingNode):
            place, named = f", line {node.start_mark.line + 1}" if node else "", group.rstrip(".") or "the file"
            raise InputError(f"{path}{place}: {named} has no options by their names, as in model: {{lr: 0.5}}")
        lines: dict[str, int] = {}
        for key, value in node.value:
            name, line = f"{group}{key.value}".removesuffix("+"), key.start_mark.line + 1
            if name in lines:
                raise InputError(f"{path}, line {line}: {name} stands there twice, first in line {lines[name]}")
            if not is_known(name, known):
                meant = " or ".join(find_names(name, known))
                more = f"; did you mean {meant}" if meant else ""
                raise InputError(f"{path}, line {line}: {name}: no such option{more}")
            lines[name] = line
            if any(option.startswith(f"{name}.") for option in known):
                nodes.append((f"{name}.", value))
