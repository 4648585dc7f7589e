"""What all figures share: size, the colour and marker of each class, and the way to a file."""

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image

# From ColorBrewer's RdBu, which colour-blind eyes tell apart: its strong ends for the points of each class, its pale
# middle for the probability behind them, white at 0.5.
CLASS_COLOURS = ("#2166ac", "#b2182b")
CLASS_MARKERS = ("o", "^")
PROBABILITY_MAP = LinearSegmentedColormap.from_list("probability", ["#85badb", "#f7f7f7", "#f2a385"])
# Okabe and Ito (2008), "Color universal design", for lines that stand for no class.
LINE_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")

COLOURS = 256  # of a picture in a GIF file or a report
FRAME, LAST_FRAME = 500, 2000  # milliseconds that a picture is shown

T = TypeVar("T")
Pixels = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.float32 | np.float64]


class Drawing(Figure):
    """A figure that a notebook shows as it would be saved."""

    def _repr_png_(self) -> bytes:
        return to_file(self, "png")


def dot_scale(rows: int) -> float:
    """Return by how much the area of so many dots shrinks: where there are many, they would hide each other."""
    return min(1.0, max(0.1, 2000 / max(rows, 1)))


@contextmanager
def own_style() -> Iterator[None]:
    """Draw as matplotlib does by default, whatever the user's matplotlibrc says; a $ in a name is a dollar.

    Where a title stands is said, because matplotlib would measure all ticks again and again to find the same place.
    """
    defaults = {name: value for name, value in mpl.rcParamsDefault.items() if not name.startswith("backend")}
    with mpl.rc_context({**defaults, "text.parse_math": False, "axes.titley": 1.0}):
        yield


def room(constant: Numbers) -> Numbers:
    """Return how much room around values that are all equal is wide enough for places in it to differ."""
    result: Numbers = np.maximum(1.0, 1e-4 * abs(constant))
    return result


def wrap(text: str, width: int, lines: int = 3) -> str:
    """Break a text, of which every line stays as it is or is cut at words, into lines of so many characters at most.

    One that begins with _ gets a space before it: matplotlib would leave it out of a legend.
    """
    broken = "\n".join(textwrap.fill(line, width, max_lines=lines, placeholder=" ...") for line in text.split("\n"))
    return " " * broken.startswith("_") + broken


def new_figure(rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure of 640x480 pixels a panel, and its panels."""
    figure = Drawing(figsize=(6.4 * columns, 4.8 * rows), dpi=100, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, list(axes.flat)


def to_pixels(figure: Figure) -> Pixels:
    """Draw a figure: uint8 (height, width, 3), red, green and blue."""
    with own_style():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()  # type: ignore[no-untyped-call]
        return pixels_of(canvas)


def pixels_of(canvas: FigureCanvasAgg) -> Pixels:
    """Copy what is drawn on a canvas, which has no transparent place: uint8 (height, width, 3)."""
    return np.array(np.asarray(canvas.buffer_rgba())[:, :, :3])  # type: ignore[no-untyped-call]


def to_png(pixels: Pixels) -> bytes:
    """Encode pixels as a PNG file; equal pixels give equal bytes."""
    return encoded(Image.fromarray(pixels))


def encoded(picture: Image.Image) -> bytes:
    """Return a picture as a PNG file, of which half the usual effort makes one that is 5 % larger."""
    picture.save(buffer := io.BytesIO(), "png", compress_level=3)
    return buffer.getvalue()


def to_gif(pictures: Sequence[Image.Image]) -> bytes:
    """Encode reduced pictures as a GIF file that shows each for a while, the last one longer, and begins again."""
    (first, *others), buffer = pictures, io.BytesIO()
    durations = [FRAME] * len(others) + [LAST_FRAME]
    first.save(buffer, "gif", save_all=True, append_images=others, duration=durations, loop=0, optimize=False)
    return buffer.getvalue()


def spread(items: Sequence[T], most: int) -> list[T]:
    """Return so many items at most, evenly spread, the first and the last among them."""
    places = np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)
    return [items[place] for place in places]


def reduced(picture: Image.Image) -> Image.Image:
    """Return a picture of 256 colours at most, which takes a third of the room and looks the same."""
    return picture.convert("RGB").quantize(COLOURS, Image.Quantize.FASTOCTREE)


def to_file(figure: Figure, kind: str) -> bytes:
    """Draw a figure as the bytes of a file: png, svg or pdf."""
    if kind == "png":
        return to_png(to_pixels(figure))
    buffer = io.BytesIO()
    with own_style():
        figure.savefig(buffer, format=kind)
    return buffer.getvalue()
