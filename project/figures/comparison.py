"""Several runs on one chart."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from project.figures.style import LINE_COLOURS, new_figure

# By column of history.csv: the iterations with a value, and the values
Curves = Mapping[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]

SUBSETS = {"val": "validation", "test": "test"}


def comparison(runs: Mapping[str, Curves]) -> Figure:
    """Draw each metric that any run has in a panel of its own, a line per run, against the iteration number.

    The loss is left out: runs may mean different things by it.
    """
    columns = {column: None for curves in runs.values() for column in curves if not column.endswith("loss")}
    panels = {title(column): column for column in columns}
    figure, axes = new_figure(-(-len(panels) // 2), 2)
    for ax, (name_of_panel, column) in zip(axes, panels.items(), strict=False):
        for i, (name, curves) in enumerate(runs.items()):
            if column in curves:
                colour, style = LINE_COLOURS[i % len(LINE_COLOURS)], ("-", "--", ":")[i // len(LINE_COLOURS) % 3]
                ax.plot(*curves[column], color=colour, ls=style, label=name)
        ax.set(title=name_of_panel, xlabel="iteration")
        ax.grid(alpha=0.3)
    for ax in axes[len(panels) :]:
        ax.remove()
    legend = {}
    for ax in axes[: len(panels)]:
        legend.update({str(line.get_label()): line for line in ax.get_lines()})
    figure.legend(list(legend.values()), list(legend), loc="outside lower center", ncols=min(4, len(legend)))
    return figure


def title(column: str) -> str:
    """Name a column of history.csv, as in "validation BCE"."""
    subset, _, metric = column.partition("_")
    return f"{SUBSETS[subset]} {metric if metric == 'accuracy' else metric.upper()}"
