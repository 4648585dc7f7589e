"""The data: every datapoint or, where there are too many, some at random."""

import numpy as np
from matplotlib.figure import Figure

from project.figures.style import CLASS_COLOURS, CLASS_MARKERS, Classes, Names, dot_scale, least_width, new_figure, wrap


def sample_note(shown: int, rows: int) -> str:
    return "" if shown == rows else f"{shown:,} of {rows:,} datapoints, at random"


def scatter_figure(classes: Classes, rows: int, axis_names: Names, class_names: Names, num_features: int) -> Figure:
    """Draw datapoints, of how many rows, where they are seen, or of one feature a histogram of each class."""
    figure, (ax,) = new_figure()
    j, shown = len(axis_names), sum(map(len, classes))
    which = sample_note(shown, rows) or "All datapoints"
    ax.set_title(which if num_features <= 2 else f"{which}, in the plane of most variance of {num_features} features")
    ax.set(xlabel=wrap(axis_names[0], 70), ylabel="rows" if j == 1 else wrap(axis_names[1], 60))
    across = np.concatenate(classes)[:, 0].astype(np.float64)
    margin = least_width(across[0]) if np.ptp(across) == 0 else 0  # so that bins of a constant have a width
    bins = np.histogram_bin_edges(across, 30, (across.min() - margin, across.max() + margin))
    for features, colour, marker, name in zip(classes, CLASS_COLOURS, CLASS_MARKERS, class_names, strict=True):
        label = f"{wrap(name, 40)} ({len(features):,})"
        if j == 1:
            counts, _ = np.histogram(features, bins)
            ax.stairs(counts, bins, fill=True, fc=colour + "40", ec=colour, lw=1.5, label=label)
        else:
            size = 16 * dot_scale(shown)
            ax.scatter(features[:, 0], features[:, 1], size, colour, marker=marker, alpha=0.7, lw=0, label=label)
    ax.legend()
    return figure
