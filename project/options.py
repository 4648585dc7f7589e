"""What the options may be: their defaults and ranges, one table each."""

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from jsonargparse import get_loader

TRAINER_DEFAULTS = {
    "max_steps": 1000,
    "val_check_interval": 20,
    "check_val_every_n_epoch": None,  # Validations are counted in iterations, not in epochs.
    "num_sanity_val_steps": 0,  # The history begins with the first iteration.
    "log_every_n_steps": 1,
    "devices": 1,
    "deterministic": True,
    "use_distributed_sampler": False,  # Lightning's sampler pads uneven shares with duplicates.
    "enable_model_summary": False,
}

LARGEST = 2**63 - 1  # torch counts to here.


class Range(NamedTuple):
    """The numbers that an option may have, and how an error describes them."""

    lowest: float
    highest: float
    words: str


def whole(lowest: int, highest: int = LARGEST) -> Range:
    return Range(lowest, highest, f"at least {lowest}" if highest == LARGEST else f"{lowest} to {highest}")


RANGES = {
    "in_features": whole(1),
    "num_features": whole(1),
    "hidden_features": whole(1, 65_536),
    # Beyond float32's largest number torch cannot take a step.
    "lr": Range(math.ulp(0), torch.finfo(torch.float32).max, "a number above 0 and below 3.4e38"),
    "batch_size": whole(1),
    "piece_rows": whole(1),
    "seed": whole(0),
    "seed_everything": whole(0, 2**32 - 1),
    "threads": whole(1, 1024),  # With many more, OpenMP ends the process.
    "splits": whole(1),
    "seeds": whole(1),
    "max_steps": whole(1),
    "val_check_interval": whole(1),
    "dpi": whole(10, 1000),
    "width": whole(1, 100),
}
UNNAMED = Range(-LARGEST, LARGEST, f"at least {-LARGEST}")  # any other number

UNSUPPORTED = {
    "accumulate_grad_batches": 1,  # --data.batch_size and --data.piece_rows say what an iteration is.
    "reload_dataloaders_every_n_epochs": 0,  # An iteration's rows follow from its number.
    "num_sanity_val_steps": 0,  # The history begins with the first iteration.
    "fast_dev_run": False,  # It leaves no run; --trainer.max_steps 1 does.
    "barebones": False,
    "overfit_batches": 0.0,
    "limit_train_batches": None,
    "limit_val_batches": None,
    "limit_test_batches": None,
    "limit_predict_batches": None,
}

NAMES = {
    "strategy": ("auto", "ddp"),
    # Weights and data are float32, and the gradients of pieces are not scaled as 16-mixed would need.
    "precision": (None, "32", "32-true", 32, "bf16", "bf16-mixed"),
}
NUMBERS = (int, float, bool)
MOST_VALUES = 100_000  # in a config
LOAD_YAML = get_loader("yaml")
LONGEST_NAME = 255  # bytes, on the usual file systems


def load_yaml(text: str) -> Any:
    """Return the values of a config, or raise a YAMLError if they are too many: aliases of aliases grow without end."""
    value = LOAD_YAML(text)
    waiting, seen = [value], 0
    while waiting:
        item, seen = waiting.pop(), seen + 1
        if seen > MOST_VALUES:
            raise yaml.YAMLError(f"more than {MOST_VALUES} values")
        waiting += item.values() if isinstance(item, dict) else item if isinstance(item, list) else []
    return value


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested options by their full names, as in {"model.loss": "bce"}."""
    flat = {}
    for name, value in config.items():
        flat.update(flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value})
    return flat


def check(**options: float | None) -> None:
    """Refuse, by a ValueError, numbers outside their option's range; None stands for a default that suits the data."""
    for name, value in options.items():
        if value is not None and not isinstance(value, (int, float)):
            raise ValueError(f"{name}: {value}; need {RANGES[name].words}")
        check_range(name, value)


def look_up(option: str, name: str, table: Mapping[str, Any]) -> Any:
    """Return what an option's name stands for in a table, or raise a ValueError that lists the names."""
    if name not in table:
        raise ValueError(f"{option}: {name}; need one of {', '.join(table)}, or --allow-import a PACKAGE that adds it")
    return table[name]


