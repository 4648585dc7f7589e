"""The data: every datapoint or, where there are too many, some at random."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from project.figures.style import CLASS_COLOURS, CLASS_MARKERS, new_figure

Features = npt.NDArray[np.float32]


def describe(shown: int, rows: int) -> str:
    """Say which part of all rows a picture shows."""
    return "All datapoints" if shown == rows else f"{shown:,} of {rows:,} datapoints, at random"


def scatter(classes: Sequence[Features], rows: int, feature_names: Sequence[str], class_names: Sequence[str]) -> Figure:
    """Draw class 0 and class 1: the first feature across, the second up.

    With j = 1 it is a histogram of each class, both over the same bins.

    Args:
        classes: features (N, j) of class 0 and class 1.
        rows: how many there are in all, of which these are some at random.
        feature_names: names of the j features.
        class_names: names of class 0 and class 1.
    """
    figure, (ax,) = new_figure()
    ax.set_xlabel(feature_names[0])
    j = len(feature_names)
    which = "" if j <= 2 else f", the first 2 of {j} features"
    ax.set_title(describe(sum(map(len, classes)), rows) + which)
    if j == 1:
        ax.set_ylabel("rows")
        bins = np.histogram_bin_edges(np.concatenate(list(classes)).astype(np.float64), 30)
        for features, colour, name in zip(classes, CLASS_COLOURS, class_names, strict=True):
            counts, _ = np.histogram(features, bins)
            label = f"{name} ({len(features):,})"
            ax.stairs(counts, bins, fill=True, fc=colour + "40", ec=colour, lw=1.5, label=label)
    else:
        ax.set_ylabel(feature_names[1])
        for features, colour, marker, name in zip(classes, CLASS_COLOURS, CLASS_MARKERS, class_names, strict=True):
            label = f"{name} ({len(features):,})"
            ax.scatter(features[:, 0], features[:, 1], 16, colour, marker=marker, alpha=0.7, lw=0, label=label)
    ax.legend()
    return figure
