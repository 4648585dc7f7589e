"""What the network decides where: its probability over the plane, and the line where it changes its mind."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from project.figures.style import CLASS_COLOURS, CLASS_MARKERS, PROBABILITY_MAP, new_figure

Features = npt.NDArray[np.float32]
Points = tuple[Features, npt.NDArray[np.float32]]  # features (N, j) and labels (N, 1)
MARGIN = 0.05  # of each axis' own range


class Grid(NamedTuple):
    """Where to ask the network: along the first feature, or over the plane of the first two."""

    x: Features  # (n,) values of the first feature
    y: Features  # (n,) values of the second, or (0,) where there is none
    inputs: Features  # (n, 1) or (n * n, j), the second feature slower; the others at their training median
    others: Features  # (j - 2,) those medians


def grid(train: Features, test: Features, n: int) -> Grid:
    """Lay a grid of n values an axis over training and test features, each (N, j)."""
    low = np.minimum(train.min(0), test.min(0)).astype(np.float64)
    high = np.maximum(train.max(0), test.max(0)).astype(np.float64)
    # around a constant, wide enough to be told apart in float32
    margin = MARGIN * np.where(high > low, high - low, np.maximum(1, 1e-4 * abs(low)))
    axes = np.linspace(low - margin, high + margin, n, dtype=np.float32).T
    if len(axes) == 1:
        return Grid(axes[0], axes[0][:0], axes.T, axes[0][:0])
    others = np.median(train[:, 2:].astype(np.float64), 0)
    x, y = np.meshgrid(axes[0], axes[1])
    inputs = np.column_stack([x.ravel(), y.ravel(), np.tile(others, (n * n, 1))])
    return Grid(axes[0], axes[1], inputs.astype(np.float32), others.astype(np.float32))


def boundary(
    panels: Mapping[str, npt.NDArray[np.float32]],
    where: Grid,
    train: Points,
    test: Points,
    feature_names: Sequence[str],
    class_names: Sequence[str],
) -> Figure:
    """Draw panels side by side, with the same limits and colours.

    Args:
        panels: for each title, the probabilities (n,) or (n * n,) of class 1 at the grid's inputs.
        where: the grid.
        train: drawn filled.
        test: drawn hollow.
        feature_names: names of the j features.
        class_names: names of class 0 and class 1.
    """
    figure, axes = new_figure(1, len(panels), sharex=True, sharey=True)
    for ax, (title, probability) in zip(axes, panels.items(), strict=True):
        (_plane if where.y.size else _curve)(ax, where, probability, train, test, class_names)
        ax.set(title=title, xlabel=feature_names[0], xlim=(where.x[0], where.x[-1]))
    axes[0].set_ylabel(feature_names[1] if where.y.size else f"probability of {class_names[1]}")
    if where.y.size:
        mappable = ScalarMappable(cmap=PROBABILITY_MAP)
        mappable.set_clim(0, 1)
        figure.colorbar(mappable, ax=axes, label=f"probability of {class_names[1]}", ticks=[0, 0.25, 0.5, 0.75, 1])
    if where.others.size:
        fixed = zip(feature_names[2:], where.others, strict=True)
        medians = [f"{name} = {value:.4g}" for name, value in fixed]
        rest = [f"and {len(medians) - 8} more"] if len(medians) > 8 else []
        title = "Others at their training median: " + ", ".join(medians[:8] + rest)
        figure.suptitle(textwrap.fill(title, 60 * len(panels)), fontsize="medium")
    handles, labels = axes[-1].get_legend_handles_labels()
    columns = 2 if len(panels) == 1 else 5 if where.y.size else 3
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    return figure


def _plane(
    ax: Axes, where: Grid, probability: Features, train: Points, test: Points, class_names: Sequence[str]
) -> None:
    values = probability.reshape(len(where.y), len(where.x))
    ax.pcolormesh(where.x, where.y, values, cmap=PROBABILITY_MAP, vmin=0, vmax=1)
    if values.min() < 0.5 < values.max():  # elsewhere there is no line, and matplotlib warns
        ax.contour(where.x, where.y, values, [0.5], colors="black", linewidths=2)
    ax.plot([], [], color="black", lw=2, label="decision boundary (0.5)")
    ax.set_ylim(where.y[0], where.y[-1])
    for subset, (features, labels) in {"training": train, "test": test}.items():
        for label, (colour, marker, name) in enumerate(zip(CLASS_COLOURS, CLASS_MARKERS, class_names, strict=True)):
            x, y = features[labels[:, 0] == label, :2].T
            looks = {"fc": colour, "ec": "white", "lw": 0.4} if subset == "training" else {"fc": "none", "ec": colour}
            ax.scatter(x, y, 18 if subset == "training" else 22, marker=marker, label=f"{name}, {subset}", **looks)


def _curve(
    ax: Axes, where: Grid, probability: Features, train: Points, test: Points, class_names: Sequence[str]
) -> None:
    ax.plot(where.x, probability, color="black", lw=2, label="probability")
    ax.axhline(0.5, color="black", lw=1, ls=":", label="decision boundary (0.5)")
    ax.set_ylim(-0.12, 1.12)
    for subset, (features, labels) in {"training": train, "test": test}.items():
        for label, (colour, marker, name) in enumerate(zip(CLASS_COLOURS, CLASS_MARKERS, class_names, strict=True)):
            x = features[labels[:, 0] == label, 0]
            # class 0 below, class 1 above the curve; test points beside the training points
            height = (1.03 if label else -0.03) + (0.05 if label else -0.05) * (subset == "test")
            face = colour if subset == "training" else "none"
            ax.scatter(x, np.full(len(x), height), 18, fc=face, ec=colour, marker=marker, label=f"{name}, {subset}")
