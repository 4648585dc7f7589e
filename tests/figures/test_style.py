"""From figure to pixels to PNG, and back with another library's decoder, whatever matplotlib is set to."""

import io
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from PIL import Image

from project.figures import style
from project.figures.style import Pixels, new_figure, own_style, to_file, to_pixels, to_png

ODD = {"text.usetex": True, "font.family": "no such font", "axes.grid": True, "savefig.dpi": 7, "lines.linewidth": 9}


def panels_of(figure: Figure) -> dict[str, Axes]:
    """Draw a figure, which proves that it can be drawn; return its axes by title, which a colour bar has not."""
    to_pixels(figure)
    return {ax.get_title(): ax for ax in figure.axes if ax.get_label() != "<colorbar>"}


def legend_texts(owner: Axes | Figure) -> list[str]:
    legend = owner.get_legend() if isinstance(owner, Axes) else owner.legends[0]
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def assert_marker(points: PathCollection, marker: str) -> None:
    style = MarkerStyle(marker)
    shape = style.get_path().transformed(style.get_transform())
    np.testing.assert_allclose(points.get_paths()[0].vertices, shape.vertices)


def draw(title: str = "costs $5, or $x_1$") -> Figure:
    """Return a figure with text, lines, points and a legend."""
    with own_style():
        figure, (left, right) = new_figure(1, 2, sharey=True)
        left.plot([0, 1, 4, 9], label="squares")
        right.scatter([1, 2], [3, 4], label="points")
        left.set(title=title, xlabel="x")
        left.legend()
    return figure


def test_a_figure_is_always_the_same_png_which_decodes_to_its_pixels() -> None:
    """Drawn twice from the beginning. On opaque white, because TensorBoard gets the pixels without their alpha."""
    first, second = (to_file(draw(), "png") for _ in range(2))
    pixels = to_pixels(draw())
    assert first == second == to_png(pixels) != to_file(draw("another title"), "png")
    assert (pixels.dtype, pixels.shape) == (np.uint8, (480, 1280, 4))
    assert len(np.unique(pixels)) > 10, "something is drawn"
    assert set(pixels[0, 0]) == set(pixels[..., 3].flat) == {255}
    decoded = Image.open(io.BytesIO(first))
    assert decoded.format == "PNG"
    assert set(decoded.info) <= {"Software", "dpi"}, "no time"
    np.testing.assert_array_equal(np.asarray(decoded), pixels)


def test_the_settings_of_a_user_change_no_pixel_and_stay_as_they_were() -> None:
    """Neither does a name with a dollar become a formula."""
    expected, plain = to_pixels(draw()), dict(mpl.rcParams)
    with mpl.rc_context(ODD):
        settings_of_user = dict(mpl.rcParams)
        np.testing.assert_array_equal(to_pixels(draw()), expected)
        assert to_file(draw(), "svg").startswith(b"<?xml")
        assert dict(mpl.rcParams) == settings_of_user
    assert dict(mpl.rcParams) == plain
    assert not draw().axes[0].title.get_parse_math()


@pytest.mark.process
def test_importing_the_package_changes_no_setting() -> None:
    program = "import matplotlib as m; d = dict(m.rcParams); import project.cli, project.plot; assert d == m.rcParams"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(4))))
def test_png_decodes_to_any_pixels(pixels: Pixels) -> None:
    """Every value of every channel, transparent ones included."""
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(to_png(pixels)))), pixels)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 2), (2, 2), (3, 2)])
def test_panels_of_640_by_480(rows: int, columns: int) -> None:
    """The panels come row by row."""
    figure, axes = new_figure(rows, columns)
    assert (list(figure.axes), len(axes)) == (axes, rows * columns)
    assert to_pixels(figure).shape == (480 * rows, 640 * columns, 4)
    corners = [(-round(ax.get_position().y0, 3), round(ax.get_position().x0, 3)) for ax in axes]
    assert corners == sorted(set(corners))


def test_colours_tell_apart_what_they_stand_for() -> None:
    """Class 0 is blue and class 1 red, as are low and high probabilities; 0.5 is nearly white, neither of them."""
    low, middle, high = (style.PROBABILITY_MAP(p)[:3] for p in (0.0, 0.5, 1.0))
    for blueish, reddish in (tuple(map(to_rgb, style.CLASS_COLOURS)), (low, high)):
        assert (blueish[2] > blueish[0], reddish[0] > reddish[2]) == (True, True)
    assert 0.95 < min(middle) > max(middle) - 0.01
    for looks in style.CLASS_MARKERS, style.CLASS_COLOURS, style.LINE_COLOURS:
        assert len(set(looks)) == len(looks)
