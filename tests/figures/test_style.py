"""The look that all figures share, and their files: the same bytes whatever a user's settings are."""

import io

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from project.figures.style import new_figure, own_style, stack_panels, to_file, to_picture
from tests.figures.drawing import ODD


def sketch(title: str = "costs $5, or $x_1$") -> Figure:
    with own_style():
        figure, (left, right) = new_figure(1, 2, sharey=True)
        left.plot([0, 1, 4, 9], label="squares")
        right.scatter([1, 2], [3, 4])
        left.set(title=title, xlabel="x")
        left.legend()
    return figure


def test_a_figure_is_always_the_same_png_which_decodes_to_its_pixels() -> None:
    """On white; the settings of a user change no pixel and stay as they were, and no dollar makes a formula."""
    file, pixels, plain = to_file(sketch(), "png"), np.asarray(to_picture(sketch())), dict(mpl.rcParams)
    decoded = Image.open(io.BytesIO(file))
    assert (pixels.dtype, pixels.shape, set(pixels[0, 0])) == (np.uint8, (480, 1280, 3), {255})
    assert (decoded.format, set(decoded.info) - {"Software", "dpi"}) == ("PNG", set()), "no time"
    np.testing.assert_array_equal(np.asarray(decoded), pixels)
    with mpl.rc_context(ODD):
        assert to_file(sketch(), "png") == file != to_file(sketch("another title"), "png")
        assert dict(mpl.rcParams) == {**plain, **ODD, "font.family": [ODD["font.family"]]}
    assert not sketch().axes[0].title.get_parse_math()


def test_stacked_panels_are_as_wide_as_one() -> None:
    """And the legend has room below them."""
    figure = sketch()
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=9)
    picture = stack_panels(figure)
    assert (picture.size, figure.legends[0]._ncols) == ((640, 960), 2)
    left, right = (ax.get_window_extent() for ax in figure.axes)
    assert left.y0 > right.y1
