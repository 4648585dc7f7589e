"""The config of a run: all its options, and first, as a comment, those that differ from the defaults."""

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from pydoc import locate
from typing import Any, cast

import yaml
from jsonargparse import Namespace

from project.commands.failures import refusing
from project.commands.parsing import Parser
from project.data import NpyDataModule
from project.errors import InputError
from project.options import flatten, is_part
from project.runs.run import CHANGED


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
