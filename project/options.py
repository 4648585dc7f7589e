"""Ranges of the options, and names that stand for parts."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

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
    "lr": Range(math.ulp(0), 3.4028234663852886e38, "a number above 0 and below 3.4e38"),
    "batch_size": whole(1),
    "piece_rows": whole(1),
    "seed": whole(0),
    "seed_everything": whole(0, 2**32 - 1),
    "threads": whole(1, 1024),  # With many more, OpenMP ends the process.
    "splits": whole(1),
    "seeds": whole(1),
    "margin": Range(math.ulp(0), 1, "a number above 0, at most 1"),
    "max_steps": whole(1),
    "val_check_interval": whole(1),
    "num_nodes": whole(1),
    "threshold": Range(0, 1, "a number from 0 to 1"),
    "dpi": whole(10, 1000),
    "width": whole(1, 100),
}


def check(**options: float | None) -> None:
    """Refuse, by a ValueError, what is no number of an option's range; None is a default that suits the data."""
    for name, value in options.items():
        if value is None:
            continue
        allowed = RANGES[name]
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if is_number and value > LARGEST == allowed.highest:
            raise ValueError(f"{name}: {value}; need at most {LARGEST}")
        if not is_number or not allowed.lowest <= value <= allowed.highest:
            raise ValueError(f"{name}: {value}; need {allowed.words}")


def look_up(option: str, name: str, table: Mapping[str, Any]) -> Any:
    """Return what an option's name stands for in a table, or raise a ValueError that lists the names."""
    if name not in table:
        names = ", ".join(table)
        raise ValueError(f"{option}: {name}; need one of {names}, or --allow-import PACKAGE that adds it")
    return table[name]


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested options by their full names, as in {"model.loss": "bce"}; a part is the value of one option."""
    flat = {}
    for name, value in config.items():
        is_group = isinstance(value, dict) and not is_part(value)
        flat.update(flatten(value, f"{prefix}{name}.") if is_group else {prefix + name: value})
    return flat


def is_part(value: Any) -> bool:
    """Say whether a value describes an object to be made, as an optimizer or a callback, by its class and arguments."""
    return isinstance(value, Mapping) and "class_path" in value


def as_list(given: Any) -> list[Any]:
    """Return what was given for an option that takes one object, several, a switch or null."""
    if given is None or isinstance(given, bool):
        return []
    return list(given) if isinstance(given, list) else [given]