def check_range(option: str, value: Any) -> None:
    allowed = RANGES.get(option.rpartition(".")[2], UNNAMED)
    switch = isinstance(value, bool) and allowed is not UNNAMED  # as in seed_everything: false
    if switch or (isinstance(value, (int, float)) and not allowed.lowest <= value <= allowed.highest):
        too_large = allowed.highest == LARGEST and value > LARGEST
        raise ValueError(f"{option}: {value}; need {f'at most {LARGEST}' if too_large else allowed.words}")


def check_all(options: Mapping[str, Any]) -> None:
    """Refuse, by a ValueError, what Lightning would take and then ignore, hang on or trip over.

    The options come by their full names, as in "trainer.max_steps".
    """
    for option, value in options.items():
        if option in ("trainer", "model", "data"):
            raise ValueError(f"{option}: {value}; need options by their names")
        check_range(option, value)
    for name, default in UNSUPPORTED.items():
        if (value := options[f"trainer.{name}"]) != default:
            raise ValueError(f"trainer.{name}: {value}; not supported here, leave it at {default}")
    for name, allowed in NAMES.items():
        if (value := options[f"trainer.{name}"]) not in allowed:
            raise ValueError(f"trainer.{name}: {value}; need one of {', '.join(map(str, allowed))}")
    name = options["name"]
    plain = name is None or (Path(name).name == name and name.isprintable() and len(os.fsencode(name)) <= LONGEST_NAME)
    if not plain:
        raise ValueError(f"name: {name}; need the name of one folder, printable, without a path and not too long")
    check_machine(options["trainer.accelerator"], options["trainer.devices"])


def check_machine(accelerator: str, devices: Any) -> None:
    """Refuse accelerators and processes that this machine does not have: Lightning would start them all and hang."""
    gpus = torch.cuda.device_count()
    if accelerator in ("gpu", "cuda") and not gpus:
        raise ValueError(f"trainer.accelerator: {accelerator}; this machine has none, use cpu or auto")
    available = gpus if accelerator != "cpu" and gpus else os.cpu_count() or 1
    if re.fullmatch(r"-?\d+", str(devices)) and not 1 <= int(devices) <= available:
        raise ValueError(f"trainer.devices: {devices}; need 1 to {available}, which this machine has")


def as_list(given: Any) -> list[Any]:
    """Return what was given for an option of the trainer that takes one object, several, or a switch."""
    if given is None or isinstance(given, bool):
        return []
    return list(given) if isinstance(given, list) else [given]


def taken_from(config: Mapping[str, Any], training: bool) -> dict[str, Any]:
    """Return what a command takes from the nested values of a run's config.yaml: nothing imported or written to.

    A command that goes on training also takes the optimizer and the scheduler, or raises a ValueError if they are not
    of torch.optim with plain arguments.
    """
    taken: dict[str, Any] = {name: value for name, value in config.items() if isinstance(value, NUMBERS)}
    taken["data"] = {**(config.get("data") or {}), "predict": None}
    taken["figures"] = config.get("figures") or {}
    trainer = config.get("trainer") or {}
    taken["trainer"] = {
        name: value
        for name, value in trainer.items()
        if isinstance(value, NUMBERS) or value in NAMES.get(name, ()) or (name, value) == ("accelerator", "gpu")
    }
    if training and str(devices := trainer.get("devices")).isdecimal():  # LightningCLI takes the number for a text.
        taken["trainer"]["devices"] = devices
    elif not training:  # One process answers for all rows, however many have trained.
        taken["trainer"].pop("strategy", None)
        taken["trainer"].pop("devices", None)
    for name in ("optimizer", "lr_scheduler") if training else ():
        if (recorded := config.get(name)) is not None:
            values = [v for value in recorded.get("init_args", {}).values() for v in as_list(value)]
            plain = all(isinstance(value, NUMBERS) or str(value).isidentifier() for value in values)
            if not re.fullmatch(r"torch\.optim\.(lr_scheduler\.)?\w+", str(recorded.get("class_path"))) or not plain:
                raise ValueError(f"{name}: the run's own is not one of torch.optim with plain numbers; give it again")
            taken[name] = recorded
    return taken


def check_agreement(options: Any, recorded: Mapping[str, Any], prefix: str = "") -> None:
    """Refuse, by a ValueError, an option that contradicts the checkpoint, which would win without a word."""
    for name, value in recorded.items():
        if isinstance(value, dict):
            check_agreement(options[name], value, f"{name}.")
        elif options[name] != value:
            raise ValueError(f"{prefix}{name}: {options[name]} conflicts with the checkpoint's {value}; leave it out")
