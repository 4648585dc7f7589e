"""A network's probability over a plane of the features, and the line where it is one half."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, FigureBase
from matplotlib.image import AxesImage

from project.errors import join_words
from project.figures.style import PROBABILITY_MAP, Classes, Names, Numbers, draw_dots, least_width, new_figure, wrap

NEAR = 0.04  # of an axis: the deviation of the bell that each training row spreads around it
PALEST = 0.2  # opacity of the colour far from any training row
LINE = "decision boundary (0.5)"
# How the boundary of one feature is marked
CROSSING: dict[str, Any] = {"marker": "D", "ls": "", "mfc": "white", "mec": "black", "ms": 6}


class Scene(NamedTuple):
    """What is the same under all answers: the grid where they are asked for, and what is drawn over them."""

    axes: Numbers  # places along the one feature, (1, n), or across and upwards, (2, n)
    opacity: Numbers  # of colours, (n, n) in [0, 1]: the farther from training rows, the paler; (0, 0) of one feature
    shown: Mapping[str, Classes]  # by the name of a subset; the first one's rows are filled dots, others' hollow
    axis_names: Names  # across, and upwards
    class_names: Names
    note: str  # stands above
    ringed: Classes = ()  # rows of class 0 and class 1 that are marked, (n, 1) or (n, 2)

    @property
    def is_plane(self) -> bool:
        return len(self.axes) == 2

    @property
    def probability(self) -> str:
        return f"probability of {self.class_names[1]}"

    def clip(self, rows: Numbers) -> Numbers:
        """Return rows, (N, 1) or (N, 2), with those outside moved to the edge."""
        return rows.clip(*self.axes[:, [0, -1]].T)

    def places(self) -> Numbers:
        """Return the (n, 1) places of the one feature, or the (n * n, 2) of the plane, those across first."""
        return np.stack(np.meshgrid(*self.axes), -1).reshape(-1, len(self.axes))


def lay_scene(
    train: Numbers,
    shown: Mapping[str, Classes],
    n: int,
    axis_names: Names,
    class_names: Names,
    note: str,
    framed: Classes = (),
) -> Scene:
    """Lay a grid of n places an axis around training and framed rows, seen at (N, 1) or (N, 2); show some at most."""
    rows = np.concatenate([train, *framed])
    low, high = rows.min(0).astype(np.float64), rows.max(0).astype(np.float64)
    margin = 0.05 * np.where(high > low, high - low, least_width(low))
    axes: Numbers = np.linspace(low - margin, high + margin, n).T
    opacity = weigh_colours(axes, train) if len(axes) == 2 else np.empty((0, 0))
    scene = Scene(axes, opacity, shown, axis_names, class_names, note)
    places = np.concatenate([train[:0], *(rows for classes in shown.values() for rows in classes)])
    if outside := int((places != scene.clip(places)).any(1).sum()):
        return scene._replace(note=f"{note}\n{outside:,} dots lie outside, and are at the edge".lstrip())
    return scene


def weigh_colours(axes: Numbers, train: Numbers) -> Numbers:
    """Return an opacity, (n, n): around rows seen at (N, 2), bells that are full up to one deviation from a row."""
    n = axes.shape[1]
    there = np.histogram2d(train[:, 1], train[:, 0], n, axes[::-1, [0, -1]])[0] > 0
    bell = np.exp(-0.5 * ((np.arange(n)[:, None] - np.arange(n)) / (NEAR * n)) ** 2)
    near: Numbers = bell @ there @ bell.T / np.exp(-0.5)
    return near.clip(PALEST, 1)


def boundary_figure(panels: Mapping[str, Numbers], scene: Scene) -> Figure:
    """Draw panels side by side: by title, the probabilities (n,) or (n * n,) of class 1 at the places of a scene."""
    figure, axes = new_figure(1, len(panels), sharex=True, sharey=True)
    for ax, (title, values) in zip(axes, panels.items(), strict=True):
        draw_scene(ax, scene, panels)
        draw_answers(ax, scene, values)
        ax.set_title(wrap(title, 60))
        ax.set_ylabel(ax.get_ylabel() if ax is axes[0] else "")
    add_key(figure, axes, scene)
    return figure


def draw_scene(ax: Axes, scene: Scene, panels: Mapping[str, Numbers]) -> None:
    """Draw rows, axes and the legend's entries of panels; of one feature, class 0 is below the curve, class 1 above."""
    line: dict[str, Any] = {"color": "black", "lw": 2}
    ax.set(xlabel=wrap(scene.axis_names[0], 70), xlim=scene.axes[0, [0, -1]])
    if scene.is_plane:
        ax.set(ylabel=wrap(scene.axis_names[1], 46), ylim=scene.axes[1, [0, -1]])
    else:
        ax.set(ylabel=wrap(scene.probability, 40), ylim=(-0.12, 1.12))
        ax.axhline(0.5, color="black", lw=1, ls=":")
        ax.plot([], [], label="probability", **line)
    if any(map(has_line, panels.values())):
        ax.plot([], [], label=LINE, **(line if scene.is_plane else CROSSING))
    rows = sum(len(places) for classes in scene.shown.values() for places in classes)
    for hollow, (subset, parts) in enumerate(scene.shown.items()):
        classes = list(map(scene.clip, parts))
        far, size = 0.58 if hollow else 0.53, 22 if hollow and scene.is_plane else 18
        edge = "white" if scene.is_plane and not hollow else ""
        names = [f"{wrap(name, 20)}, {subset}" for name in scene.class_names]
        draw_dots(ax, classes, names, (0.5 - far, 0.5 + far), size, rows, edge, not hollow)
    if ringed := sum(map(len, scene.ringed)):
        classes = list(map(scene.clip, scene.ringed))
        heights = np.repeat([-0.03, 1.03], [len(places) for places in classes])
        across, upwards = np.column_stack([np.concatenate(classes), heights])[:, :2].T
        ax.plot(across, upwards, "o", ms=10, mfc="none", mec="black", mew=1.2, label=f"the {ringed} most wrong")


