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

from project.figures import boundary as module
from project.figures import style
from project.figures.boundary import Grid, boundary, grid
from project.figures.comparison import Curves, comparison
from project.figures.curves import accuracy, loss
from project.figures.scatter import scatter
from project.figures.style import CLASS_COLOURS, CLASS_MARKERS, new_figure, own_style, to_file, to_pixels, to_png

Array = npt.NDArray[np.float32]
Artist = TypeVar("Artist")
FEATURES = ["length (cm)", "width (cm)", "mass (kg)", "age (years)", *(f"f{i}" for i in range(20))]
CLASSES = ["cats", "dogs"]
VALIDATION = {"validation accuracy": "val_accuracy", "validation BCE": "val_bce", "validation MSE": "val_mse"}
TEST = {"test accuracy": "test_accuracy", "test BCE": "test_bce", "test MSE": "test_mse"}
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


def only_panel(classes: list[Array], rows: int | None = None) -> Axes:
    figure = scatter(classes, rows or sum(map(len, classes)), FEATURES[: classes[0].shape[1]], CLASSES)
    return next(iter(panels_of(figure).values()))


@pytest.mark.parametrize("j", [2, 4])
def test_every_row_is_a_point_in_view(j: int) -> None:
    """One collection a class, in its colour and with its marker; the first two features are where the points are."""
    ax = only_panel(classes := points(j, 40, 0))
    drawn = artists(ax, PathCollection)
    for dots, features, colour, marker in zip(drawn, classes, CLASS_COLOURS, CLASS_MARKERS, strict=True):
        np.testing.assert_array_equal(np.asarray(dots.get_offsets()), features[:, :2])
        assert same_color(dots.get_facecolors()[0, :3], to_rgb(colour))
        assert_marker(dots, marker)
    both = np.concatenate(classes)
    for column, (low, high) in enumerate((ax.get_xlim(), ax.get_ylim())):
        assert low < both[:, column].min() < both[:, column].max() < high
    assert legend_texts(ax) == ["cats (40)", "dogs (20)"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("length (cm)", "width (cm)")
    assert ax.get_title() == ("All datapoints" if j == 2 else "All datapoints, the first 2 of 4 features")
    assert only_panel(classes, 9876).get_title().startswith("60 of 9,876 datapoints, at random")
    only_panel([np.ones((5, j), np.float32)] * 2)  # No range at all is no error.


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
    assert_lines(losses, {"training": (columns["step"], columns["train_loss"]), **lines}, legend_texts(losses))
    lines = {name: ([20, 40], columns[f"{subset}_accuracy"][[19, 39]]) for name, subset in subsets.items()}
    assert_lines(accuracies, lines | {"guessing": ([0, 1], [0.5, 0.5])}, legend_texts(accuracies))
    assert accuracies.lines[-1].get_transform() == accuracies.get_yaxis_transform()
    for own, same in zip(losses.lines[1:], accuracies.lines[:-1], strict=True):
        assert same_color(own.get_color(), same.get_color())
    # A line through two points does not tell where they are; one through every iteration needs no marks.
    assert losses.lines[1].get_marker() == "."
    assert losses.lines[0].get_marker() in ("", "None", None)
    assert (losses.get_ylabel(), accuracies.get_ylabel()) == (f"loss ({criterion.upper()})", "accuracy")
    early = {name: values[:15] for name, values in columns.items()}  # of a run that was stopped before any validation
    for figure, line in (loss(early, criterion), 1), (accuracy(early), 0):
        assert len(next(iter(panels_of(figure).values())).lines[line].get_xydata()) == 0


def run(seed: int, columns: dict[str, str], validations: int) -> Curves:
    """Return a run with those columns, and with losses, which are not compared."""
    rng, steps = np.random.default_rng(seed), np.arange(20.0, 20 * validations + 1, 20)
    return {name: (steps, rng.random(validations)) for name in ["train_loss", "val_loss", *columns.values()]}


def test_each_column_but_the_losses_has_a_panel_with_a_line_a_run() -> None:
    """More runs than there are colours; their lengths differ, one metric is new, the last alone recorded the test."""
    columns = {**VALIDATION, "validation F1": "val_f1"}
    runs = {f"run {i}": run(i, columns if i < 19 else columns | TEST, 3 + i) for i in range(20)}
    panels = panels_of(figure := comparison(runs))
    assert (list(panels), legend_texts(figure)) == ([*columns, *TEST], list(runs))
    for title, column in (columns | TEST).items():
        lines = {name: curves[column] for name, curves in runs.items() if column in curves}
        assert_lines(panels[title], lines, list(lines))
    first, *others = [[(line.get_color(), line.get_linestyle()) for line in ax.lines] for ax in panels.values()]
    assert others == [first] * 3 + [first[-1:]] * 3


def grid_over(train: Array, n: int) -> tuple[Grid, Array]:
    """Return a grid and, in one piece, its inputs."""
    where = grid(train.min(0), train.max(0), train.astype(np.float64).mean(0), n)
    return where, np.concatenate(list(where.inputs()))


@cache
def draw(j: int) -> tuple[Figure, dict[str, Axes], Grid, dict[str, Array], dict[str, list[Array]]]:
    """Return a figure, its panels, and the grid, probabilities and points in it; nothing changes it."""
    subsets = {"training": points(j, 30, 0), "test": points(j, 12, 1)}
    (where, _), rng = grid_over(np.concatenate(subsets["training"]), 21), np.random.default_rng(2)
    answers = {title: rng.random(21 ** min(j, 2), np.float32) for title in ("before training", "after 1000 iterations")}
    figure = boundary(answers, where, *subsets.values(), FEATURES[:j], CLASSES)
    return figure, panels_of(figure), where, answers, subsets


# 11 by 21 points at [0, 1] by [0, 2], a tenth apart
SQUARE = Grid(*(np.linspace(0, end, 10 * end + 1, dtype=np.float32) for end in (1, 2)), np.empty(0, np.float32))
X, Y = np.concatenate(list(SQUARE.inputs())).T


def contours(*answers: Array) -> list[list[QuadContourSet]]:
    """Draw probabilities over the square, without any points, and return each panel's contours."""
    nothing, panels = [np.empty((0, 2), np.float32)] * 2, {str(i): answer for i, answer in enumerate(answers)}
    figure = boundary(panels, SQUARE, nothing, nothing, FEATURES[:2], CLASSES)
    return [artists(ax, QuadContourSet) for ax in panels_of(figure).values()]


def test_grids_by_hand() -> None:
    """0 to 10 and -100 to 300 get margins of 0.5 and 20; the others stay at their means. A line has neither."""
    where, inputs = grid_over(np.array([[0, 300, 7, -1], [10, -100, 1, -3], [4, 0, 1, -2]], np.float32), 3)
    np.testing.assert_allclose(where[:2], [[-0.5, 5, 10.5], [-120, 100, 320]])
    np.testing.assert_array_equal(where.others, [3, -2])
    np.testing.assert_allclose(inputs, [[x, y, 3, -2] for y in (-120, 100, 320) for x in (-0.5, 5, 10.5)])
    assert {array.dtype for array in (*where, inputs)} == {np.dtype(np.float32)}
    line, inputs = grid_over(np.array([[10], [0], [3]], np.float32), 3)
    np.testing.assert_allclose(inputs, [[-0.5], [5], [10.5]])
    assert (line.y.shape, line.others.shape) == ((0,), (0,))
    # A constant gets a margin too, so that there is something to look at, also where float32 has few digits left.
    constant, _ = grid_over(np.array([[5, 0], [5, 1]], np.float32), 3)
    np.testing.assert_allclose(constant[:2], [[4.95, 5, 5.05], [-0.05, 0.5, 1.05]], rtol=1e-6)
    assert (np.diff(grid_over(np.full((2, 2), 1e9, np.float32), 20)[0][:2]) > 0).all()


@settings(max_examples=40, deadline=None)
@given(j=st.integers(2, 5), rows=st.integers(2, 20), size=st.sampled_from([1e-3, 1.0, 1e4]), seed=st.integers(0, 2**32))
def test_margins_are_5_percent_of_each_axis(j: int, rows: int, size: float, seed: int) -> None:
    """Whatever the ranges of the features are."""
    features = (size * np.random.default_rng(seed).normal(0, 1, (rows, j))).astype(np.float32)
    (where, inputs), close = grid_over(features, 4), {"rtol": 1e-5, "atol": size * 1e-6}
    for axis, values in ((where.x, features[:, 0]), (where.y, features[:, 1])):
        low, high = float(values.min()), float(values.max())
        expected = [low - (high - low) / 20 + i * 1.1 * (high - low) / 3 for i in range(4)]
        np.testing.assert_allclose(axis, expected, **close)
    means = np.broadcast_to(features[:, 2:].astype(np.float64).mean(0), (16, j - 2))
    np.testing.assert_allclose(inputs[:, 2:], means, **close)


@pytest.mark.parametrize("j", [2, 5, 90])
def test_inputs_come_in_parts_of_bounded_size(j: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line of the grid at the least; together they are the same rows in the same order."""
    where = grid_over(points(2, 9, 0)[0], 7)[0]._replace(others=np.arange(j - 2, dtype=np.float32))
    (expected,) = where.inputs()
    monkeypatch.setattr(module, "MOST_CELLS", 100)
    parts = list(where.inputs())
    assert len(parts) > 1 or j == 2
    assert max(part.size for part in parts) <= max(100, 7 * j)
    np.testing.assert_array_equal(np.concatenate(parts), expected)


@pytest.mark.parametrize("j", [2, 4])
def test_mesh_is_the_probabilities_where_they_belong(j: int) -> None:
    """The cell around each input has its probability, and every panel, as the bar, the colour scale from 0 to 1."""
    figure, panels, where, answers, _ = draw(j)
    (bar,) = set(figure.axes) - set(panels.values())
    (colours,) = artists(bar, QuadMesh)
    assert (list(panels), bar.get_ylim(), bar.get_ylabel()) == (list(answers), (0, 1), "probability of dogs")
    for ax, probability in zip(panels.values(), answers.values(), strict=True):
        (mesh,) = artists(ax, QuadMesh)
        np.testing.assert_array_equal(np.ravel(mesh.get_array()), probability)
        corners = np.asarray(mesh.get_coordinates())
        centres = (corners[:-1, :-1] + corners[1:, :-1] + corners[:-1, 1:] + corners[1:, 1:]) / 4
        np.testing.assert_allclose(centres, np.dstack(np.meshgrid(where.x, where.y)), rtol=1e-4, atol=1e-4)
        assert (mesh.get_clim(), mesh.norm(0.5), mesh.get_cmap()) == ((0, 1), 0.5, colours.get_cmap())


@pytest.mark.parametrize("j", [1, 2, 4])
def test_panels_share_limits_names_and_one_legend(j: int) -> None:
    """The limits are the grid's; each panel names the first feature, the left one what goes up."""
    figure, named, where, _, _ = draw(j)
    left, right = named.values()
    assert left.get_xlim() == right.get_xlim() == (where.x[0], where.x[-1])
    assert left.get_ylim() == right.get_ylim() == ((where.y[0], where.y[-1]) if j > 1 else left.get_ylim())
    assert left.get_xlabel() == right.get_xlabel() == "length (cm)"
    assert left.get_ylabel() == ("probability of dogs" if j == 1 else "width (cm)")
    expected = [f"{name}, {subset}" for name in CLASSES for subset in ("training", "test")]
    expected += ["decision boundary (0.5)", *(["probability"] if j == 1 else [])]
    assert sorted(legend_texts(figure)) == sorted(expected)
    assert not any(ax.get_legend() for ax in figure.axes)


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


@pytest.mark.parametrize("j", [1, 2, 4])
def test_training_points_are_filled_and_test_points_hollow(j: int) -> None:
    """At the first two features; along one, they lie outside of 0 to 1, each class on its side of the curve."""
    _, panels, where, answers, subsets = draw(j)
    for title, ax in panels.items():
        dots = {str(dots.get_label()): dots for dots in artists(ax, PathCollection)}
        assert len(dots) == len(artists(ax, PathCollection)) == 4
        for subset, label in ((subset, label) for subset in subsets for label in (0, 1)):
            drawn, expected = dots[f"{CLASSES[label]}, {subset}"], subsets[subset][label]
            offsets = np.asarray(drawn.get_offsets())
            np.testing.assert_array_equal(offsets[:, : min(j, 2)], expected[:, :2])
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
            curve, half = ax.lines
            np.testing.assert_array_equal(curve.get_data(), (where.x, answers[title]))
            assert list(np.asarray(half.get_ydata())) == [0.5, 0.5]
            assert len(ax.figure.axes) == 2, "no colour bar: there is no colour to explain"


def test_a_title_says_where_other_features_are_held() -> None:
    """By name, at the means of the training points; of more than eight it says how many more there are."""
    assert draw(1)[0].get_suptitle() == draw(2)[0].get_suptitle() == ""
    train, test = (np.concatenate(classes).astype(np.float64).mean(0) for classes in draw(4)[4].values())
    title, many = (draw(j)[0].get_suptitle().replace("\n", " ") for j in (4, 20))
    held = [f"{FEATURES[i]} = {train[i]:.4g}" for i in (2, 3)]
    assert title == "others at their training mean: " + ", ".join(held)
    assert all(f"{test[i]:.4g}" not in title for i in (2, 3))
    assert (many.count(" = "), many.endswith(", and 10 more")) == (8, True)


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
    """Drawn twice from the beginning. On opaque white, because TensorBoard gets the pixels without their alpha."""
    first, second = (to_file(sketch(), "png") for _ in range(2))
    pixels = to_pixels(sketch())
    assert first == second == to_png(pixels) != to_file(sketch("another title"), "png")
    assert (pixels.dtype, pixels.shape) == (np.uint8, (480, 1280, 4))
    assert len(np.unique(pixels)) > 10, "something is drawn"
    assert set(pixels[0, 0]) == set(pixels[..., 3].flat) == {255}
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
    program = "import matplotlib as m; d = dict(m.rcParams); import project.cli, project.plot; assert d == m.rcParams"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(4))))
def test_png_decodes_to_any_pixels(pixels: npt.NDArray[np.uint8]) -> None:
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
    assert all(len(set(looks)) == len(looks) for looks in (CLASS_MARKERS, CLASS_COLOURS, style.LINE_COLOURS))
