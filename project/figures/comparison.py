"""Several runs on one chart."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from project.figures.style import LINE_COLOURS, new_figure

# By column of history.csv and losses.csv: the iterations with a value, and the values
Curves = Mapping[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]

PANELS = {
    "validation accuracy": "val_accuracy",
    "test accuracy": "test_accuracy",
    "validation BCE": "val_bce",
    "validation MSE": "val_mse",
}


def comparison(runs: Mapping[str, Curves]) -> Figure:
    """Draw each metric that any run has in a panel of its own, a line per run, against the iteration number."""
    panels = {title: column for title, column in PANELS.items() if any(column in curves for curves in runs.values())}
    figure, axes = new_figure(-(-len(panels) // 2), 2)
    for ax, (title, column) in zip(axes, panels.items(), strict=False):
        for i, (name, curves) in enumerate(runs.items()):
            if column in curves:
                colour, style = LINE_COLOURS[i % len(LINE_COLOURS)], ("-", "--", ":")[i // len(LINE_COLOURS) % 3]
                ax.plot(*curves[column], color=colour, ls=style, label=name)
        ax.set(title=title, xlabel="iteration")
        ax.grid(alpha=0.3)
    for ax in axes[len(panels) :]:
        ax.remove()
    legend = {}
    for ax in axes[: len(panels)]:
        legend.update({str(line.get_label()): line for line in ax.get_lines()})
    figure.legend(list(legend.values()), list(legend), loc="outside lower center", ncols=min(4, len(legend)))
    return figure
