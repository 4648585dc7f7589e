"""What the network decides where: its probability over the plane, and the line where it changes its mind."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from project.figures.style import CLASS_COLOURS, CLASS_MARKERS, PROBABILITY_MAP, new_figure

MARGIN = 0.05  # of each axis' own range
MOST_CELLS = 2**22  # of grid inputs that are there at once

Features = npt.NDArray[np.float32]
Classes = Sequence[Features]


class Grid(NamedTuple):
    """Where to ask the network: along the first feature, or over the plane of the first two."""

    x: Features  # (n,) values of the first feature
    y: Features  # (n,) values of the second, or (0,) where there is none
    others: Features  # (j - 2,) what the other features are held at, or (0,)

    def inputs(self) -> Iterator[Features]:
        """Yield the (n, 1) or (n * n, j) features at the grid's points, the second feature slower, in parts."""
        if not self.y.size:
            yield self.x[:, None]
            return
        rows = max(1, MOST_CELLS // ((2 + len(self.others)) * len(self.x)))
        for start in range(0, len(self.y), rows):
            x, y = np.meshgrid(self.x, self.y[start : start + rows])
            yield np.column_stack([x.ravel(), y.ravel(), np.tile(self.others, (x.size, 1))])


def grid(low: Features, high: Features, means: npt.NDArray[np.float64], n: int) -> Grid:
    """Lay a grid of n values an axis.

    Args:
        low: the lowest value of each feature, (j,).
        high: the highest, (j,).
        means: of each feature in the training subset, (j,), at which those from the third on are held.
        n: values an axis.
    """
    lowest, highest = low[:2].astype(np.float64), high[:2].astype(np.float64)
    # Around a constant, the margin is wide enough for the grid's values to differ in float32.
    margin = MARGIN * np.where(highest > lowest, highest - lowest, np.maximum(1, 1e-4 * abs(lowest)))
    axes = np.linspace(lowest - margin, highest + margin, n, dtype=np.float32).T
    return Grid(axes[0], axes[1] if len(axes) == 2 else axes[0][:0], means[2:].astype(np.float32))


def boundary(
    panels: Mapping[str, Features],
    where: Grid,
    train: Classes,
    test: Classes,
    feature_names: Sequence[str],
    class_names: Sequence[str],
) -> Figure:
    """Draw panels side by side, with the same limits and colours.

    Args:
        panels: for each title, the probabilities (n,) or (n * n,) of class 1 at the grid's inputs.
        where: the grid.
        train: features (N, j) of class 0 and class 1, drawn as filled dots.
        test: likewise, drawn as hollow dots.
        feature_names: names of the j features.
        class_names: names of class 0 and class 1.
    """
    figure, axes = new_figure(1, len(panels), sharex=True, sharey=True)
    draw_probability, draw_dots = (_plane, _on_plane) if where.y.size else (_curve, _beside_curve)
    for ax, (title, probability) in zip(axes, panels.items(), strict=True):
        draw_probability(ax, where, probability)
        for subset, classes in {"training": train, "test": test}.items():
            for label, features in enumerate(classes):
                draw_dots(ax, features, label, subset == "test", f"{class_names[label]}, {subset}")
        ax.set(title=title, xlabel=feature_names[0], xlim=(where.x[0], where.x[-1]))
    axes[0].set_ylabel(feature_names[1] if where.y.size else f"probability of {class_names[1]}")
    if where.y.size:
        mappable = ScalarMappable(cmap=PROBABILITY_MAP)
        mappable.set_clim(0, 1)
        figure.colorbar(mappable, ax=axes, label=f"probability of {class_names[1]}", ticks=[0, 0.25, 0.5, 0.75, 1])
    if where.others.size:
        fixed = zip(feature_names[2:], where.others, strict=True)
        held = [f"{name} = {value:.4g}" for name, value in fixed]
        rest = [f"and {len(held) - 8} more"] if len(held) > 8 else []
        title = "Others at their training mean: " + ", ".join(held[:8] + rest)
        figure.suptitle(textwrap.fill(title, 60 * len(panels)), fontsize="medium")
    handles, labels = axes[-1].get_legend_handles_labels()
    columns = 5 if len(panels) > 1 and where.y.size else 1 + len(panels)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    return figure


def _plane(ax: Axes, where: Grid, probability: Features) -> None:
    values = probability.reshape(len(where.y), len(where.x))
    ax.pcolormesh(where.x, where.y, values, cmap=PROBABILITY_MAP, vmin=0, vmax=1)
    if values.min() < 0.5 < values.max():  # Where there is no line, matplotlib would warn.
        ax.contour(where.x, where.y, values, [0.5], colors="black", linewidths=2)
    ax.plot([], [], color="black", lw=2, label="decision boundary (0.5)")
    ax.set_ylim(where.y[0], where.y[-1])


def _on_plane(ax: Axes, features: Features, label: int, tested: bool, name: str) -> None:
    colour, marker = CLASS_COLOURS[label], CLASS_MARKERS[label]
    looks = {"fc": "none", "ec": colour} if tested else {"fc": colour, "ec": "white", "lw": 0.4}
    ax.scatter(features[:, 0], features[:, 1], 22 if tested else 18, marker=marker, label=name, **looks)


def _curve(ax: Axes, where: Grid, probability: Features) -> None:
    ax.plot(where.x, probability, color="black", lw=2, label="probability")
    ax.axhline(0.5, color="black", lw=1, ls=":", label="decision boundary (0.5)")
    ax.set_ylim(-0.12, 1.12)


def _beside_curve(ax: Axes, features: Features, label: int, tested: bool, name: str) -> None:
    """Draw class 0 below and class 1 above the curve, the test rows farther from it."""
    height = 0.5 + (-1, 1)[label] * (0.58 if tested else 0.53)
    colour = CLASS_COLOURS[label]
    face = "none" if tested else colour
    heights = np.full(len(features), height)
    ax.scatter(features, heights, 18, fc=face, ec=colour, marker=CLASS_MARKERS[label], label=name)
