"""The data: every datapoint or, where there are too many, some at random."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from project.figures.style import Classes, Names, add_legend, draw_dots, draw_histogram, least_width, new_figure, wrap


def count_rows(shown: int, kept: int, given: int) -> str:
    """Say how many rows are shown, of those that were kept so that classes are equal, of those that were given."""
    reasons = [("classes made equal", kept < given), ("some at random", shown < kept)]
    because = ", ".join(words for words, is_so in reasons if is_so)
    return f"{shown:,} of {given:,} rows: {because}" if because else f"All {given:,} rows"


def scatter_figure(panels: Mapping[str, tuple[Classes, Names]], class_names: Names, title: str) -> Figure:
    """Draw datapoints, by a panel's title, where they are seen on axes of some names; of one feature, histograms."""
    figure, axes = new_figure(1, len(panels))
    for ax, (words, (classes, axis_names)) in zip(axes, panels.items(), strict=True):
        names = [f"{wrap(name, 25)} ({len(rows):,})" for name, rows in zip(class_names, classes, strict=True)]
        ax.set(title=words, xlabel=wrap(axis_names[0], 70))
        if len(axis_names) == 1:
            across = np.concatenate(classes)[:, 0].astype(np.float64)
            margin = least_width(across[0]) if np.ptp(across) == 0 else 0  # so that bins of a constant have a width
            bins = np.histogram_bin_edges(across, 30, (across.min() - margin, across.max() + margin))
            draw_histogram(ax, classes, names, bins)
        else:
            ax.set_ylabel(wrap(axis_names[1], 60))
            draw_dots(ax, classes, names, (), 22, sum(map(len, classes)), "white", True)
        add_legend(ax)
    figure.suptitle(title, fontsize="large")
    return figure
