"""What the network decides where: its probability over the plane, and the line where it changes its mind."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from project.figures.density import Cloud, Density, Features
from project.figures.style import CLASS_COLOURS, CLASS_MARKERS, PROBABILITY_MAP, new_figure

MARGIN = 0.05  # of each axis' own range


class Grid(NamedTuple):
    """Where to ask the network: along the first feature, or over the plane of the first two."""

    x: Features  # (n,) values of the first feature
    y: Features  # (n,) values of the second, or (0,) where there is none
    inputs: Features  # (n, 1) or (n * n, j), the second feature slower; the others at their training median
    others: Features  # (j - 2,) those medians


def grid(low: npt.NDArray[np.float32], high: npt.NDArray[np.float32], medians: npt.NDArray[np.float32], n: int) -> Grid:
    """Lay a grid of n values an axis.

    Args:
        low: the lowest value of each feature, (j,).
        high: the highest, (j,).
        medians: of each feature from the third on, in the training subset, (j - 2,) or (0,).
        n: values an axis.
    """
    lowest, highest = low[:2].astype(np.float64), high[:2].astype(np.float64)
    # around a constant, wide enough to be told apart in float32
    margin = MARGIN * np.where(highest > lowest, highest - lowest, np.maximum(1, 1e-4 * abs(lowest)))
    axes = np.linspace(lowest - margin, highest + margin, n, dtype=np.float32).T
    if len(axes) == 1:
        return Grid(axes[0], axes[0][:0], axes.T, axes[0][:0])
    x, y = np.meshgrid(axes[0], axes[1])
    inputs = np.column_stack([x.ravel(), y.ravel(), np.tile(medians, (n * n, 1))])
    return Grid(axes[0], axes[1], inputs.astype(np.float32), medians)


def boundary(
    panels: Mapping[str, npt.NDArray[np.float32]],
    where: Grid,
    train: Sequence[Cloud],
    test: Sequence[Cloud],
    feature_names: Sequence[str],
    class_names: Sequence[str],
) -> Figure:
    """Draw panels side by side, with the same limits and colours.

    Args:
        panels: for each title, the probabilities (n,) or (n * n,) of class 1 at the grid's inputs.
        where: the grid.
        train: class 0 and class 1, features (N, j) or their density: dots are drawn filled, a density solid.
        test: likewise: dots are drawn hollow, a density dotted.
        feature_names: names of the j features.
        class_names: names of class 0 and class 1.
    """
    figure, axes = new_figure(1, len(panels), sharex=True, sharey=True)
    draw_probability, draw_cloud = (_plane, _on_plane) if where.y.size else (_curve, _beside_curve)
    for ax, (title, probability) in zip(axes, panels.items(), strict=True):
        draw_probability(ax, where, probability)
        for subset, classes in {"training": train, "test": test}.items():
            for label, cloud in enumerate(classes):
                draw_cloud(ax, cloud, label, subset == "test", f"{class_names[label]}, {subset}")
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
    wide = len(panels) > 1 and where.y.size and not isinstance(train[0], Density)
    columns = 5 if wide else 1 + len(panels)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    return figure


def _plane(ax: Axes, where: Grid, probability: Features) -> None:
    values = probability.reshape(len(where.y), len(where.x))
    ax.pcolormesh(where.x, where.y, values, cmap=PROBABILITY_MAP, vmin=0, vmax=1)
    if values.min() < 0.5 < values.max():  # elsewhere there is no line, and matplotlib warns
        ax.contour(where.x, where.y, values, [0.5], colors="black", linewidths=2)
    ax.plot([], [], color="black", lw=2, label="decision boundary (0.5)")
    ax.set_ylim(where.y[0], where.y[-1])


def _on_plane(ax: Axes, cloud: Cloud, label: int, tested: bool, name: str) -> None:
    colour, marker = CLASS_COLOURS[label], CLASS_MARKERS[label]
    if isinstance(cloud, Density):
        cloud.draw(ax, colour, ":" if tested else "-", name)
        return
    looks = {"fc": "none", "ec": colour} if tested else {"fc": colour, "ec": "white", "lw": 0.4}
    ax.scatter(cloud[:, 0], cloud[:, 1], 22 if tested else 18, marker=marker, label=name, **looks)


def _curve(ax: Axes, where: Grid, probability: Features) -> None:
    ax.plot(where.x, probability, color="black", lw=2, label="probability")
    ax.axhline(0.5, color="black", lw=1, ls=":", label="decision boundary (0.5)")
    ax.set_ylim(-0.12, 1.12)


def _beside_curve(ax: Axes, cloud: Cloud, label: int, tested: bool, name: str) -> None:
    """Draw class 0 below and class 1 above the curve, the test rows farther from it."""
    colour, marker = CLASS_COLOURS[label], CLASS_MARKERS[label]
    away = (-1, 1)[label]
    if isinstance(cloud, Density):
        base = 0.5 + 0.52 * away
        heights = base + 0.1 * away * cloud.counts / cloud.counts.max()
        text = f"{name} ({cloud.rows:,} rows)"
        ax.stairs(heights, cloud.edges[0], baseline=base, fill=not tested, color=colour, label=text)
        return
    height = 0.5 + away * (0.58 if tested else 0.53)
    face = "none" if tested else colour
    ax.scatter(cloud[:, 0], np.full(len(cloud), height), 18, fc=face, ec=colour, marker=marker, label=name)
