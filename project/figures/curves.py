"""How training went: loss and accuracy against the iteration number."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from project.figures.style import LINE_COLOURS, new_figure, wrap

History = Mapping[str, npt.NDArray[np.float64]]  # history.csv's columns

WINDOWS = 50  # means of training losses that a chart shows
BATCHES = 5  # validated iterations whose batches a chart takes a mean of
NOISY = 5  # times their range that values go up and down in all, from which on a mean is drawn over them
LOGARITHMIC = 100  # times the smallest loss, from which on the axis is logarithmic

SUBSETS = {"train": "training", "val": "validation", "test": "test"}  # by the beginning of a column's name


def window(iterations: int) -> int:
    """Return over how many training losses a chart of so many iterations takes a mean."""
    return max(1, iterations // WINDOWS)


def running_mean(values: npt.NDArray[np.float64], most: int) -> npt.NDArray[np.float64]:
    """Return the mean of each value and those before it, so many in all, or as many as there are, (N,)."""
    sums, ends = np.concatenate([[0], np.cumsum(values)]), np.arange(1, len(values) + 1)
    starts = np.maximum(ends - most, 0)
    means: npt.NDArray[np.float64] = (sums[ends] - sums[starts]) / (ends - starts)
    return means


def loss(history: History, criterion: str, title: str = "") -> Figure:
    """Draw the losses in a figure of their own."""
    figure, (ax,) = new_figure()
    draw_loss(ax, history, criterion, title)
    return figure


def draw_loss(ax: Axes, history: History, criterion: str, title: str) -> None:
    """Draw the loss of every iteration and of every validation, and mark the lowest of these.

    Where single batches make the training loss jump, it is pale under its running mean.
    """
    steps, train, val = history["step"], history["train_loss"], history["val_loss"]
    _draw(ax, history, "loss")
    _calm(ax, steps, train, window(len(train)))
    _mark(ax, history, "loss")
    shown = np.concatenate([train, val[~np.isnan(val)]])
    if shown.min() > 0 and shown.max() > LOGARITHMIC * shown.min():
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")  # Powers would need the mathtext that names do without.
    ax.set(xlabel="iteration", ylabel=f"loss ({criterion.upper()})", title=wrap(title, 60))
    ax.legend()


def accuracy(history: History, batches: History | None = None, title: str = "") -> Figure:
    """Draw the accuracy of every validation, and of the training batch before it, and that of guessing.

    Args:
        history: history.csv's columns.
        batches: ``step`` and ``train_accuracy`` of the batches, (V,) each, by the weights before their update.
        title: stands above.
    """
    figure, (ax,) = new_figure()
    if batches is not None:
        _draw(ax, batches, "accuracy")
        _calm(ax, batches["step"], batches["train_accuracy"], BATCHES)
    _draw(ax, history, "accuracy")
    _mark(ax, history, "accuracy")
    ax.axhline(0.5, color="grey", ls=":", lw=1, label="guessing")
    ax.set(xlabel="iteration", ylabel="accuracy", title=wrap(title, 60))
    ax.legend()
    return figure


def _calm(ax: Axes, steps: npt.NDArray[np.float64], values: npt.NDArray[np.float64], most: int) -> None:
    """Where the first line's values, (N,), jump, draw it pale, and over it the mean of the last so many."""
    if len(values) > 1 < most and np.abs(np.diff(values)).sum() > NOISY * np.ptp(values):
        ax.lines[0].set_alpha(0.3)
        ax.plot(steps, running_mean(values, most), color=LINE_COLOURS[0], label=f"training, mean of the last {most}")


def _mark(ax: Axes, history: History, metric: str) -> None:
    """Mark the iteration of the lowest validation loss."""
    steps, losses, values = history["step"], history["val_loss"], history[f"val_{metric}"]
    if not np.isnan(losses).all():
        lowest = int(np.nanargmin(losses))
        label = f"at the lowest validation loss: {values[lowest]:.3g}"
        if metric == "loss":
            label = f"lowest validation loss, {values[lowest]:.3g} after {steps[lowest]:.0f}"
        ax.plot(steps[lowest], values[lowest], "D", mfc="none", mec="black", ms=8, label=label)


def _draw(ax: Axes, history: History, metric: str) -> None:
    for (subset, label), colour in zip(SUBSETS.items(), (LINE_COLOURS[i] for i in (5, 1, 2)), strict=True):
        if (values := history.get(f"{subset}_{metric}")) is not None:
            there = ~np.isnan(values)
            marker = "" if there.all() and len(there) > 1 else "."
            ax.plot(history["step"][there], values[there], marker=marker, color=colour, label=label)
    ax.grid(alpha=0.3)
