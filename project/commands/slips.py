"""Slips on the command line and in configs: what was given, and what was meant."""

import difflib
import os
import re
import shlex
from collections.abc import Collection, Sequence
from itertools import chain, takewhile
from pathlib import Path
from typing import NamedTuple

import torch
import yaml

from project.errors import InputError
from project.model.loss import CRITERIA
from project.model.net import ACTIVATIONS, NETWORKS

NAMES = {  # what options are called elsewhere, and what they are called here
    "epochs": ["trainer.max_epochs"],
    "steps": ["trainer.max_steps"],
    "iterations": ["trainer.max_steps"],
    "learning_rate": ["model.lr"],
    "hidden": ["model.hidden_features"],
    "gpu": ["trainer.accelerator gpu"],
    "gpus": ["trainer.accelerator gpu"],
    "seed": ["data.seed", "seed_everything"],  # of the split, and of initial weights and batches
}
VALUES: dict[str, Collection[str]] = {  # the names that are an option's values
    "model.loss": CRITERIA,
    "model.activation": ACTIVATIONS,
    "model.network": NETWORKS,
    "optimizer": [name for name in dir(torch.optim) if name[0].isupper()],
    "lr_scheduler": [name for name in dir(torch.optim.lr_scheduler) if name[0].isupper()],
}
FILES = {".ckpt": "ckpt_path", ".npy": "data.predict", ".yaml": "config", ".yml": "config", ".json": "config"}
CONFIGS = ("-c", "--config", "--data", "--model", "--trainer")  # options that take a config file
NO_VALUE = ("-h", "--help", "--print_config")
NO_RUN = ("fit", "study", "compare")  # commands that are not about one run


class Given(NamedTuple):
    """An option and its value; or, where the option is "", a word that is no option's value."""

    option: str
    value: str
    arguments: list[str]  # as they were given


def settle(arguments: Sequence[str], known: Collection[str]) -> list[str]:
    """Return a command's arguments with RUN, which may stand anywhere without an option, as its ``--name``.

    ``known`` are the command's options. A slip, also in a config, is an InputError that says what was meant.
    """
    command, *rest = arguments
    check_lists(rest)
    pairs = read_pairs(rest)
    for place, given in enumerate(pairs):
        if not given.option and command not in NO_RUN and Path(given.value).suffix not in FILES:
            if any(each.option == "--name" for each in pairs):
                raise InputError(f"{given.value}: the run is named already; leave one of the names out")
            run = Path(given.value)
            name = run.name if run.parent.name == "lightning_logs" else given.value
            pairs[place] = Given("--name", name, ["--name", name])
        elif given.option or command != "compare":
            problem, meant = find_slip(command, given, known)
            before, after = (chain(*(each.arguments for each in part)) for part in (pairs[:place], pairs[place + 1 :]))
            others = "".join(f", or {shlex.join(other)}" for other in meant[1:])
            if meant:
                whole = shlex.join([command, *before, *meant[0], *after])
                raise InputError(f"{problem}; did you mean: python -m project {whole}{others}")
            if problem:
                raise InputError(f"{problem}; project {command} --help lists them")
    return [command, *chain(*(each.arguments for each in pairs))]


def check_lists(arguments: Sequence[str]) -> None:
    """Refuse, by an InputError, a list of which its spaces made several arguments."""
    for place, argument in enumerate(arguments):
        named = argument if argument.startswith("--") else f"{arguments[place - 1]}={argument}"
        option, _, begun = named.partition("=")
        rest = list(takewhile(lambda each: not each.startswith("--"), arguments[place + 1 :]))
        if begun.startswith("[") and rest and rest[-1].endswith("]"):
            value = " ".join([begun, *rest])
            raise InputError(f"{option}: {value} has spaces; put it in quotes: {option} {shlex.quote(value)}")


