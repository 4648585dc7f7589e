"""The arrays in every figure: points, lines, and the grid on which the network is asked."""

from functools import cache
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.colors import same_color, to_rgb
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from project.figures import boundary as module
from project.figures.boundary import Grid, boundary, grid
from project.figures.comparison import Curves, comparison
from project.figures.curves import accuracy, loss
from project.figures.scatter import scatter
from project.figures.style import CLASS_COLOURS, CLASS_MARKERS
from tests.figures.test_style import assert_marker, legend_texts, panels_of

Array = npt.NDArray[np.float32]
Column = npt.NDArray[np.float64]
Artist = TypeVar("Artist")
FEATURES = ["length (cm)", "width (cm)", "mass (kg)", "age (years)", *(f"f{i}" for i in range(20))]
CLASSES = ["cats", "dogs"]
BEFORE, AFTER = "before training", "after 1000 iterations"
VALIDATION = {"validation accuracy": "val_accuracy", "validation BCE": "val_bce", "validation MSE": "val_mse"}
TEST = {"test accuracy": "test_accuracy", "test BCE": "test_bce", "test MSE": "test_mse"}


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
            assert sum(counts) == len(features)
            assert same_color(step.get_facecolor()[:3], to_rgb(colour))
            assert same_color(step.get_edgecolor(), colour)
        assert legend_texts(ax) == [f"{name} ({len(rows)})" for name, rows in zip(CLASSES, classes, strict=True)]
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("length (cm)", "rows")
    assert [step.get_data().values.tolist() for step in steps] == [[1] * 29 + [2], [1] + [0] * 29]
    only_panel([np.ones((5, 1), np.float32)] * 2)  # No range at all is no error.


def history(tests: bool) -> dict[str, Column]:
    """Return 50 iterations as history.csv holds them: validated after 20 and 40, and not in the last ten."""
    rng, steps = np.random.default_rng(0), np.arange(1.0, 51)
    columns = {"step": steps, "train_loss": rng.random(50)}
    for name in ("val_loss", "val_accuracy", *(("test_loss", "test_accuracy") if tests else ())):
        columns[name] = np.where(steps % 20 == 0, rng.random(50), np.nan)
    return columns


def assert_lines(ax: Axes, expected: dict[str, tuple[Any, Any]], legend: list[str]) -> None:
    """One line for each of the expected ones, in this order and with no other point; no two of a colour."""
    assert [line.get_label() for line in ax.lines] == list(expected)
    for line, values in zip(ax.lines, expected.values(), strict=True):
        np.testing.assert_array_equal(line.get_data(), values)
    assert len({to_rgb(line.get_color()) for line in ax.lines}) == len(expected)
    assert legend == list(expected)
    assert ax.get_xlabel() == "iteration"


@pytest.mark.parametrize("tests", [False, True])
@pytest.mark.parametrize("criterion", ["bce", "mse"])
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


def run(seed: int, columns: dict[str, str], validations: int = 5) -> Curves:
    """Return a run with those columns, and with losses, which are not compared."""
    rng, steps = np.random.default_rng(seed), np.arange(20.0, 20 * validations + 1, 20)
    return {name: (steps, rng.random(validations)) for name in ["train_loss", "val_loss", *columns.values()]}


@pytest.mark.parametrize("columns", [VALIDATION, VALIDATION | TEST, {"validation F1": "val_f1"}])
def test_each_column_but_the_losses_has_a_panel_with_a_line_a_run(columns: dict[str, str]) -> None:
    """Runs may differ in length; the panels follow from the columns, also of a metric that is new."""
    runs = {f"seed {i}": run(i, columns, 3 + i) for i in range(3)}
    panels = panels_of(figure := comparison(runs))
    assert list(panels) == list(columns)
    for title, column in columns.items():
        assert_lines(panels[title], {name: curves[column] for name, curves in runs.items()}, legend_texts(figure))


