"""What the network decides where: its probability over the plane, and the line where it changes its mind."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from project.figures.style import (
    CLASS_COLOURS,
    CLASS_MARKERS,
    PROBABILITY_MAP,
    Numbers,
    dot_scale,
    new_figure,
    room,
    wrap,
)

MARGIN = 0.05  # of each axis' own range
NEAR = 0.04  # of an axis: the deviation of the bell that each training row spreads around it
PALEST = 0.2  # opacity of the colour far from any training row
LINE = "decision boundary (0.5)"

Classes = Sequence[Numbers]
Names = Sequence[str]


class Grid(NamedTuple):
    """Where to ask the network: along the one feature, or over a plane."""

    x: Numbers  # (n,) places across
    y: Numbers  # (n,) places upwards, or (0,) where there is one feature

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Where a picture begins and ends, across and upwards, of which each place is the middle of a cell."""
        half = (self.x[1] - self.x[0]) / 2, (self.y[1] - self.y[0]) / 2
        return self.x[0] - half[0], self.x[-1] + half[0], self.y[0] - half[1], self.y[-1] + half[1]

    def places(self) -> Numbers:
        """Return the (n * n, 2) places, those across first, or the (n, 1) of the one feature."""
        return (
            np.column_stack([axis.ravel() for axis in np.meshgrid(self.x, self.y)]) if self.y.size else self.x[:, None]
        )


def grid(low: Numbers, high: Numbers, n: int) -> Grid:
    """Lay a grid of n values an axis around the lowest and highest places, (1,) or (2,)."""
    lowest, highest = low.astype(np.float64), high.astype(np.float64)
    margin = MARGIN * np.where(highest > lowest, highest - lowest, room(lowest))
    axes = np.linspace(lowest - margin, highest + margin, n).T
    return Grid(axes[0], axes[1] if len(axes) == 2 else axes[0][:0])


class Scene(NamedTuple):
    """What is the same under all answers: where they are asked for, and what is drawn over them.

    Args:
        where: the grid.
        shown: by the name of a subset, where the rows of class 0 and class 1 are seen, (N, 1) or (N, 2); they are
            filled dots in the first subset, and hollow ones in any other.
        opacity: of the colours, (n, n) in [0, 1]: the farther from the training rows, the paler; None of one feature.
        axis_names: what is across, and upwards.
        class_names: of class 0 and class 1.
        note: stands above.
    """

    where: Grid
    shown: Mapping[str, Classes]
    opacity: Numbers | None
    axis_names: Names
    class_names: Names
    note: str = ""

    @property
    def probability(self) -> str:
        return f"probability of {self.class_names[1]}"


def boundary(panels: Mapping[str, Numbers], scene: Scene) -> Figure:
    """Draw panels side by side: by title, the probabilities (n,) or (n * n,) of class 1 at the places of a scene."""
    figure, axes = new_figure(1, len(panels), sharex=True, sharey=True)
    for ax, (title, values) in zip(axes, panels.items(), strict=True):
        draw_scene(ax, scene)
        draw_answers(ax, scene, values)
        ax.set_title(wrap(title, 60))
        ax.set_ylabel(ax.get_ylabel() if ax is axes[0] else "")
    finish(figure, axes, scene)
    return figure


def draw_scene(ax: Axes, scene: Scene) -> None:
    """Draw rows, axes and the entries of the legend."""
    if scene.opacity is None:
        upwards, limits = scene.probability, (-0.12, 1.12)
        ax.plot([], [], color="black", lw=2, label="probability")
        ax.axhline(0.5, color="black", lw=1, ls=":", label=LINE)
    else:
        upwards, limits = scene.axis_names[1], (scene.where.y[0], scene.where.y[-1])
        ax.plot([], [], color="black", lw=2, label=LINE)
    ax.set(xlabel=wrap(scene.axis_names[0], 70), ylabel=wrap(upwards, 60))
    ax.set(xlim=(scene.where.x[0], scene.where.x[-1]), ylim=limits)
    scale = dot_scale(sum(len(places) for classes in scene.shown.values() for places in classes))
    for hollow, (subset, classes) in enumerate(scene.shown.items()):
        for label, places in enumerate(classes):
            _draw_dots(ax, places, label, hollow > 0, f"{wrap(scene.class_names[label], 20)}, {subset}", scale)


def draw_answers(ax: Axes, scene: Scene, values: Numbers) -> list[Artist]:
    """Draw probabilities under a scene, and return what would have to go before others are drawn."""
    if scene.opacity is None:
        return [*ax.plot(scene.where.x, values, color="black", lw=2)]
    return draw_plane(ax, scene.where, values, scene.opacity)


