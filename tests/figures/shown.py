"""What a figure shows, read back from its artists."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle

from project.figures.style import to_pixels


def panels_of(figure: Figure) -> dict[str, Axes]:
    """Draw a figure, which proves that it can be drawn, and return the axes that have a title: a colour bar has none."""
    to_pixels(figure)
    return {ax.get_title(): ax for ax in figure.axes if ax.get_title()}


def legend_texts(owner: Axes | Figure) -> list[str]:
    legend = owner.get_legend() if isinstance(owner, Axes) else owner.legends[0]
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def assert_marker(points: PathCollection, marker: str) -> None:
    style = MarkerStyle(marker)
    shape = style.get_path().transformed(style.get_transform())
    np.testing.assert_allclose(points.get_paths()[0].vertices, shape.vertices)