def read_pairs(arguments: Sequence[str]) -> list[Given]:
    """Read arguments as a parser does that gives each option one value."""
    pairs: list[Given] = []
    for argument in arguments:
        option, _, value = argument.partition("=")
        if argument.startswith("-") and not re.match(r"-\.?\d", argument):  # -1 is a value.
            pairs.append(Given(option, value, [argument]))
        elif pairs and pairs[-1].arguments == [pairs[-1].option] and pairs[-1].option not in NO_VALUE:
            option = pairs.pop().option
            pairs.append(Given(option, argument, [option, argument]))
        else:
            pairs.append(Given("", argument, [argument]))
    return pairs


def find_slip(command: str, given: Given, known: Collection[str]) -> tuple[str, list[list[str]]]:
    """Return what is wrong with an option or a word, "" if nothing is, and the arguments that may have been meant."""
    option, value, _ = given
    name = option.lstrip("-").removesuffix("+")
    suffix, is_folder = Path(value).suffix, os.path.isdir(value)  # noqa: PTH112 (Path.is_dir raises if it is too long)
    if option in CONFIGS and os.path.isfile(value) and suffix != ".npy":  # noqa: PTH113 (likewise)
        check_config(Path(value), known, "" if "c" in option else f"{name}.")
    elif not option or (name == "data" and (is_folder or suffix == ".npy")):
        problem = f"{option}: {value} is no config" if option else f"{value!r}: no such option"
        if suffix == ".npy" and command != "predict":
            suffix, value = "", str(Path(value).parent)
        return problem, [[f"--{FILES.get(suffix, 'data.root')}", value]]
    elif name == "ckpt_path" and is_folder:
        return f"{option}: {value} is a folder", [["--name", Path(value).name]]
    elif name in VALUES and value not in VALUES[name]:
        meant = [each for each in VALUES[name] if each.lower() == value.lower()]
        return f"{option}: {value}" if meant else "", [[option, each] for each in meant]
    elif not is_known(name, known):
        named = option if option.isprintable() else repr(option)
        values = {each: [] if " " in each or not value else [value] for each in find_names(name, known)}
        return f"{named}: no such option", [[*f"--{each}".split(), *own] for each, own in values.items()]
    return "", []


def is_known(name: str, known: Collection[str]) -> bool:
    """Say whether a name is that of an option, of a group of options, or of an argument of an option's part."""
    related = any(f"{option}.".startswith(f"{name}.") or name.startswith(f"{option}.") for option in known)
    return related or name.endswith(".help") or name in ("c", "h", "help", "print_config")


def find_names(name: str, known: Collection[str]) -> list[str]:
    """Return the options, if there are any, that may have been meant by a name."""
    name = name.lower().replace("-", "_")
    usual = [option for option in NAMES.get(name, []) if option.split()[0] in known]
    same = [option for option in known if option.rpartition(".")[2] == name]
    return usual or same or difflib.get_close_matches(name, known, 1)


def check_config(path: Path, known: Collection[str], group: str) -> None:
    """Refuse, by an InputError that names its line, a config that is not YAML, or an option that is not known."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8-sig"), yaml.SafeLoader)
        check_names(path, root, known, group)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{path}{line}: {error.problem}; indent by spaces alone, each level by as many") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: not a config ({error})") from error


def check_names(path: Path, node: yaml.Node | None, known: Collection[str], group: str) -> None:
    """Refuse, by an InputError, names of a config's group that no option has, and those that are there twice."""
    if not isinstance(node, yaml.MappingNode):
        place = f", line {node.start_mark.line + 1}" if node else ""
        named = group.rstrip(".") or "the file"
        raise InputError(f"{path}{place}: {named} has no options by their names, as in model: {{lr: 0.5}}")
    lines: dict[str, int] = {}
    for key, value in node.value:
        name, line = f"{group}{key.value}".removesuffix("+"), key.start_mark.line + 1
        if name in lines:
            raise InputError(f"{path}, line {line}: {name} stands there twice, first in line {lines[name]}")
        lines[name] = line
        if not is_known(name, known):
            meant = find_names(name, known)
            more = f"; did you mean {' or '.join(meant)}" if meant else ""
            raise InputError(f"{path}, line {line}: {name}: no such option{more}")
        if any(option.startswith(f"{name}.") for option in known):
            check_names(path, value, known, f"{name}.")
