"""The arrays in every figure: points, lines, the grid on which the network is asked; and the way to a file."""

import io
import subprocess
import sys
from functools import cache
from typing import Any, TypeVar, cast

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.colors import same_color, to_rgb
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from matplotlib.patches import StepPatch
from PIL import Image

from project.figures import style
from project.figures.boundary import NEAR, PALEST, Grid, Scene, boundary, draw_units, grid, nearness
from project.figures.comparison import Curves, comparison
from project.figures.curves import accuracy, loss
from project.figures.scatter import scatter
from project.figures.style import (
    CLASS_COLOURS,
    CLASS_MARKERS,
    Numbers,
    new_figure,
    own_style,
    to_file,
    to_pixels,
    to_png,
)

Array = npt.NDArray[np.float32]
Artist = TypeVar("Artist")
FEATURES = ["length (cm)", "width (cm)"]
CLASSES = ["cats", "dogs"]
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


def points(j: int, rows: int, seed: int) -> list[Array]:
    """Return rows of class 0 and half as many of class 1; each feature with a range of its own."""
    normal = np.random.default_rng(seed).normal
    scales, means = 10.0 ** np.arange(j), 5 * np.arange(j)
    return [(normal(0, 1, (n, j)) * scales + means).astype(np.float32) for n in (rows, rows // 2)]


def artists(ax: Axes, kind: type[Artist]) -> list[Artist]:
    return [artist for artist in ax.collections if isinstance(artist, kind)]


def only_panel(classes: list[Array], rows: int | None = None, num_features: int = 2) -> Axes:
    figure = scatter(classes, rows or sum(map(len, classes)), FEATURES[: classes[0].shape[1]], CLASSES, num_features)
    return next(iter(panels_of(figure).values()))


@pytest.mark.parametrize("j", [2, 4])
def test_every_row_is_a_point_in_view(j: int) -> None:
    """One collection a class, in its colour and with its marker."""
    ax = only_panel(classes := points(2, 40, 0), num_features=j)
    drawn = artists(ax, PathCollection)
    for dots, features, colour, marker in zip(drawn, classes, CLASS_COLOURS, CLASS_MARKERS, strict=True):
        np.testing.assert_array_equal(np.asarray(dots.get_offsets()), features)
        assert same_color(dots.get_facecolors()[0, :3], to_rgb(colour))
        assert_marker(dots, marker)
    both = np.concatenate(classes)
    for column, (low, high) in enumerate((ax.get_xlim(), ax.get_ylim())):
        assert low < both[:, column].min() < both[:, column].max() < high
    assert legend_texts(ax) == ["cats (40)", "dogs (20)"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("length (cm)", "width (cm)")
    assert ax.get_title() == ("All datapoints" + ", in the plane of most variance of 4 features" * (j > 2))
    assert only_panel(classes, 9876).get_title().startswith("60 of 9,876 datapoints, at random")
    only_panel([np.ones((5, 2), np.float32)] * 2)  # No range at all is no error.


def test_one_feature_gives_a_histogram() -> None:
    """Both classes over the same 30 bins; by hand, 0 to 30 fall one into each bin, and 30 into the last with 29."""
    values = np.arange(31, dtype=np.float32)[:, None]
    for classes in points(1, 40, 0), [values, values[:1]]:
        ax = only_panel(classes)
        steps = cast("list[StepPatch]", list(ax.patches))
        assert not ax.collections
        edges, both = steps[0].get_data().edges, np.concatenate(classes)
        np.testing.assert_allclose(edges, np.linspace(both.min(), both.max(), 31), rtol=1e-5, atol=1e-6)
        for step, features, colour in zip(steps, classes, CLASS_COLOURS, strict=True):
            counts = step.get_data().values
            assert counts.tolist() == np.histogram(features[:, 0], edges)[0].tolist()
            assert same_color(step.get_facecolor()[:3], to_rgb(colour))
            assert same_color(step.get_edgecolor(), colour)
        assert legend_texts(ax) == [f"{name} ({len(rows)})" for name, rows in zip(CLASSES, classes, strict=True)]
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("length (cm)", "rows")
    assert [step.get_data().values.tolist() for step in steps] == [[1] * 29 + [2], [1] + [0] * 29]
    only_panel([np.ones((5, 1), np.float32)] * 2)  # No range at all is no error.


def history(tests: bool) -> dict[str, Any]:
    """Return 50 iterations as history.csv holds them: validated after 20 and 40, and not in the last ten."""
    rng, steps = np.random.default_rng(0), np.arange(1.0, 51)
    columns = {"step": steps, "train_loss": rng.random(50)}
    for name in ("val_loss", "val_accuracy", *(("test_loss", "test_accuracy") if tests else ())):
        columns[name] = np.where(steps % 20 == 0, rng.random(50), np.nan)
    return columns


def assert_lines(ax: Axes, expected: dict[str, tuple[Any, Any]], legend: list[str]) -> None:
    """One line for each of the expected ones, in this order and with no other point; no two look alike."""
    assert [line.get_label() for line in ax.lines] == list(expected)
    for line, values in zip(ax.lines, expected.values(), strict=True):
        np.testing.assert_array_equal(line.get_data(), values)
    assert len({(to_rgb(line.get_color()), line.get_linestyle()) for line in ax.lines}) == len(expected)
    assert legend == list(expected)
    assert ax.get_xlabel() == "iteration"


@pytest.mark.parametrize(("tests", "criterion"), [(False, "bce"), (True, "mse")])
def test_loss_and_accuracy_lines_are_the_history(tests: bool, criterion: str) -> None:
    """The accuracies with one across, from edge to edge, at 0.5, what guessing gives; each subset in its colour."""
    columns = history(tests)
    (losses,), (accuracies,) = (panels_of(figure).values() for figure in (loss(columns, criterion), accuracy(columns)))
    subsets = {"validation": "val"} | ({"test": "test"} if tests else {})
    lines = {name: ([20, 40], columns[f"{subset}_loss"][[19, 39]]) for name, subset in subsets.items()}
    lowest = int(np.nanargmin(columns["val_loss"]))
    label = f"lowest validation loss, {columns['val_loss'][lowest]:.3g} after {lowest + 1}"
    lines |= {label: ([lowest + 1], columns["val_loss"][[lowest]])}
    assert_lines(losses, {"training": (columns["step"], columns["train_loss"]), **lines}, legend_texts(losses))
    lines = {name: ([20, 40], columns[f"{subset}_accuracy"][[19, 39]]) for name, subset in subsets.items()}
    best = columns["val_accuracy"][lowest]
    lines |= {f"at the lowest validation loss: {best:.3g}": ([lowest + 1], [best])}
    assert_lines(accuracies, lines | {"guessing": ([0, 1], [0.5, 0.5])}, legend_texts(accuracies))
    batches = {"step": np.array([20.0, 40.0]), "train_accuracy": np.array([0.6, 0.7])}
    (both,) = panels_of(accuracy(columns, batches, "their name")).values()
    own = {"training": ([20, 40], [0.6, 0.7])}
    assert_lines(both, own | lines | {"guessing": ([0, 1], [0.5, 0.5])}, legend_texts(both))
    assert both.get_title() == "their name"
    assert accuracies.lines[-1].get_transform() == accuracies.get_yaxis_transform()
    for own, same in zip(losses.lines[1:-1], accuracies.lines[:-2], strict=True):
        assert same_color(own.get_color(), same.get_color())
    # A line through two points does not tell where they are; one through every iteration needs no marks.
    assert losses.lines[1].get_marker() == "."
    assert losses.lines[0].get_marker() in ("", "None", None)
    assert (losses.get_ylabel(), accuracies.get_ylabel()) == (f"loss ({criterion.upper()})", "accuracy")
    early = {name: values[:15] for name, values in columns.items()}  # of a run that was stopped before any validation
    for figure, line in (loss(early, criterion), 1), (accuracy(early), 0):
        assert len(next(iter(panels_of(figure).values())).lines[line].get_xydata()) == 0


def test_lines_of_hidden_units_are_where_their_sums_are_0() -> None:
    rng = np.random.default_rng(0)
    offsets, slopes, weights = rng.normal(size=5), rng.normal(size=(5, 2)) * [1, 1e-3], np.linspace(0, 1, 5)
    slopes[2] = 0
    figure, (ax,) = new_figure()
    draw_units(ax, offsets, slopes, weights)
    lines = cast("list[Any]", list(ax.lines))
    assert [line.get_alpha() for line in lines] == [0, 0.25, 0.75, 1], "a unit that looks at nothing has no line"
    for line, offset, slope in zip(lines, offsets[[0, 1, 3, 4]], slopes[[0, 1, 3, 4]], strict=True):
        for point in line._xy1, line._xy2:
            assert abs(offset + slope @ point) < 1e-9
    assert to_pixels(figure).std() > 0


def test_noise_is_pale_under_its_mean_and_a_wide_range_is_logarithmic() -> None:
    rng, steps = np.random.default_rng(0), np.arange(1.0, 501)
    smooth = {"step": steps, "train_loss": np.exp(-steps / 50), "val_loss": np.where(steps % 20 == 0, 0.5, np.nan)}
    noisy = smooth | {"train_loss": rng.uniform(0.1, 1, 500)}
    means = [noisy["train_loss"][max(0, i - 9) : i + 1].mean() for i in range(500)]
    (ax,), (log,) = (panels_of(loss(columns, "bce")).values() for columns in (noisy, smooth))
    assert (ax.lines[0].get_alpha(), ax.get_yscale(), log.get_yscale()) == (0.3, "linear", "log")
    np.testing.assert_allclose(ax.lines[2].get_ydata(), means)
    batches = {"step": steps[:50], "train_accuracy": rng.uniform(0.5, 1, 50)}
    validations = smooth | {"val_accuracy": smooth["val_loss"]}
    (ax,) = panels_of(accuracy(validations, batches)).values()
    assert (ax.lines[0].get_alpha(), ax.lines[1].get_label()) == (0.3, "training, mean of the last 5")
    (ax,) = panels_of(accuracy(validations, batches | {"train_accuracy": steps[:50] / 100})).values()
    assert ax.lines[0].get_alpha() is None
    assert len(log.lines) == 3, "what is smooth needs no mean"
    assert to_pixels(log.figure).std() > 0, "it can be drawn"
    assert all("$" not in tick.get_text() for tick in log.get_yticklabels())


def test_each_metric_has_a_panel_with_a_line_a_run() -> None:
    """More runs than there are colours; their lengths differ, and the last two have metrics of their own."""
    rng, shared, late = np.random.default_rng(0), ["training loss (BCE)", "validation accuracy"], ["test MSE", "F1"]
    runs: dict[str, Curves] = {
        f"run {i}": {title: (np.arange(3.0 + i), rng.random(3 + i)) for title in shared + late * (i > 17)}
        for i in range(20)
    }
    panels = panels_of(figure := comparison(runs))
    assert (list(panels), legend_texts(figure)) == (shared + late, list(runs))
    widths = [line.get_linewidth() for line in panels[shared[0]].lines]
    assert widths == sorted(set(widths), reverse=True), "of equal lines each is seen"
    first, *others = [[(line.get_color(), line.get_linestyle()) for line in ax.lines] for ax in panels.values()]
    assert (len(set(first)), others) == (20, [first, first[-2:], first[-2:]])
    for title, ax in panels.items():
        curves = [curves[title] for curves in runs.values() if title in curves]
        for line, curve in zip(ax.lines, curves, strict=True):
            np.testing.assert_array_equal(line.get_data(), curve)
        assert ax.get_xlabel() == "iteration"


@cache
def draw(j: int) -> tuple[Figure, dict[str, Axes], Grid, dict[str, Array], dict[str, list[Array]]]:
    """Return a figure, its panels, and the grid, probabilities and places in it; nothing changes it."""
    subsets = {"training": points(j, 30, 0), "validation": points(j, 12, 1)}
    both, rng = np.concatenate([*subsets["training"], *subsets["validation"]]), np.random.default_rng(2)
    where = grid(both.min(0), both.max(0), 21)
    answers = {title: rng.random(21**j, np.float32) for title in ("before training", "after 1000 iterations")}
    near = nearness(where, np.concatenate(subsets["training"]))
    figure = boundary(answers, Scene(where, subsets, near, FEATURES[:j], CLASSES, "a note"))
    return figure, panels_of(figure), where, answers, subsets


# 21 by 21 places in [0, 1] by [0, 2]
SQUARE = Grid(np.linspace(0, 1, 21), np.linspace(0, 2, 21))
X, Y = SQUARE.places().T


def contours(*answers: Array) -> list[list[QuadContourSet]]:
    """Draw probabilities over the square, without any rows, and return each panel's contours."""
    panels = {str(i): answer for i, answer in enumerate(answers)}
    figure = boundary(panels, Scene(SQUARE, {}, np.ones((21, 21)), FEATURES, CLASSES))
    return [artists(ax, QuadContourSet) for ax in panels_of(figure).values()]


def test_grids_by_hand() -> None:
    """0 to 10 and -100 to 300 get margins of 0.5 and 20; a line has places of one number."""
    where = grid(np.array([0, -100], np.float32), np.array([10, 300], np.float32), 3)
    np.testing.assert_allclose(where, [[-0.5, 5, 10.5], [-120, 100, 320]])
    np.testing.assert_allclose(where.places(), [[x, y] for y in (-120, 100, 320) for x in (-0.5, 5, 10.5)])
    line = grid(np.array([0.0]), np.array([10.0]), 3)
    np.testing.assert_allclose(line.places(), [[-0.5], [5], [10.5]])
    assert line.y.shape == (0,)
    # A constant gets a margin too, so that there is something to look at, also where float32 has few digits left.
    constant = grid(np.array([5, 0]), np.array([5, 1]), 3)
    np.testing.assert_allclose(constant, [[4.95, 5, 5.05], [-0.05, 0.5, 1.05]])
    many = np.full(2, 1e9, np.float32)
    assert (np.diff(np.float32(grid(many, many, 20))) > 0).all()


@settings(max_examples=40, deadline=None)
@given(arrays(np.float64, (2, 2), elements=st.floats(-1e6, 1e6)), st.integers(2, 9))
def test_margins_are_5_percent_of_each_axis(ends: Numbers, n: int) -> None:
    """Whatever the ranges are, as long as they are some."""
    low, high = np.sort(ends, axis=0)
    high += 1e-3
    for axis, start, end in zip(grid(low, high, n), low, high, strict=True):
        expected = [start - (end - start) / 20 + i * 1.1 * (end - start) / (n - 1) for i in range(n)]
        np.testing.assert_allclose(axis, expected, rtol=1e-9, atol=1e-9)


def test_the_colour_is_full_at_training_rows_and_palest_far_from_them() -> None:
    """A bell around each row, full up to its deviation; mirrored rows make a mirrored picture."""
    where = Grid(np.linspace(0, 1, 100), np.linspace(0, 2, 100))
    rows = np.random.default_rng(0).uniform([0.011, 0.011], [0.4, 0.5], (20, 2))
    near = nearness(where, rows)
    cells = tuple((rows / [1, 2] * 100).astype(int).T[::-1])
    assert (near[cells] == 1).all()
    assert (near[80:, 80:] == PALEST).all()
    assert ((near >= PALEST) & (near <= 1)).all()
    np.testing.assert_allclose(nearness(where, [1, 2] - rows), near[::-1, ::-1], atol=1e-12)
    np.testing.assert_allclose(nearness(where, rows[:, ::-1] * [0.5, 2]), near.T, atol=1e-12)
    one = nearness(where, np.array([[0.505, 1.01]]))
    assert one[50].tolist() == pytest.approx(
        np.clip(np.exp(0.5 - ((np.arange(100) - 50) / (100 * NEAR)) ** 2 / 2), PALEST, 1)
    )


def test_the_picture_is_the_probabilities_where_they_belong() -> None:
    """Around each place the colour of its probability, paler by the nearness; the bar shows the same scale."""
    figure, panels, where, answers, subsets = draw(2)
    (bar,) = set(figure.axes) - set(panels.values())
    (colours,) = artists(bar, QuadMesh)
    assert (list(panels), bar.get_ylim(), colours.get_cmap()) == (list(answers), (0, 1), style.PROBABILITY_MAP)
    assert bar.get_ylabel() == "probability of dogs\n(pale where no training row is near)"
    near = nearness(where, np.concatenate(subsets["training"]))[..., None]
    assert near.min() == PALEST < near.max() == 1
    for ax, probability in zip(panels.values(), answers.values(), strict=True):
        (image,) = ax.get_images()
        full = style.PROBABILITY_MAP(probability.reshape(21, 21))[..., :3]
        np.testing.assert_allclose(np.asarray(image.get_array())[..., :3], near * full + (1 - near), atol=1e-6)
        left, right, bottom, top = image.get_extent()
        for (start, end), axis in zip(((left, right), (bottom, top)), where, strict=True):
            edges = np.linspace(start, end, 22)
            np.testing.assert_allclose((edges[1:] + edges[:-1]) / 2, axis)
        assert image.origin == "lower"


@pytest.mark.parametrize("j", [1, 2])
def test_panels_share_limits_names_and_one_legend(j: int) -> None:
    """The limits are the grid's; each panel names the first feature, the left one what goes up."""
    figure, named, where, _, _ = draw(j)
    left, right = named.values()
    assert left.get_xlim() == right.get_xlim() == (where.x[0], where.x[-1])
    assert left.get_ylim() == right.get_ylim() == ((where.y[0], where.y[-1]) if j > 1 else left.get_ylim())
    assert left.get_xlabel() == right.get_xlabel() == "length (cm)"
    assert left.get_ylabel() == ("probability of dogs" if j == 1 else "width (cm)")
    expected = [f"{name}, {subset}" for name in CLASSES for subset in ("training", "validation")]
    expected += ["decision boundary (0.5)", *(["probability"] if j == 1 else [])]
    assert sorted(legend_texts(figure)) == sorted(expected)
    assert not any(ax.get_legend() for ax in figure.axes)
    assert figure.get_suptitle() == "a note"


def test_boundary_lies_where_the_probability_is_one_half() -> None:
    """p = 0.5 + (x + y - 1) / 8 crosses 0.5 on x + y = 1, from (0, 1) to (1, 0); 0.2 + 0.8 x between grid points."""
    panels = contours(0.5 + (X + Y - 1) / 8, 0.2 + 0.8 * X)
    assert [list(contour.levels) for (contour,) in panels] == [[0.5], [0.5]]
    slanted, upright = (np.concatenate([p.vertices for p in contour.get_paths()]) for (contour,) in panels)
    np.testing.assert_allclose(slanted.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(slanted[np.argsort(slanted[:, 0])][[0, -1]], [[0, 1], [1, 0]], atol=1e-5)
    np.testing.assert_allclose(upright[:, 0], 3 / 8, atol=1e-5)
    np.testing.assert_allclose([upright[:, 1].min(), upright[:, 1].max()], [0, 2], atol=1e-5)
    for level in (0.0, 0.3, 0.4999, 0.5, 0.5001, 1.0):  # A panel that is all on one side has none, as the other has it.
        assert list(map(len, contours(np.full_like(X, level), X))) == [0, 1]


@pytest.mark.parametrize("j", [1, 2])
def test_the_first_subset_is_filled_and_the_other_hollow(j: int) -> None:
    """Along one feature, they lie outside of 0 to 1, each class on its side of the curve."""
    _, panels, where, answers, subsets = draw(j)
    for title, ax in panels.items():
        dots = {str(dots.get_label()): dots for dots in artists(ax, PathCollection)}
        assert len(dots) == len(artists(ax, PathCollection)) == 4
        for subset, label in ((subset, label) for subset in subsets for label in (0, 1)):
            drawn, expected = dots[f"{CLASSES[label]}, {subset}"], subsets[subset][label]
            offsets = np.asarray(drawn.get_offsets())
            np.testing.assert_array_equal(offsets[:, :j], expected)
            assert_marker(drawn, CLASS_MARKERS[label])
            if subset == "training":
                assert same_color(drawn.get_facecolors()[0], (*to_rgb(CLASS_COLOURS[label]), 1))
            else:
                assert not drawn.get_facecolors()[:, 3].any()
                assert same_color(drawn.get_edgecolors()[0], CLASS_COLOURS[label])
            if j == 1:
                (height,), (low, high) = set(offsets[:, 1]), ax.get_ylim()
                assert 1 < height < high if label else low < height < 0
        if j == 1:
            assert len({dot[1] for each in dots.values() for dot in np.asarray(each.get_offsets())}) == 4
            _, half, curve = ax.lines  # The first one is the legend's.
            np.testing.assert_array_equal(curve.get_data(), (where.x, answers[title]))
            assert list(np.asarray(half.get_ydata())) == [0.5, 0.5]
            assert len(ax.figure.axes) == 2, "no colour bar: there is no colour to explain"


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
    pixels = to_pixels(sketch())
    assert first == second == to_png(pixels) != to_file(sketch("another title"), "png")
    assert (pixels.dtype, pixels.shape) == (np.uint8, (480, 1280, 3))
    assert len(np.unique(pixels)) > 10, "something is drawn"
    assert set(pixels[0, 0]) == {255}
    decoded = Image.open(io.BytesIO(first))
    assert (decoded.format, set(decoded.info) - {"Software", "dpi"}) == ("PNG", set()), "no time"
    np.testing.assert_array_equal(np.asarray(decoded), pixels)


def test_the_settings_of_a_user_change_no_pixel_and_stay_as_they_were() -> None:
    """Neither does a name with a dollar become a formula."""
    expected, plain = to_pixels(sketch()), dict(mpl.rcParams)
    with mpl.rc_context(ODD):
        np.testing.assert_array_equal(to_pixels(sketch()), expected)
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
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(to_png(pixels)))), pixels)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 2), (2, 2), (3, 2)])
def test_panels_of_640_by_480(rows: int, columns: int) -> None:
    """The panels come row by row."""
    figure, axes = new_figure(rows, columns)
    assert (list(figure.axes), len(axes)) == (axes, rows * columns)
    assert to_pixels(figure).shape == (480 * rows, 640 * columns, 3)
    corners = [(-round(ax.get_position().y0, 3), round(ax.get_position().x0, 3)) for ax in axes]
    assert corners == sorted(set(corners))


def test_colours_tell_apart_what_they_stand_for() -> None:
    """Class 0 is blue and class 1 red, as are low and high probabilities; 0.5 is nearly white, neither of them."""
    low, middle, high = (style.PROBABILITY_MAP(p)[:3] for p in (0.0, 0.5, 1.0))
    for blueish, reddish in (tuple(map(to_rgb, style.CLASS_COLOURS)), (low, high)):
        assert (blueish[2] > blueish[0], reddish[0] > reddish[2]) == (True, True)
    assert 0.95 < min(middle) > max(middle) - 0.01
    assert all(len(set(looks)) == len(looks) for looks in (CLASS_MARKERS, CLASS_COLOURS, style.LINE_COLOURS))
