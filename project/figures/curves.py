"""How training went: loss and accuracy against the iteration number."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from project.figures.style import LINE_COLOURS, new_figure

History = Mapping[str, npt.NDArray[np.float64]]


def loss(history: History, criterion: str) -> Figure:
    """Draw the training loss of every iteration and the validation loss, from history.csv's columns."""
    figure, (ax,) = new_figure()
    _lines(ax, history, {"train_loss": "training", "val_loss": "validation", "test_loss": "test"})
    ax.set_ylabel(f"loss ({criterion.upper()})")
    return figure


def accuracy(history: History) -> Figure:
    """Draw the validation accuracy, from history.csv's columns, and the accuracy of guessing."""
    figure, (ax,) = new_figure()
    _lines(ax, history, {"val_accuracy": "validation", "test_accuracy": "test"})
    ax.axhline(0.5, color="grey", ls=":", lw=1, label="guessing")
    ax.set_ylabel("accuracy")
    ax.legend()
    return figure


def _lines(ax: Axes, history: History, labels: Mapping[str, str]) -> None:
    colours = {"training": LINE_COLOURS[5], "validation": LINE_COLOURS[1], "test": LINE_COLOURS[2]}
    for column, label in labels.items():
        if column in history:
            there = ~np.isnan(history[column])
            marker = "" if there.all() and len(there) > 1 else "."
            ax.plot(history["step"][there], history[column][there], marker=marker, color=colours[label], label=label)
    ax.set_xlabel("iteration")
    ax.grid(alpha=0.3)
    ax.legend()