def test_each_run_looks_the_same_in_every_panel_and_unlike_the_others() -> None:
    """Twenty runs, more than there are colours; only the last recorded the test subset, and is alone in its panels."""
    runs = {f"run {i}": run(i, VALIDATION if i < 19 else VALIDATION | TEST) for i in range(20)}
    panels = panels_of(comparison(runs))
    assert list(panels) == [*VALIDATION, *TEST]
    for title, column in TEST.items():
        assert_lines(panels[title], {"run 19": runs["run 19"][column]}, ["run 19"])
    first, *others = [[(line.get_color(), line.get_linestyle()) for line in ax.lines] for ax in panels.values()]
    assert len(set(first)) == 20
    assert others == [first, first, first[-1:], first[-1:], first[-1:]]


def grid_over(train: Array, n: int) -> Grid:
    return grid(train.min(0), train.max(0), train.astype(np.float64).mean(0), n)


def inputs(where: Grid) -> Array:
    return np.concatenate(list(where.inputs()))


@cache
def draw(j: int) -> tuple[Figure, dict[str, Axes], Grid, dict[str, Array], dict[str, list[Array]]]:
    """Return a figure, its panels, and the grid, probabilities and points in it; nothing changes it."""
    subsets = {"training": points(j, 30, 0), "test": points(j, 12, 1)}
    where, rng = grid_over(np.concatenate(subsets["training"]), 21), np.random.default_rng(2)
    answers = {title: rng.random(21 ** min(j, 2), np.float32) for title in (BEFORE, AFTER)}
    figure = boundary(answers, where, *subsets.values(), FEATURES[:j], CLASSES)
    return figure, panels_of(figure), where, answers, subsets


# 11 by 21 points at [0, 1] by [0, 2], a tenth apart
SQUARE = Grid(*(np.linspace(0, end, 10 * end + 1, dtype=np.float32) for end in (1, 2)), np.empty(0, np.float32))
X, Y = inputs(SQUARE).T


def contours(*answers: Array) -> list[list[QuadContourSet]]:
    """Draw probabilities over the square, without any points, and return each panel's contours."""
    nothing, panels = [np.empty((0, 2), np.float32)] * 2, {str(i): answer for i, answer in enumerate(answers)}
    figure = boundary(panels, SQUARE, nothing, nothing, FEATURES[:2], CLASSES)
    return [artists(ax, QuadContourSet) for ax in panels_of(figure).values()]


def test_grids_by_hand() -> None:
    """0 to 10 and -100 to 300 get margins of 0.5 and 20; the others stay at their means. A line has neither."""
    where = grid_over(np.array([[0, 300, 7, -1], [10, -100, 1, -3], [4, 0, 1, -2]], np.float32), 3)
    np.testing.assert_allclose(where.x, [-0.5, 5, 10.5])
    np.testing.assert_allclose(where.y, [-120, 100, 320])
    np.testing.assert_array_equal(where.others, [3, -2])
    np.testing.assert_allclose(inputs(where), [[x, y, 3, -2] for y in (-120, 100, 320) for x in (-0.5, 5, 10.5)])
    assert {array.dtype for array in (*where, inputs(where))} == {np.dtype(np.float32)}
    line = grid_over(np.array([[10], [0], [3]], np.float32), 3)
    np.testing.assert_allclose(inputs(line), [[-0.5], [5], [10.5]])
    assert (line.y.shape, line.others.shape) == ((0,), (0,))
    # A constant gets a margin too, so that there is something to look at, also where float32 has few digits left.
    constant = grid_over(np.array([[5, 0], [5, 1]], np.float32), 3)
    np.testing.assert_allclose(constant[:2], [[4.95, 5, 5.05], [-0.05, 0.5, 1.05]], rtol=1e-6)
    assert (np.diff(grid_over(np.full((2, 2), 1e9, np.float32), 20)[:2]) > 0).all()


