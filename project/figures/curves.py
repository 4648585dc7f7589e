"""Loss and accuracy against the iteration number, of one run or of several."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from project.figures.style import LINE_COLOURS, line_style, new_figure, wrap

Column = npt.NDArray[np.float64]
History = Mapping[str, Column]  # history.csv's columns
# By the title of a panel: the iterations with a value, and the values
Curves = Mapping[str, tuple[Column, Column]]

WINDOWS = 50  # means of training losses that a chart shows
BATCHES = 5  # validated iterations whose batches a chart takes a mean of
NOISY = 5  # times their range that values go up and down in all, from which on a mean is drawn over them
LEGEND_WIDTH = 60  # characters a panel of several runs
LOGARITHMIC = 100  # times the smallest loss, from which on the axis is logarithmic

SUBSETS = {"train": "training", "val": "validation", "test": "test"}  # by the beginning of a column's name


def window(iterations: int) -> int:
    """Return over how many training losses a chart of so many iterations takes a mean."""
    return max(1, iterations // WINDOWS)


def running_mean(values: Column, most: int) -> Column:
    """Return the mean of each value and those before it, so many in all, or as many as there are, (N,)."""
    sums, ends = np.concatenate([[0], np.cumsum(values)]), np.arange(1, len(values) + 1)
    starts = (ends - most).clip(0)
    means: Column = (sums[ends] - sums[starts]) / (ends - starts)
    return means


def loss_figure(history: History, criterion: str, title: str = "") -> Figure:
    figure, (ax,) = new_figure()
    draw_loss(ax, history, criterion, title)
    return figure


def draw_loss(ax: Axes, history: History, criterion: str, title: str) -> None:
    """Draw the loss of every iteration and of every validation, and mark the lowest of these.

    Where single batches make the training loss jump, it is pale under its running mean.
    """
    train, val = history["train_loss"], history["val_loss"]
    _draw_subsets(ax, history, "loss")
    _smooth(ax, history["step"], train, window(len(train)))
    _mark_lowest(ax, history, "loss")
    shown = np.concatenate([train, val[~np.isnan(val)]])
    if shown.min() > 0 and shown.max() > LOGARITHMIC * shown.min():
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")  # Powers would need the mathtext that names do without.
    ax.set(xlabel="iteration", ylabel=f"loss ({criterion.upper()})", title=wrap(title, 60))
    ax.legend()


def accuracy_figure(history: History, batches: History | None = None, title: str = "") -> Figure:
    """Draw the accuracy of every validation, and of the training batch before it, and that of guessing.

    ``batches`` holds ``step`` and ``train_accuracy`` of the batches, (V,) each, by the weights before their update.
    """
    figure, (ax,) = new_figure()
    if batches is not None:
        _draw_subsets(ax, batches, "accuracy")
        _smooth(ax, batches["step"], batches["train_accuracy"], BATCHES)
    _draw_subsets(ax, history, "accuracy")
    _mark_lowest(ax, history, "accuracy")
    ax.axhline(0.5, color="grey", ls=":", lw=1, label="guessing")
    ax.set(xlabel="iteration", ylabel="accuracy", title=wrap(title, 60))
    ax.legend()
    return figure


def _smooth(ax: Axes, steps: Column, values: Column, most: int) -> None:
    """Where the first line's values, (N,), jump, draw it pale, and over it the mean of the last so many."""
    if len(values) > 1 < most and np.abs(np.diff(values)).sum() > NOISY * np.ptp(values):
        ax.lines[0].set_alpha(0.3)
        ax.plot(steps, running_mean(values, most), color=LINE_COLOURS[0], label=f"training, mean of the last {most}")


def _mark_lowest(ax: Axes, history: History, metric: str) -> None:
    """Mark the iteration of the lowest validation loss."""
    steps, losses, values = history["step"], history["val_loss"], history[f"val_{metric}"]
    if not np.isnan(losses).all():
        lowest = int(np.nanargmin(losses))
        label = f"at the lowest validation loss: {values[lowest]:.3g}"
        if metric == "loss":
            label = f"lowest validation loss, {values[lowest]:.3g} after {steps[lowest]:.0f}"
        ax.plot(steps[lowest], values[lowest], "D", mfc="none", mec="black", ms=8, label=label)


def _draw_subsets(ax: Axes, history: History, metric: str) -> None:
    for (subset, label), colour in zip(SUBSETS.items(), (LINE_COLOURS[i] for i in (5, 1, 2)), strict=True):
        if (values := history.get(f"{subset}_{metric}")) is not None:
            there = ~np.isnan(values)
            marker = "" if there.all() and len(there) > 1 else "."
            ax.plot(history["step"][there], values[there], marker=marker, color=colour, label=label)
    ax.grid(alpha=0.3)


def comparison_figure(runs: Mapping[str, Curves]) -> Figure:
    """Draw each metric that any run has in a panel of its own, a line per run, against the iteration number.

    The first lines are the widest, so that of equal ones each is seen.
    """
    titles = list(dict.fromkeys(title for curves in runs.values() for title in curves))
    columns = min(len(titles), 2 if len(titles) < 5 else 3)
    figure, axes = new_figure(-(-len(titles) // columns), columns)
    legend = {}
    for ax, title in zip(axes, titles, strict=False):
        for i, (name, curves) in enumerate(runs.items()):
            if title in curves:
                (legend[name],) = ax.plot(*curves[title], lw=1 + 2.5 * (1 - (i + 1) / len(runs)), **line_style(i))
        ax.set(title=title, xlabel="iteration")
        ax.grid(alpha=0.3)
    for ax in axes[len(titles) :]:
        ax.axis("off")
    names = [wrap(name, LEGEND_WIDTH, 1) for name in runs]
    lines = [legend[name] for name in runs]
    if len(titles) < len(axes):
        axes[-1].legend(lines, names, loc="center")
    else:
        fitting = LEGEND_WIDTH * columns // (max(map(len, names)) + 6)
        figure.legend(lines, names, loc="outside lower center", ncols=max(1, min(fitting, len(names))))
    return figure
