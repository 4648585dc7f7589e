"""The look that all figures share, and their way to a file."""

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure, FigureBase
from matplotlib.gridspec import GridSpec
from matplotlib.transforms import ScaledTranslation
from PIL import Image

WIDTH, HEIGHT, DPI = 6.4, 4.8, 100  # inches of a panel, and pixels an inch
# ColorBrewer's RdBu, which colour-blind eyes tell apart: strong for the classes, pale for the probability behind them.
CLASS_COLOURS = ("#2166ac", "#b2182b")
CLASS_MARKERS = ("o", "^")
PROBABILITY_MAP = LinearSegmentedColormap.from_list("probability", ["#85badb", "#f7f7f7", "#f2a385"])
# Okabe and Ito (2008), "Color universal design", for lines that stand for no class
LINE_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
DASHES = ("-", "--", "-.")
Numbers = npt.NDArray[np.float32 | np.float64]
Classes = Sequence[Numbers]  # of class 0 and class 1, where their rows are seen: (N, 1) or (N, 2)
Names = Sequence[str]


class Drawing(Figure):
    """A figure with room for panels of 640x480 pixels, which a notebook shows as it would be saved."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__(figsize=(WIDTH * columns, HEIGHT * rows), dpi=DPI, layout="constrained")

    def _repr_png_(self) -> bytes:
        return to_file(self, "png")


@contextmanager
def own_style() -> Iterator[None]:
    """Draw as matplotlib does by default, whatever the user's matplotlibrc says; a $ in a name is a dollar."""
    defaults = {name: value for name, value in mpl.rcParamsDefault.items() if not name.startswith("backend")}
    # If it is not told where titles stand, matplotlib measures all ticks again and again to find the same place.
    with mpl.rc_context({**defaults, "text.parse_math": False, "axes.titley": 1.0}):
        yield


def new_figure(rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, list[Axes]]:
    figure = Drawing(rows, columns)
    return figure, add_panels(figure, rows, columns, **options)


def add_panels(figure: FigureBase, rows: int = 1, columns: int = 1, **options: Any) -> list[Axes]:
    axes = list(figure.subplots(rows, columns, squeeze=False, **options).flat)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        # Labels of ticks reach farther than a line, which takes longer to measure.
        ax.spines[["left", "bottom"]].set_in_layout(not ax.yaxis.get_tick_params().get("labelleft", True))
    return axes


def stack_panels(figure: Figure) -> Image.Image:
    """Put a figure's panels below each other, for narrow places, and return its picture."""
    panels = [ax for ax in figure.axes if ax.get_subplotspec()]
    grid = GridSpec(len(panels), 1, figure)
    for row, ax in enumerate(panels):
        ax.set_subplotspec(grid[row])
    figure.set_size_inches(WIDTH, HEIGHT * len(panels))
    for legend in figure.legends:
        legend.set_ncols(2)
    return to_picture(figure)


def add_legend(ax: Axes, columns: int = 2) -> None:
    """Add a legend below an axis that has its label, where it covers nothing."""
    texts = [ax.get_xlabel(), *(tick.get_text() for tick in ax.get_xticklabels()[:1])]
    down = 22 + 13 * (1 + sum(text.count("\n") for text in texts))  # points: ticks, and lines of text
    place = ax.transAxes + ScaledTranslation(0, -down / 72, ax.figure.dpi_scale_trans)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=place, borderaxespad=0, ncols=columns)


def count_iterations(ax: Axes) -> None:
    """Let the horizontal axis be that of iterations, of which there are no halves."""
    ax.set_xlabel("iteration")
    ax.locator_params("x", integer=True)
    ax.grid(alpha=0.3)


def line_style(number: int) -> dict[str, Any]:
    """Return how the n-th of several lines is drawn, from 0: after 7 colours, dashes tell lines apart, 21 in all."""
    repeats, place = divmod(number, len(LINE_COLOURS))
    return {"color": LINE_COLOURS[place], "ls": DASHES[repeats % len(DASHES)]}


def draw_dots(
    ax: Axes, classes: Classes, names: Names, heights: Sequence[float], size: float, rows: int, edge: str, fill: bool
) -> None:
    """Draw each class where its rows are seen, (N, 2), or at a height of its own, (N, 1); of many rows, smaller."""
    scale, width = min(1.0, max(0.1, 2000 / max(rows, 1))), 0.4 if edge else 1.5
    for label, (places, colour, marker) in enumerate(zip(classes, CLASS_COLOURS, CLASS_MARKERS, strict=True)):
        if len(places):  # A legend names only what is drawn.
            x, y = places.T if places.shape[1] == 2 else (places[:, 0], np.full(len(places), heights[label]))
            face, line = colour if fill else "none", width * scale
            ax.scatter(x, y, size * scale, marker=marker, fc=face, ec=edge or colour, lw=line, label=names[label])


def draw_histogram(ax: Axes, classes: Classes, names: Names, bins: Numbers) -> None:
    """Draw how many values of each class lie between each two of the edges of bins."""
    for values, colour, marker, name in zip(classes, CLASS_COLOURS, CLASS_MARKERS, names, strict=True):
        counts, _ = np.histogram(values, bins)
        ax.stairs(counts, bins, fill=True, fc=colour + "40", ec=colour, lw=1.5, label=name)
        ax.plot((bins[1:] + bins[:-1]) / 2, np.where(counts, counts, np.nan), marker, color=colour, ms=4)
    ax.set_ylabel("rows")
    ax.locator_params("y", integer=True)


def least_width(constant: Numbers) -> Numbers:
    """Return how far from values that are all equal an axis must reach for places on it to differ."""
    return (1e-4 * abs(constant)).clip(1.0)


def wrap(text: str, width: int, lines: int = 3) -> str:
    """Break each line of a text into as many lines at most, of so many characters, and cut at words what is over."""
    broken = "\n".join(textwrap.fill(line, width, max_lines=lines, placeholder=" ...") for line in text.split("\n"))
    return f" {broken}" if broken.startswith("_") else broken  # Legends leave out what begins with _.


def shorten(text: str) -> str:
    """Keep both ends of a text of more than 24 characters."""
    return text if len(text) <= 24 else f"{text[:9]} ... {text[-10:]}"


def to_picture(figure: Figure) -> Image.Image:
    with own_style():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()  # type: ignore[no-untyped-call]
        return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")  # type: ignore[no-untyped-call]


def reduce_colours(picture: Image.Image) -> Image.Image:
    """Return a picture of 256 colours at most, which takes a third of the room and looks the same."""
    return picture.convert("RGB").quantize(256, Image.Quantize.FASTOCTREE)


def encode_png(picture: Image.Image) -> bytes:
    """Return a picture as a PNG file, of which half the usual effort makes one that is 5 % larger."""
    picture.save(buffer := io.BytesIO(), "png", compress_level=3)
    return buffer.getvalue()


def encode_gif(pictures: Sequence[Image.Image]) -> bytes:
    """Encode reduced pictures as a GIF file that shows each for a while, the last one longer, and begins again."""
    (first, *others), buffer = pictures, io.BytesIO()
    times = [*(500 for _ in others), 2000]  # milliseconds
    first.save(buffer, "gif", save_all=True, append_images=others, duration=times, loop=0, optimize=False)
    return buffer.getvalue()


def to_file(figure: Figure, kind: str) -> bytes:
    """Return the bytes of a file: png, svg or pdf."""
    if kind == "png":
        return encode_png(to_picture(figure))
    buffer = io.BytesIO()
    with own_style():
        figure.savefig(buffer, format=kind)
    return buffer.getvalue()
