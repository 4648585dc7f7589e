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
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from project.figures.style import (
    CLASS_COLOURS,
    CLASS_MARKERS,
    LINE_COLOURS,
    PROBABILITY_MAP,
    Pixels,
    new_figure,
    own_style,
    to_file,
    to_pixels,
    to_png,
)

ODD = {"text.usetex": True, "font.family": "no such font", "axes.grid": True, "savefig.dpi": 7, "lines.linewidth": 9}


def draw(title: str = "costs $5, or $x_1$") -> Figure:
    """Return a figure with text, lines, points and a legend."""
    with own_style():
        figure, (left, right) = new_figure(1, 2, sharey=True)
        left.plot([0, 1, 4, 9], label="squares")
        right.scatter([1, 2], [3, 4], label="points")
        left.set(title=title, xlabel="x")
        left.legend()
    return figure


def test_equal_figures_give_equal_png_bytes_that_hold_no_time() -> None:
    """Drawn twice from the beginning, the bytes depend on the pixels alone."""
    first, second = (to_file(draw(), "png") for _ in range(2))
    assert first == second == to_png(to_pixels(draw()))
    assert to_file(draw("another title"), "png") != first
    assert set(Image.open(io.BytesIO(first)).info) <= {"Software", "dpi"}


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


def test_png_decodes_to_the_figures_pixels_on_opaque_white() -> None:
    """TensorBoard gets the pixels without their alpha."""
    pixels = to_pixels(draw())
    assert (pixels.dtype, pixels.shape) == (np.uint8, (480, 1280, 4))
    assert len(np.unique(pixels)) > 10, "something is drawn"
    assert (pixels[0, 0] == 255).all()
    assert (pixels[..., 3] == 255).all()
    decoded = Image.open(io.BytesIO(to_png(pixels)))
    assert decoded.format == "PNG"
    np.testing.assert_array_equal(np.asarray(decoded), pixels)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 2), (2, 2), (3, 2)])
def test_panels_of_640_by_480(rows: int, columns: int) -> None:
    """The panels come row by row."""
    figure, axes = new_figure(rows, columns)
    assert len(axes) == rows * columns
    assert list(figure.axes) == axes
    assert to_pixels(figure).shape == (480 * rows, 640 * columns, 4)
    figure.draw_without_rendering()
    corners = [(-round(ax.get_position().y0, 3), round(ax.get_position().x0, 3)) for ax in axes]
    assert corners == sorted(corners)


def test_colours_tell_apart_what_they_stand_for() -> None:
    """Class 0 is blue and class 1 red, as are low and high probabilities; 0.5 is grey, neither of them."""
    for (red, _, blue), sign in zip(map(to_rgb, CLASS_COLOURS), (-1, 1), strict=True):
        assert sign * (red - blue) > 0
    low, middle, high = (PROBABILITY_MAP(p)[:3] for p in (0.0, 0.5, 1.0))
    assert low[2] > low[0]
    assert high[0] > high[2]
    assert max(middle) - min(middle) < 0.01
    assert min(middle) > 0.95
    assert len(set(CLASS_MARKERS)) == len(set(CLASS_COLOURS)) == 2
    assert len(set(LINE_COLOURS)) == len(LINE_COLOURS)