@settings(max_examples=40, deadline=None)
@given(j=st.integers(2, 5), rows=st.integers(2, 20), size=st.sampled_from([1e-3, 1.0, 1e4]), seed=st.integers(0, 2**32))
def test_margins_are_5_percent_of_each_axis(j: int, rows: int, size: float, seed: int) -> None:
    """Whatever the ranges of the features are."""
    features = (size * np.random.default_rng(seed).normal(0, 1, (rows, j))).astype(np.float32)
    where, close = grid_over(features, 4), {"rtol": 1e-5, "atol": size * 1e-6}
    for axis, values in ((where.x, features[:, 0]), (where.y, features[:, 1])):
        low, high = float(values.min()), float(values.max())
        expected = [low - (high - low) / 20 + i * 1.1 * (high - low) / 3 for i in range(4)]
        np.testing.assert_allclose(axis, expected, **close)
    means = np.broadcast_to(features[:, 2:].astype(np.float64).mean(0), (16, j - 2))
    np.testing.assert_allclose(inputs(where)[:, 2:], means, **close)


@pytest.mark.parametrize("j", [2, 5, 90])
def test_inputs_come_in_parts_of_bounded_size(j: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line of the grid at the least; together they are the same rows in the same order."""
    where = grid_over(points(2, 9, 0)[0], 7)._replace(others=np.arange(j - 2, dtype=np.float32))
    expected = [[x, y, *where.others] for y in where.y for x in where.x]
    monkeypatch.setattr(module, "MOST_CELLS", 100)
    parts = list(where.inputs())
    assert len(parts) > 1 or j == 2
    assert max(part.size for part in parts) <= max(100, 7 * j)
    np.testing.assert_array_equal(np.concatenate(parts), np.array(expected, np.float32))


@pytest.mark.parametrize("j", [2, 4])
def test_mesh_is_the_probabilities_where_they_belong(j: int) -> None:
    """The cell around each input has its probability, and every panel, as the bar, the colour scale from 0 to 1."""
    figure, panels, where, answers, _ = draw(j)
    assert list(panels) == [BEFORE, AFTER]
    (bar,) = set(figure.axes) - set(panels.values())
    (colours,) = artists(bar, QuadMesh)
    assert (bar.get_ylim(), bar.get_ylabel()) == ((0, 1), "probability of dogs")
    for title, ax in panels.items():
        (mesh,) = artists(ax, QuadMesh)
        np.testing.assert_array_equal(np.ravel(mesh.get_array()), answers[title])
        corners = np.asarray(mesh.get_coordinates())
        centres = (corners[:-1, :-1] + corners[1:, :-1] + corners[:-1, 1:] + corners[1:, 1:]) / 4
        np.testing.assert_allclose(centres.reshape(-1, 2), inputs(where)[:, :2], rtol=1e-4, atol=1e-4)
        assert (mesh.get_clim(), mesh.norm(0.5), mesh.get_cmap()) == ((0, 1), 0.5, colours.get_cmap())


@pytest.mark.parametrize("j", [1, 2, 4])
def test_panels_share_limits_names_and_one_legend(j: int) -> None:
    """The limits are the grid's; each panel names the first feature, the left one what goes up."""
    figure, named, where, _, _ = draw(j)
    left, right = named.values()
    assert left.get_xlim() == right.get_xlim() == (where.x[0], where.x[-1])
    assert left.get_ylim() == right.get_ylim()
    assert j == 1 or left.get_ylim() == (where.y[0], where.y[-1])
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
            faces, edges = np.asarray(drawn.get_facecolors()), np.asarray(drawn.get_edgecolors())
            if subset == "training":
                assert same_color(faces[0], (*to_rgb(CLASS_COLOURS[label]), 1))
            else:
                assert not len(faces) or (faces[:, 3] == 0).all()
                assert same_color(edges[0], CLASS_COLOURS[label])
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
    title = draw(4)[0].get_suptitle().replace("\n", " ")
    held = [f"{FEATURES[i]} = {train[i]:.4g}" for i in (2, 3)]
    assert title == "Others at their training mean: " + ", ".join(held)
    assert all(f"{test[i]:.4g}" not in title for i in (2, 3))
    many = draw(20)[0].get_suptitle().replace("\n", " ")
    assert (many.count(" = "), many.endswith(", and 10 more")) == (8, True)
