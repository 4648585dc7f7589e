"""Loss and accuracy against the iteration number, of one run or of several."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from project.figures.style import LINE_COLOURS, add_legend, count_iterations, line_style, new_figure, wrap

Column = npt.NDArray[np.float64]
History = Mapping[str, Column]  # history.csv's columns
# By the title of a panel: the iterations with a value, and the values
Curves = Mapping[str, tuple[Column, Column]]

LEGEND_WIDTH = 60  # characters a panel of several runs
SUBSETS = {"train": "training", "val": "validation", "test": "test"}  # by the beginning of a column's name


def window(iterations: int) -> int:
    """Return over how many of these iterations' training losses a chart takes a mean: 50 of these fit in."""
    return max(1, iterations // 50)


def running_mean(values: Column, most: int) -> Column:
    """Return the mean of each value and those before it, so many in all, or as many as there are, (N,)."""
    sums, ends = np.concatenate([[0], np.cumsum(values)]), np.arange(1, len(values) + 1)
    starts = (ends - most).clip(0)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts))


def loss_figure(history: History, criterion: str, title: str = "") -> Figure:
    figure, (ax,) = new_figure()
    draw_loss(ax, history, criterion, title)
    return figure


def draw_loss(ax: Axes, history: History, criterion: str, title: str) -> None:
    """Draw the loss of every iteration, pale under its mean where it jumps, and validations' with the lowest marked."""
    train, val = history["train_loss"], history["val_loss"]
    _draw_subsets(ax, history, "loss")
    _draw_mean(ax, history["step"], train, window(len(train)))
    _mark_lowest(ax, history, "loss", "lowest validation loss, {:.3g} after {:.0f}")
    shown = np.concatenate([train, val[~np.isnan(val)]])
    if 0 < 100 * shown.min() < shown.max():
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")  # Powers would need the mathtext that names do without.
    ax.set(ylabel=f"loss ({criterion.upper()})", title=wrap(title, 60))
    add_legend(ax)


def accuracy_figure(history: History, batches: History | None = None, title: str = "") -> Figure:
    """Draw the accuracy of validations, of the training batches before them, if there are those, and of guessing."""
    figure, (ax,) = new_figure()
    if batches is not None:
        _draw_subsets(ax, batches, "accuracy")
        _draw_mean(ax, batches["step"], batches["train_accuracy"], 5)
    _draw_subsets(ax, history, "accuracy")
    _mark_lowest(ax, history, "accuracy", "at the lowest validation loss: {:.3g}")
    ax.axhline(0.5, color="grey", ls=":", lw=1, label="guessing")
    ax.set(ylabel="accuracy", title=wrap(title, 60))
    add_legend(ax)
    return figure


def _draw_subsets(ax: Axes, history: History, metric: str) -> None:
    for (subset, label), place in zip(SUBSETS.items(), (5, 1, 2), strict=True):
        if (values := history.get(f"{subset}_{metric}")) is not None:
            there = ~np.isnan(values)
            marker = "" if there.all() and len(there) > 1 else "."
            ax.plot(history["step"][there], values[there], marker=marker, color=LINE_COLOURS[place], label=label)
    count_iterations(ax)


def _draw_mean(ax: Axes, steps: Column, values: Column, most: int) -> None:
    """Where the first line's values, (N,), go up and down by 5 times their range, draw their mean over them."""
    if len(values) > 1 < most and np.abs(np.diff(values)).sum() > 5 * np.ptp(values):
        ax.lines[0].set_alpha(0.3)
        ax.plot(steps, running_mean(values, most), color=LINE_COLOURS[0], label=f"training, mean of the last {most}")


def _mark_lowest(ax: Axes, history: History, metric: str, label: str) -> None:
    steps, losses, values = history["step"], history["val_loss"], history[f"val_{metric}"]
    if not np.isnan(losses).all():
        x, y = (column[np.nanargmin(losses)] for column in (steps, values))
        ax.plot(x, y, "D", mfc="none", mec="black", ms=8, label=label.format(y, x))


def comparison_figure(runs: Mapping[str, Curves]) -> Figure:
    """Draw a panel of each metric that any run has, a line a run; the first ones are wide, so that all are seen."""
    titles = list(dict.fromkeys(title for curves in runs.values() for title in curves))
    columns = min(len(titles), 2 if len(titles) < 5 else 3)
    figure, axes = new_figure(-(-len(titles) // columns), columns)
    lines = {}
    for ax, title in zip(axes, titles, strict=False):
        for i, (name, curves) in enumerate(runs.items()):
            if title in curves:
                (lines[name],) = ax.plot(*curves[title], lw=1 + 2.5 * (1 - (i + 1) / len(runs)), **line_style(i))
        ax.set_title(title)
        count_iterations(ax)
    for ax in axes[len(titles) :]:
        ax.axis("off")
    names, handles = [wrap(name, LEGEND_WIDTH, 1) for name in runs], [lines[name] for name in runs]
    if len(titles) < len(axes):
        axes[-1].legend(handles, names, loc="center")
    else:
        fitting = LEGEND_WIDTH * columns // (max(map(len, names)) + 6)
        figure.legend(handles, names, loc="outside lower center", ncols=max(1, min(fitting, len(names))))
    return figure
