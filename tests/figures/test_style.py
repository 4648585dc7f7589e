"""The look that all figures share, and their files: the same bytes whatever a user's settings are."""

import io
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
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
    file, picture = to_file(sketch(), "png"), to_picture(sketch())
    pixels, decoded = np.asarray(picture), Image.open(io.BytesIO(file))
    assert file == encode_png(picture) != to_file(sketch("another title"), "png")
    assert (pixels.dtype, pixels.shape, set(pixels[0, 0])) == (np.uint8, (480, 1280, 3), {255})
    assert len(np.unique(pixels)) > 10, "something is drawn"
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


def test_panels_of_640_by_480_come_row_by_row() -> None:
    figure, axes = new_figure(3, 2)
    assert to_picture(figure).size == (1280, 1440)
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


def test_evenly_spread_places_hold_the_first_and_the_last() -> None:
    """By hand; and as many as there are, if these are no more."""
    assert [pick_evenly(9, 3), pick_evenly(8, 3), pick_evenly(2, 5), pick_evenly(1, 5)] == [
        [0, 4, 8],
        [0, 4, 7],
        [0, 1],
        [0],
    ]
