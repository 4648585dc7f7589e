"""Several runs on one chart."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from project.figures.style import LINE_COLOURS, new_figure, wrap

# By the title of a panel: the iterations with a value, and the values
Curves = Mapping[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]
LEGEND_WIDTH = 60  # characters a panel


def comparison(runs: Mapping[str, Curves]) -> Figure:
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
                colour, style = LINE_COLOURS[i % len(LINE_COLOURS)], ("-", "--", ":")[i // len(LINE_COLOURS) % 3]
                width = 1 + 2.5 * (1 - (i + 1) / len(runs))
                (legend[name],) = ax.plot(*curves[title], color=colour, ls=style, lw=width)
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
