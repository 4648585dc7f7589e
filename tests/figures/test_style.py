"""The look that all figures share, and their files: the same bytes whatever a user's settings are."""

import io
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from project.figures import style
from project.figures.style import encode_png, new_figure, own_style, pick_evenly, to_file, to_picture
from tests.figures.drawing import ODD


def sketch(title: str = "costs $5, or $x_1$") -> Figure:
    """Return a figure with text, lines, points and a legend."""
    with own_style():
        figure, (left, right) = new_figure(1, 2, sharey=True)
        left.plot([0, 1, 4, 9], label="squares")
        right.scatter([1, 2], [3, 4], label="points")
        left.set(title=title, xlabel="x")
        left.legend()
    return figure


def test_a_figure_is_always_the_same_png_which_decodes_to_its_pixels() -> None:
    """Drawn twice from the beginning, on white."""
    first, second = (to_file(sketch(), "png") for _ in range(2))
    picture = to_picture(sketch())
    pixels = np.asarray(picture)
    assert first == second == encode_png(picture) != to_file(sketch("another title"), "png")
    assert (pixels.dtype, pixels.shape) == (np.uint8, (480, 1280, 3))
    assert len(np.unique(pixels)) > 10, "something is drawn"
    assert set(pixels[0, 0]) == {255}
    decoded = Image.open(io.BytesIO(first))
    assert (decoded.format, set(decoded.info) - {"Software", "dpi"}) == ("PNG", set()), "no time"
    np.testing.assert_array_equal(np.asarray(decoded), pixels)


def test_the_settings_of_a_user_change_no_pixel_and_stay_as_they_were() -> None:
    """Neither does a name with a dollar become a formula."""
    expected, plain = to_file(sketch(), "png"), dict(mpl.rcParams)
    with mpl.rc_context(ODD):
        assert to_file(sketch(), "png") == expected
        assert to_file(sketch(), "svg").startswith(b"<?xml")
        assert dict(mpl.rcParams) == {**plain, **ODD, "font.family": [ODD["font.family"]]}
    assert dict(mpl.rcParams) == plain
    assert not sketch().axes[0].title.get_parse_math()


@pytest.mark.process
def test_importing_the_package_changes_no_setting() -> None:
    program = "import matplotlib as m; d = dict(m.rcParams); import project.commands.cli; assert d == m.rcParams"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_png_decodes_to_any_pixels(pixels: npt.NDArray[np.uint8]) -> None:
    """Every value of every channel."""
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encode_png(Image.fromarray(pixels))))), pixels)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 2)])
def test_panels_of_640_by_480(rows: int, columns: int) -> None:
    """The panels come row by row."""
    figure, axes = new_figure(rows, columns)
    assert (list(figure.axes), len(axes)) == (axes, rows * columns)
    assert to_picture(figure).size == (640 * columns, 480 * rows)
    corners = [(-round(ax.get_position().y0, 3), round(ax.get_position().x0, 3)) for ax in axes]
    assert corners == sorted(set(corners))


def test_colours_tell_apart_what_they_stand_for() -> None:
    """Class 0 is blue and class 1 red, as are low and high probabilities; 0.5 is nearly white, neither of them."""
    low, middle, high = (style.PROBABILITY_MAP(p)[:3] for p in (0.0, 0.5, 1.0))
    for blueish, reddish in (tuple(map(to_rgb, style.CLASS_COLOURS)), (low, high)):
        assert (blueish[2] > blueish[0], reddish[0] > reddish[2]) == (True, True)
    assert 0.95 < min(middle) > max(middle) - 0.01
    assert all(len(set(looks)) == len(looks) for looks in (style.CLASS_MARKERS, style.CLASS_COLOURS))
    assert len({(each["color"], each["ls"]) for each in map(style.line_style, range(21))}) == 21


@given(st.integers(1, 200), st.integers(2, 20))
def test_evenly_spread_places_hold_the_first_and_the_last(count: int, most: int) -> None:
    places = pick_evenly(count, most)
    assert (len(places), places[0], places[-1]) == (min(count, most), 0, count - 1)
    steps = set(np.diff(places).tolist())
    assert max(steps, default=1) - min(steps, default=1) <= 1
    assert min(steps, default=1) > 0
