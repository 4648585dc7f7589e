"""A number with its 95 % interval, and how it is shown."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

LEVEL = 0.95  # of an interval that stands alone
Z = 1.959963984540054  # the 97.5 % point of the normal distribution


class Estimate(NamedTuple):
    """A number, the ends of its 95 % interval (NaN where there is none), and where they come from."""

    value: float
    low: float
    high: float
    method: str


def to_json(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    """Return each number by its name and its interval by ``NAME_interval``; null is what is not a number."""
    pairs: dict[str, Any] = {}
    for name, (value, low, high, _) in estimates.items():
        pairs |= {name: finite(value), f"{name}_interval": [finite(low), finite(high)]}
    return pairs


def align(rows: Sequence[Sequence[str]]) -> str:
    """Return a table of cells as lines, whose columns are as wide as their longest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def finite(value: float) -> float | None:
    """Return a number as JSON can hold it."""
    return value if math.isfinite(value) else None


def digits(value: float | None) -> str:
    """Return "0.3101" or, of what is below a thousandth, two digits, as in "8.8e-07"; None is "unknown"."""
    if value is None:
        return "unknown"
    return f"{value:.2g}" if 0 < abs(value) < 0.001 else f"{value:.4f}"


def format_ends(facts: Mapping[str, Any], name: str) -> str:
    """Return "0.8589 to 0.9272" for a number that is kept by its name as JSON holds it."""
    low, high = facts[f"{name}_interval"]
    return digits(None) if low is None else f"{digits(low)} to {digits(high)}"


def format_interval(value: float, low: float, high: float, level: float = LEVEL) -> str:
    """Return "-0.002, 95 % [-0.022, +0.018]": three decimals, or more if the interval's width needs them."""
    if math.isnan(low):
        return f"{value:+.3f}, interval unknown" if math.isfinite(value) else "unknown"
    decimals = max(3, 1 - math.floor(math.log10(high - low or abs(value) or 1)))
    middle, *rest = (f"{number:+.{decimals}f}" for number in (value, low, high))
    return f"{middle}, {100 * level:.3g} % [{', '.join(rest)}]"


def format_p(p: float) -> str:
    """Return "p = 0.031", with as many decimals as tell on which side of 0.05 it is, as in "p = 0.0501"."""
    if math.isnan(p):
        return "p unknown"
    decimals = 3
    while p != 0.05 and round(p, decimals) == 0.05:
        decimals += 1
    return "p < 0.001" if p < 0.001 else f"p = {p:.{decimals}f}"


def ends(middle: float, half: float, lowest: float = -math.inf, highest: float = math.inf) -> tuple[float, float]:
    """Return the ends of an interval of so much to either side, cut off at the lowest and the highest value."""
    low, high = np.clip([middle - half, middle + half], lowest, highest).tolist()
    return low, high
