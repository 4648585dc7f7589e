"""The data: every datapoint or, where there are too many, their density."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from project.figures.density import Cloud, Density
from project.figures.style import CLASS_COLOURS, CLASS_MARKERS, new_figure


def scatter(classes: Sequence[Cloud], feature_names: Sequence[str], class_names: Sequence[str]) -> Figure:
    """Draw class 0 and class 1, each features (N, j) or a density: the first feature across, the second up.

    With j = 1 it is a histogram of each class, both over the same bins.
    """
    figure, (ax,) = new_figure()
    ax.set_xlabel(feature_names[0])
    j = len(feature_names)
    which = "" if j <= 2 else f", the first 2 of {j} features"
    if j == 1:
        ax.set_ylabel("rows")
        values = [rows for rows in classes if not isinstance(rows, Density)]
        bins = np.histogram_bin_edges(np.concatenate(values).astype(np.float64), 30) if values else np.empty(0)
        for rows, colour, name in zip(classes, CLASS_COLOURS, class_names, strict=True):
            counts, edges = (rows.counts, rows.edges[0]) if isinstance(rows, Density) else np.histogram(rows, bins)
            ax.stairs(counts, edges, fill=True, fc=colour + "40", ec=colour, lw=1.5, label=f"{name} ({counts.sum():,})")
        ax.set_title("All datapoints")
    else:
        ax.set_ylabel(feature_names[1])
        for rows, colour, marker, name in zip(classes, CLASS_COLOURS, CLASS_MARKERS, class_names, strict=True):
            if isinstance(rows, Density):
                rows.draw(ax, colour, "-" if marker == "o" else "--", name)
                ax.set_title(f"Density of all datapoints{which}")
            else:
                ax.scatter(
                    rows[:, 0], rows[:, 1], 16, colour, marker=marker, alpha=0.7, lw=0, label=f"{name} ({len(rows)})"
                )
                ax.set_title(f"All datapoints{which}")
    ax.legend()
    return figure
