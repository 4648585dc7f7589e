"""Figures as tests look at them: drawn, panel by panel."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle

from project.figures.style import CLASS_MARKERS, own_style, to_picture

Array = npt.NDArray[np.float32]
Artist = TypeVar("Artist")
FEATURES = ["length (cm)", "width (cm)"]
CLASSES = ["cats", "dogs"]
# Settings of a user, which no figure may depend on
ODD = {"text.usetex": True, "font.family": "no such font", "axes.grid": True, "savefig.dpi": 7, "lines.linewidth": 9}


def draw_panels(figure: Figure) -> list[Axes]:
    """Draw a figure, which proves that it can be drawn, without a warning; return its axes but for colour bars."""
    with own_style():
        to_picture(figure)
    return [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]


def legend_texts(owner: Axes | Figure) -> list[str]:
    legend = owner.get_legend() if isinstance(owner, Axes) else owner.legends[0]
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def artists(ax: Axes, kind: type[Artist]) -> list[Artist]:
    return [artist for artist in ax.collections if isinstance(artist, kind)]


def assert_dots(dots: PathCollection, rows: Array, label: int) -> None:
    """Dots are where the rows (N, j) are seen, with the marker of their class."""
    np.testing.assert_array_equal(np.asarray(dots.get_offsets())[:, : rows.shape[1]], rows)
    style = MarkerStyle(CLASS_MARKERS[label])
    shape = style.get_path().transformed(style.get_transform())
    np.testing.assert_allclose(dots.get_paths()[0].vertices, shape.vertices)


def make_rows(j: int, rows: int, seed: int) -> list[Array]:
    """Return rows of class 0 and half as many of class 1; each feature with a range of its own."""
    values = np.random.default_rng(seed).normal(size=(rows + rows // 2, j)) * 10.0 ** np.arange(j) + 5 * np.arange(j)
    return np.split(values.astype(np.float32), [rows])