def finish(figure: Figure, axes: list[Axes], scene: Scene) -> None:
    """Add what stands around the panels of a scene: the bar of colours, the note and the legend."""
    if scene.opacity is not None:
        add_bar(figure, axes, scene.probability)
    if scene.note:
        figure.suptitle(wrap(scene.note, 60 * len(axes)), fontsize="medium")
    columns = 5 if scene.opacity is not None and len(axes) > 1 else 1 + len(axes)
    figure.legend(*axes[-1].get_legend_handles_labels(), loc="outside lower center", ncols=columns)


def add_bar(figure: Figure, axes: Axes | list[Axes], probability: str) -> None:
    """Add the bar that says which probability, by its name, a colour is."""
    bar = ScalarMappable(Normalize(0, 1), PROBABILITY_MAP)
    words = f"{wrap(probability, 50)}\n(pale where no training row is near)"
    figure.colorbar(bar, ax=axes, label=words, ticks=[0, 0.25, 0.5, 0.75, 1])


def nearness(where: Grid, train: Numbers) -> Numbers | None:
    """Return how much training rows, seen at (N, 2), vouch for the colour of each cell, (n, n) in [PALEST, 1].

    Each spreads a bell of deviation NEAR around it; the colour is full up to one deviation from a single row. Of one
    feature there are no cells, but a curve.
    """
    if not where.y.size:
        return None
    n = len(where.x)
    bins = [np.linspace(axis[0], axis[-1], n + 1) for axis in (where.y, where.x)]
    there = np.histogram2d(train[:, 1], train[:, 0], bins)[0] > 0
    distance = np.arange(n)[:, None] - np.arange(n)
    bell = np.exp(-0.5 * (distance / (NEAR * n)) ** 2)
    result: Numbers = np.clip(bell @ there @ bell.T / np.exp(-0.5), PALEST, 1)
    return result


def draw_plane(ax: Axes, where: Grid, probability: Numbers, opacity: Numbers) -> list[Artist]:
    """Draw probabilities, (n * n,), as colours of an opacity, (n, n), and the line where they are one half."""
    values = probability.reshape(len(where.y), len(where.x))
    colours = PROBABILITY_MAP(values)
    colours[..., :3] = 1 - opacity[..., None] * (1 - colours[..., :3])
    image = ax.imshow(colours, extent=where.extent, origin="lower", aspect="auto", interpolation="nearest")
    ax.set(xlim=(where.x[0], where.x[-1]), ylim=(where.y[0], where.y[-1]))  # imshow has set the limits of its cells.
    return [image, *draw_line(ax, where, probability, "black", 2)]


def draw_line(ax: Axes, where: Grid, probability: Numbers, colour: str, width: float) -> list[Artist]:
    """Draw the line where probabilities, (n * n,), are one half."""
    if not probability.min() < 0.5 < probability.max():  # Where there is no line, matplotlib would warn.
        return []
    values = probability.reshape(len(where.y), len(where.x))
    return [ax.contour(where.x, where.y, values, [0.5], colors=colour, linewidths=width)]


def draw_units(ax: Axes, offsets: Numbers, slopes: Numbers, weights: Numbers) -> None:
    """Draw over a plane where offset + slopes * place is 0, for offsets (H,), slopes (H, 2) and weights (H,) in [0, 1].

    What of a line lies in the panel is shown; a unit whose slopes are 0 has none.
    """
    for offset, slope, weight in zip(offsets, slopes, weights, strict=True):
        steep = float(slope @ slope)
        if steep > 0:
            nearest = -offset * slope / steep  # the line's point that is nearest to the origin
            ends = nearest, nearest + np.array([-slope[1], slope[0]]) / np.sqrt(steep)
            line = ax.axline(*map(tuple, ends), color="black", lw=1, alpha=float(weight))
            line.set_in_layout(False)  # It has no end, and takes no room beside the panel.


def _draw_dots(ax: Axes, places: Numbers, label: int, hollow: bool, name: str, scale: float) -> None:
    """Draw rows over the plane or, of one feature, class 0 below and class 1 above the curve, hollow ones farther."""
    colour, plane = CLASS_COLOURS[label], places.shape[1] > 1
    heights = places[:, 1] if plane else np.full(len(places), 0.5 + (-1, 1)[label] * (0.58 if hollow else 0.53))
    edge: dict[str, Any] = (
        {"ec": "white", "lw": 0.4 * scale} if plane and not hollow else {"ec": colour, "lw": 1.5 * scale}
    )
    size, face = 22 if plane and hollow else 18, "none" if hollow else colour
    ax.scatter(places[:, 0], heights, size * scale, fc=face, marker=CLASS_MARKERS[label], label=name, **edge)
