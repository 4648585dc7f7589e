"""How training went: loss and accuracy against the iteration number."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from project.figures.style import LINE_COLOURS, new_figure

History = Mapping[str, npt.NDArray[np.float64]]  # history.csv's columns

SUBSETS = {"train": "training", "val": "validation", "test": "test"}  # by the beginning of a column's name


def running_mean(values: npt.NDArray[np.float64], window: int) -> npt.NDArray[np.float64]:
    """Return the mean of each value and those before it, so many in all, or as many as there are, (N,)."""
    sums, ends = np.concatenate([[0], np.cumsum(values)]), np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    means: npt.NDArray[np.float64] = (sums[ends] - sums[starts]) / (ends - starts)
    return means


def loss(history: History, criterion: str) -> Figure:
    """Draw the training loss of every iteration and the validation loss."""
    return _draw(history, "loss", f"loss ({criterion.upper()})")


def accuracy(history: History) -> Figure:
    """Draw the validation accuracy, and the accuracy of guessing."""
    return _draw(history, "accuracy", "accuracy", guessing=0.5)


def _draw(history: History, metric: str, name: str, guessing: float | None = None) -> Figure:
    figure, (ax,) = new_figure()
    for (subset, label), colour in zip(SUBSETS.items(), (LINE_COLOURS[i] for i in (5, 1, 2)), strict=True):
        if (values := history.get(f"{subset}_{metric}")) is not None:
            there = ~np.isnan(values)
            marker = "" if there.all() and len(there) > 1 else "."
            ax.plot(history["step"][there], values[there], marker=marker, color=colour, label=label)
    if guessing is not None:
        ax.axhline(guessing, color="grey", ls=":", lw=1, label="guessing")
    ax.set(xlabel="iteration", ylabel=name)
    ax.grid(alpha=0.3)
    ax.legend()
    return figure
