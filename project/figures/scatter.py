"""The data: every datapoint or, where there are too many, some at random."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from project.figures.style import CLASS_COLOURS, CLASS_MARKERS, dot_scale, new_figure

Features = npt.NDArray[np.float32]


def describe(shown: int, rows: int) -> str:
    """Say which part of all rows is shown, if not all are."""
    return "" if shown == rows else f"{shown:,} of {rows:,} datapoints, at random"


def scatter(classes: Sequence[Features], rows: int, feature_names: Sequence[str], class_names: Sequence[str]) -> Figure:
    """Draw class 0 and class 1, features (N, j) each: the first across, the second up.

    With j = 1 it is a histogram of each class, both over the same bins. The title says so if there are more rows.
    """
    figure, (ax,) = new_figure()
    j, shown = len(feature_names), sum(map(len, classes))
    which = describe(shown, rows) or "All datapoints"
    ax.set_title(which if j <= 2 else f"{which}, the first 2 of {j} features")
    ax.set(xlabel=feature_names[0], ylabel="rows" if j == 1 else feature_names[1])
    bins = np.histogram_bin_edges(np.concatenate(classes)[:, 0].astype(np.float64), 30)
    for features, colour, marker, name in zip(classes, CLASS_COLOURS, CLASS_MARKERS, class_names, strict=True):
        label = f"{name} ({len(features):,})"
        if j == 1:
            counts, _ = np.histogram(features, bins)
            ax.stairs(counts, bins, fill=True, fc=colour + "40", ec=colour, lw=1.5, label=label)
        else:
            size = 16 * dot_scale(shown)
            ax.scatter(features[:, 0], features[:, 1], size, colour, marker=marker, alpha=0.7, lw=0, label=label)
    ax.legend()
    return figure