def draw_answers(ax: Axes, scene: Scene, values: Numbers) -> list[Artist]:
    """Draw probabilities under a scene, and return what would have to go before others are drawn."""
    if not scene.is_plane:
        across = find_crossings(scene.axes[0], values)
        curve = ax.plot(scene.axes[0], values, color="black", lw=2)
        return [*curve, *ax.plot(across, np.full(len(across), 0.5), **CROSSING)]
    colours = PROBABILITY_MAP(values.reshape(scene.opacity.shape))
    colours[..., :3] = 1 - scene.opacity[..., None] * (1 - colours[..., :3])
    image = draw_cells(ax, scene, colours, interpolation="nearest")
    return [image, *draw_line(ax, scene, values, "black", 2)]


def draw_cells(ax: Axes, scene: Scene, cells: Numbers, **options: Any) -> AxesImage:
    """Draw a picture, (n, n) or (n, n, 4), of whose cells each has a place of the grid in its middle."""
    half = (scene.axes[:, 1] - scene.axes[:, 0]) / 2
    (left, bottom), (right, top) = scene.axes[:, 0] - half, scene.axes[:, -1] + half
    return ax.imshow(cells, extent=(left, right, bottom, top), origin="lower", aspect="auto", **options)


def has_line(values: Numbers) -> bool:
    """Return whether probabilities lie on both sides of one half."""
    return bool(values.min() < 0.5 < values.max())


def find_crossings(places: Numbers, values: Numbers) -> Numbers:
    """Return where between places, (n,), probabilities, (n,), cross one half."""
    is_one = values >= 0.5
    before = np.flatnonzero(is_one[1:] != is_one[:-1])
    shares = (0.5 - values[before]) / (values[before + 1] - values[before])
    return np.asarray(places[before] + shares * (places[before + 1] - places[before]))


def name_crossings(places: Numbers, values: Numbers) -> str:
    """Name in words where between places, (n,), probabilities, (n,), cross one half, to a thousandth of the width."""
    decimals = 2 - math.floor(math.log10(places[-1] - places[0]))
    found = [f"{round(place, decimals) + 0.0:.12g}" for place in find_crossings(places, values).tolist()]
    return f"boundary at x = {join_words(found, 4)}" if found else "no boundary in view"


def draw_line(ax: Axes, scene: Scene, values: Numbers, colour: str, width: float) -> list[Artist]:
    """Draw the line in the plane where probabilities, (n * n,), are one half."""
    if not has_line(values):  # Then matplotlib would warn.
        return []
    return [ax.contour(*scene.axes, values.reshape(scene.opacity.shape), [0.5], colors=colour, linewidths=width)]


def add_key(figure: FigureBase, axes: list[Axes], scene: Scene) -> None:
    """Add the bar of colours, the note and the legend that stand around the panels of a scene."""
    if scene.is_plane:
        add_bar(figure, axes, scene)
    if scene.note:
        figure.suptitle(wrap(scene.note, 60 * len(axes)), fontsize="medium")
    columns = 6 if len(axes) > 1 else 2
    figure.legend(*axes[-1].get_legend_handles_labels(), loc="outside lower center", ncols=columns)


def add_bar(figure: FigureBase, axes: list[Axes], scene: Scene) -> None:
    bar, words = ScalarMappable(Normalize(0, 1), PROBABILITY_MAP), "(pale where no training dot is near)"
    figure.colorbar(bar, ax=axes, label=f"{wrap(scene.probability, 40)}\n{words}", ticks=[0, 0.25, 0.5, 0.75, 1])


def draw_units(ax: Axes, offsets: Numbers, slopes: Numbers, weights: Numbers) -> None:
    """Draw over a plane where offset + slopes * place is 0, for offsets (H,), slopes (H, 2), weights (H,) in [0, 1]."""
    for offset, slope, weight in zip(offsets, slopes, weights, strict=True):
        if (steep := float(slope @ slope)) > 0:  # What looks at nothing has no line.
            nearest = -offset * slope / steep  # the line's point that is nearest to the origin
            other = nearest + np.array([-slope[1], slope[0]]) / np.sqrt(steep)
            line = ax.axline(tuple(nearest), tuple(other), color="black", lw=1, alpha=float(weight))
            line.set_in_layout(False)  # It has no end, and takes no room beside the panel.
