"""From figure to pixels to PNG, and back with another library's decoder."""

import io

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
    to_pixels,
    to_png,
)


def draw() -> Figure:
    """Return a figure with text, lines, points and a legend."""
    figure, (left, right) = new_figure(1, 2, sharey=True)
    left.plot([0, 1, 4, 9], label="squares")
    right.scatter([1, 2], [3, 4], label="points")
    left.set(title="title", xlabel="x")
    left.legend()
    return figure


def test_equal_figures_give_equal_png_bytes() -> None:
    """Drawn twice from the beginning; another figure gives other bytes."""
    first, second = (to_png(to_pixels(draw())) for _ in range(2))
    assert first == second
    other = draw()
    other.axes[0].set_title("another title")
    assert to_png(to_pixels(other)) != first


def test_png_decodes_to_the_figures_pixels() -> None:
    pixels = to_pixels(draw())
    assert pixels.dtype == np.uint8
    assert pixels.shape == (480, 1280, 4)
    assert len(np.unique(pixels)) > 10  # something is drawn
    decoded = Image.open(io.BytesIO(to_png(pixels)))
    assert decoded.format == "PNG"
    np.testing.assert_array_equal(np.asarray(decoded), pixels)


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(4))))
def test_png_decodes_to_any_pixels(pixels: Pixels) -> None:
    """Every value of every channel, transparent ones included."""
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(to_png(pixels)))), pixels)


def test_png_holds_no_time() -> None:
    """Its only text is the name of the software, so that the bytes depend on the pixels alone."""
    assert set(Image.open(io.BytesIO(to_png(to_pixels(draw())))).info) <= {"Software", "dpi"}


def test_background_is_opaque_white() -> None:
    """TensorBoard gets the pixels without their alpha."""
    pixels = to_pixels(new_figure()[0])
    assert (pixels[0, 0] == 255).all()
    assert (pixels[..., 3] == 255).all()


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
