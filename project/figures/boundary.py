"""What the network decides where: its probability over the plane, and the line where it changes its mind."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from project.figures.style import CLASS_COLOURS, CLASS_MARKERS, PROBABILITY_MAP, dot_scale, new_figure

MARGIN = 0.05  # of each axis' own range
MOST_CELLS = 2**22  # of grid inputs that are there at once

Features = npt.NDArray[np.float32 | np.float64]
Classes = Sequence[Features]
Names = Sequence[str]


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
    """Lay a grid of n values an axis around the lowest and highest features, (j,); from the third on they are means."""
    lowest, highest = low[:2].astype(np.float64), high[:2].astype(np.float64)
    # Around a constant, the margin is wide enough for the grid's values to differ.
    margin = MARGIN * np.where(highest > lowest, highest - lowest, np.maximum(1, 1e-4 * abs(lowest)))
    axes = np.linspace(lowest - margin, highest + margin, n).T
    return Grid(axes[0], axes[1] if len(axes) == 2 else axes[0][:0], means[2:])


def boundary(
    panels: Mapping[str, Features],
    where: Grid,
    train: Classes,
    test: Classes,
    feature_names: Names,
    class_names: Names,
    note: str = "",
) -> Figure:
    """Draw panels side by side: by title, the probabilities (n,) or (n * n,) of class 1 at the grid's inputs.

    The features (N, j) of class 0 and class 1 are filled dots where they are of train, hollow ones where of test. A
    note stands above.
    """
    figure, axes = new_figure(1, len(panels), sharex=True, sharey=True)
    scale = dot_scale(sum(map(len, [*train, *test])))
    plane, probability = where.y.size > 0, f"probability of {class_names[1]}"
    for ax, (title, values) in zip(axes, panels.items(), strict=True):
        (_draw_plane if plane else _draw_curve)(ax, where, values)
        for subset, classes in {"training": train, "test": test}.items():
            for label, features in enumerate(classes):
                _draw_dots(ax, features, label, subset == "test", f"{class_names[label]}, {subset}", scale)
        ax.set(title=title, xlabel=feature_names[0], xlim=(where.x[0], where.x[-1]))
    axes[0].set_ylabel(feature_names[1] if plane else probability)
    if plane:
        bar = ScalarMappable(Normalize(0, 1), PROBABILITY_MAP)
        figure.colorbar(bar, ax=axes, label=probability, ticks=[0, 0.25, 0.5, 0.75, 1])
    if where.others.size:
        held = [f"{name} = {value:.4g}" for name, value in zip(feature_names[2:], where.others, strict=True)]
        held[8:] = [f"and {len(held) - 8} more"] if len(held) > 8 else []
        note += "; " * bool(note) + "others at their training mean: " + ", ".join(held)
    if note:
        figure.suptitle(textwrap.fill(note, 60 * len(panels)), fontsize="medium")
    columns = 5 if plane and len(panels) > 1 else 1 + len(panels)
    figure.legend(*axes[-1].get_legend_handles_labels(), loc="outside lower center", ncols=columns)
    return figure


def _draw_plane(ax: Axes, where: Grid, probability: Features) -> None:
    values = probability.reshape(len(where.y), len(where.x))
    ax.pcolormesh(where.x, where.y, values, cmap=PROBABILITY_MAP, vmin=0, vmax=1, rasterized=True)
    if values.min() < 0.5 < values.max():  # Where there is no line, matplotlib would warn.
        ax.contour(where.x, where.y, values, [0.5], colors="black", linewidths=2)
    ax.plot([], [], color="black", lw=2, label="decision boundary (0.5)")
    ax.set_ylim(where.y[0], where.y[-1])


def _draw_curve(ax: Axes, where: Grid, probability: Features) -> None:
    ax.plot(where.x, probability, color="black", lw=2, label="probability")
    ax.axhline(0.5, color="black", lw=1, ls=":", label="decision boundary (0.5)")
    ax.set_ylim(-0.12, 1.12)


def _draw_dots(ax: Axes, features: Features, label: int, hollow: bool, name: str, scale: float) -> None:
    """Draw rows over the plane or, of one feature, class 0 below and class 1 above the curve, hollow ones farther."""
    colour, plane = CLASS_COLOURS[label], features.shape[1] > 1
    heights = features[:, 1] if plane else np.full(len(features), 0.5 + (-1, 1)[label] * (0.58 if hollow else 0.53))
    edge: dict[str, Any] = (
        {"ec": "white", "lw": 0.4 * scale} if plane and not hollow else {"ec": colour, "lw": 1.5 * scale}
    )
    size, face = 22 if plane and hollow else 18, "none" if hollow else colour
    ax.scatter(features[:, 0], heights, size * scale, fc=face, marker=CLASS_MARKERS[label], label=name, **edge)
