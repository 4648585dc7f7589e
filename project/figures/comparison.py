"""Several runs on one chart."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from project.figures.curves import SUBSETS
from project.figures.style import LINE_COLOURS, new_figure

# By column of history.csv: the iterations with a value, and the values
Curves = Mapping[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]


def comparison(runs: Mapping[str, Curves]) -> Figure:
    """Draw each metric that any run has in a panel of its own, a line per run, against the iteration number.

    The loss is left out: runs may mean different things by it.
    """
    columns = dict.fromkeys(column for curves in runs.values() for column in curves if not column.endswith("loss"))
    figure, axes = new_figure(-(-len(columns) // 2), 2)
    legend = {}
    for ax, column in zip(axes, columns, strict=False):
        for i, (name, curves) in enumerate(runs.items()):
            if column in curves:
                colour, style = LINE_COLOURS[i % len(LINE_COLOURS)], ("-", "--", ":")[i // len(LINE_COLOURS) % 3]
                (legend[name],) = ax.plot(*curves[column], color=colour, ls=style, label=name)
        subset, _, metric = column.partition("_")
        ax.set(title=f"{SUBSETS[subset]} {metric if metric == 'accuracy' else metric.upper()}", xlabel="iteration")
        ax.grid(alpha=0.3)
    for ax in axes[len(columns) :]:
        ax.remove()
    figure.legend(list(legend.values()), list(legend), loc="outside lower center", ncols=min(4, len(legend)))
    return figure
