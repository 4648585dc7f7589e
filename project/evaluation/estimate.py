"""A number with its interval, and how it is shown."""

import math
from typing import Any, NamedTuple


class Estimate(NamedTuple):
    """A number, the ends of its 95 % interval (NaN where there is none), and where they come from."""

    value: float
    low: float
    high: float
    method: str


def as_json(estimates: dict[str, Estimate]) -> dict[str, Any]:
    """Return each number by its name and its interval by ``NAME_interval``; null is what is not a number."""
    pairs: dict[str, Any] = {}
    for name, (value, low, high, _) in estimates.items():
        pairs[name] = finite(value)
        pairs[f"{name}_interval"] = [finite(low), finite(high)]
    return pairs


def finite(value: float) -> float | None:
    """Return a number as JSON can hold it."""
    return value if math.isfinite(value) else None


def digits(value: float | None) -> str:
    """Return "0.3101" or, of what is below a thousandth, two digits, as in "8.8e-07"; None is "unknown"."""
    if value is None:
        return "unknown"
    return f"{value:.2g}" if 0 < abs(value) < 0.001 else f"{value:.4f}"
