"""Mean, deviation and range of each feature, and warnings of odd ones."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from lightning.fabric.utilities.data import sized_len
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from project.data.npy import ArrayFile
from project.errors import InputWarning, join_words, name_columns

FEW_DIGITS = 2.0**-16  # of a mean, below which float32 leaves a deviation fewer than 8 bits
VAST_RATIO = 1e3  # between the deviations of two features, which one step size can no longer serve


class Moments:
    """Mean, deviation and range, float64 (j,) each, of rows that come in parts.

    Parts are merged as Chan, Golub and LeVeque (1983) do. Unlike sums of squares, this keeps its digits when the mean
    is large against the deviation.
    """

    def __init__(self) -> None:
        self.rows, self.mean, self.squares = 0, torch.zeros(()), torch.zeros(())
        self.low, self.high = torch.tensor(torch.inf), torch.tensor(-torch.inf)

    def add(self, features: Tensor) -> None:
        """Take in n >= 1 rows, (n, j)."""
        values = features.double()
        n, mean = len(values), values.mean(0)
        delta, total = mean - self.mean, self.rows + n
        between = delta.square() * (self.rows * n / total)
        self.squares = self.squares + (values - mean).square().sum(0) + between
        self.mean, self.rows = self.mean + delta * (n / total), total
        self.low, self.high = values.amin(0).minimum(self.low), values.amax(0).maximum(self.high)

    @property
    def std(self) -> Tensor:
        """The population standard deviation, float64 (j,); exactly 0 where all rows are equal."""
        return torch.where(self.low < self.high, (self.squares / self.rows).sqrt(), 0)


def moments_of(loader: Any, device: torch.device, check_width: Callable[[Tensor], None]) -> Moments:
    """Return the moments of the features that a loader gives with their labels, in one pass."""
    if sized_len(loader) is None:
        raise ValueError("standardize: needs a loader that ends; use standardize=False")
    moments = Moments()
    with isolate_rng():  # The order in which a loader shuffles must not depend on this pass.
        for features, _ in loader:
            check_width(features)
            moments.add(features.to(device))
    return moments


def warn_of_lost_digits(array: ArrayFile, moments: Moments) -> None:
    """Warn of columns that vary by less than the distance of their type's numbers: what varied there is gone."""
    precision = float(np.finfo(array.dtype.name).eps) if array.dtype.kind == "f" else 0
    if lost := vague(moments.mean, moments.std, precision):
        what = f"{name_columns(lost)} vary by less than {array.dtype.name} can tell apart at so large a mean"
        warnings.warn(f"{array.path}: {what}; subtract it before saving", InputWarning, stacklevel=2)


def warn_of_odd_scales(mean: Tensor, std: Tensor, standardize: bool, names: Sequence[str] | None) -> None:
    """Warn of training features, of mean and deviation (j,), that are constant, or that suffer from being taken raw."""
    constant, lost, messages = places(std == 0), vague(mean, std, FEW_DIGITS), list[str]()
    if standardize and constant:
        verb, known_as = "is" if len(constant) == 1 else "are", names or [f"feature {i + 1}" for i in range(len(std))]
        figures = join_words([known_as[i] for i in constant])
        messages.append(f"{name_columns(constant)} {verb} constant; standardized to 0 (in figures: {figures})")
    if not standardize and lost:
        what = f"{name_columns(lost)}: float32 has few digits for what varies about so large a mean"
        messages.append(f"{what}; use --model.standardize true")
    if not standardize and not constant and (ratio := std.max() / std.min()) >= VAST_RATIO:
        messages.append(f"columns differ in scale by {ratio:.0e}; consider --model.standardize true")
    for message in messages:
        warnings.warn(message, InputWarning, stacklevel=2)


def vague(mean: Tensor, std: Tensor, share: float) -> list[int]:
    """Return the features, of mean and deviation (j,), that vary by no more than a share of their mean."""
    return places((std > 0) & (std <= share * mean.abs()))


def places(condition: Tensor) -> list[int]:
    """Return where a condition, bool (j,), holds."""
    return condition.nonzero()[:, 0].tolist()
