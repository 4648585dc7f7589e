"""The data: every datapoint, or for a single feature the distribution of each class."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from project.figures.style import CLASS_COLOURS, CLASS_MARKERS, new_figure

Features = npt.NDArray[np.float32]


def scatter(classes: Sequence[Features], feature_names: Sequence[str], class_names: Sequence[str]) -> Figure:
    """Draw the features of class 0 and class 1, each (N, j): the first across, the second up.

    With j = 1 it is a histogram of each class, both over the same 30 bins.
    """
    figure, (ax,) = new_figure()
    ax.set_xlabel(feature_names[0])
    if classes[0].shape[1] == 1:
        bins = np.histogram_bin_edges(np.concatenate(classes).astype(np.float64), 30)
        for features, colour, name in zip(classes, CLASS_COLOURS, class_names, strict=True):
            ax.hist(
                features[:, 0], bins.tolist(), histtype="stepfilled", fc=colour + "40", ec=colour, lw=1.5, label=name
            )
        ax.set_ylabel("rows")
    else:
        for features, colour, marker, name in zip(classes, CLASS_COLOURS, CLASS_MARKERS, class_names, strict=True):
            x, y = features[:, 0], features[:, 1]
            ax.scatter(x, y, 16, colour, marker=marker, alpha=0.7, linewidths=0, label=f"{name} ({len(x)})")
        ax.set_ylabel(feature_names[1])
    j = classes[0].shape[1]
    ax.set_title("All datapoints" if j <= 2 else f"All datapoints, the first 2 of {j} features")
    ax.legend()
    return figure
