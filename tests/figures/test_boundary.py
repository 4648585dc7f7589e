"""The grid on which the network is asked, and the arrays in the picture of its answers."""

from functools import cache

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
from matplotlib.markers import MarkerStyle

from project.figures.boundary import Grid, boundary, grid
from project.figures.style import CLASS_COLOURS, CLASS_MARKERS, to_pixels

Array = npt.NDArray[np.float32]
Points = tuple[Array, Array]  # features (N, j) and labels (N, 1)
FEATURES = ["length (cm)", "width (cm)", "mass (kg)", "age (years)"]
CLASSES = ["cats", "dogs"]
BEFORE, AFTER = "before training", "after 1000 iterations"
N = 21


def points(j: int, rows: int, seed: int) -> Points:
    """Return some rows of each class, the classes mixed; each feature with a range of its own."""
    rng = np.random.default_rng(seed)
    features = rng.normal(0, 1, (rows, j)) * 10.0 ** np.arange(j) + 5 * np.arange(j)
    return features.astype(np.float32), (np.arange(rows) % 3 == 0).astype(np.float32)[:, None]


def by_class(points: Points) -> list[Array]:
    features, labels = points
    return [features[labels[:, 0] == label] for label in (0, 1)]


def grid_over(train: Array, n: int) -> Grid:
    return grid(train.min(0), train.max(0), np.median(train[:, 2:], 0), n)


def probabilities(rows: int) -> dict[str, Array]:
    """Return any numbers from 0 to 1, others in each panel."""
    rng = np.random.default_rng(2)
    return {title: rng.random(rows).astype(np.float32) for title in (BEFORE, AFTER)}


@cache
def draw(j: int) -> tuple[Figure, Grid, Points, Points]:
    """Return a figure of two panels, its grid, training and test points; nothing changes it, so once is enough."""
    train, test = points(j, 30, 0), points(j, 12, 1)
    where = grid_over(train[0], N)
    figure = boundary(probabilities(len(where.inputs)), where, by_class(train), by_class(test), FEATURES[:j], CLASSES)
    to_pixels(figure)  # it can be drawn
    return figure, where, train, test


def square() -> Grid:
    """Return 11 by 21 points at [0, 1] by [0, 2], a tenth apart."""
    x, y = np.linspace(0, 1, 11, dtype=np.float32), np.linspace(0, 2, 21, dtype=np.float32)
    inputs = np.array([[a, b] for b in y for a in x], np.float32)
    return Grid(x, y, inputs, x[:0])


def draw_square(panels: dict[str, Array]) -> Figure:
    """Draw probabilities over the square, without any points."""
    nothing = [np.empty((0, 2), np.float32)] * 2
    figure = boundary(panels, square(), nothing, nothing, FEATURES[:2], CLASSES)
    to_pixels(figure)
    return figure


def panels_of(figure: Figure) -> dict[str, Axes]:
    """Return the axes that have a title; the colour bar has none."""
    return {ax.get_title(): ax for ax in figure.axes if ax.get_title()}


def mesh_of(ax: Axes) -> QuadMesh:
    (mesh,) = (artist for artist in ax.collections if isinstance(artist, QuadMesh))
    return mesh


def contours_of(ax: Axes) -> list[QuadContourSet]:
    return [artist for artist in ax.collections if isinstance(artist, QuadContourSet)]


def scatters_of(ax: Axes) -> list[PathCollection]:
    return [artist for artist in ax.collections if isinstance(artist, PathCollection)]


def assert_looks(scatter: PathCollection, label: int, filled: bool) -> None:
    """In the colour and with the marker of its class; filled, or an outline alone."""
    style = MarkerStyle(CLASS_MARKERS[label])
    shape = style.get_path().transformed(style.get_transform())
    np.testing.assert_allclose(scatter.get_paths()[0].vertices, shape.vertices)
    faces = np.asarray(scatter.get_facecolors())
    if filled:
        assert same_color(faces[0, :3], to_rgb(CLASS_COLOURS[label]))
        assert faces[0, 3] == 1
    else:
        assert not len(faces) or (faces[:, 3] == 0).all()
        assert same_color(np.asarray(scatter.get_edgecolors())[0], CLASS_COLOURS[label])


def test_grid_of_the_plane_by_hand() -> None:
    """x from 0 to 10 and y from -100 to 300 get margins of 0.5 and 20; the others stay at their medians."""
    features = np.array([[0, 300, 7, -1], [10, -100, 1, -3], [4, 0, 2, -2]], np.float32)
    where = grid_over(features, 3)
    np.testing.assert_allclose(where.x, [-0.5, 5, 10.5])
    np.testing.assert_allclose(where.y, [-120, 100, 320])
    np.testing.assert_array_equal(where.others, [2, -2])
    rows = [[x, y, 2, -2] for y in (-120, 100, 320) for x in (-0.5, 5, 10.5)]
    np.testing.assert_allclose(where.inputs, rows)
    assert {array.dtype for array in where} == {np.dtype(np.float32)}


def test_grid_of_a_line_by_hand() -> None:
    """One feature from 0 to 10 gets margins of 0.5; there is no second and there are no others."""
    where = grid_over(np.array([[10], [0], [3]], np.float32), 3)
    np.testing.assert_allclose(where.x, [-0.5, 5, 10.5])
    np.testing.assert_allclose(where.inputs, [[-0.5], [5], [10.5]])
    assert (where.y.shape, where.others.shape) == ((0,), (0,))


@settings(max_examples=40, deadline=None)
@given(
    j=st.integers(2, 5), rows=st.integers(2, 20), size=st.sampled_from([1e-3, 1.0, 1e4]), seed=st.integers(0, 2**32 - 1)
)
def test_margins_are_5_percent_of_each_axis(j: int, rows: int, size: float, seed: int) -> None:
    """Whatever the ranges of the features are, and with an even number of rows too."""
    features = (size * np.random.default_rng(seed).normal(0, 1, (rows, j))).astype(np.float32)
    where = grid_over(features, 4)
    for axis, values in ((where.x, features[:, 0]), (where.y, features[:, 1])):
        low, high = float(values.min()), float(values.max())
        margin = (high - low) / 20
        np.testing.assert_allclose(axis[[0, -1]], [low - margin, high + margin], rtol=1e-5, atol=size * 1e-6)
        np.testing.assert_allclose(np.diff(axis), 1.1 * (high - low) / 3, rtol=1e-3, atol=size * 1e-6)
    ordered = np.sort(features[:, 2:].astype(np.float64), axis=0)
    medians = (ordered[(rows - 1) // 2] + ordered[rows // 2]) / 2
    np.testing.assert_allclose(where.inputs[:, 2:], np.broadcast_to(medians, (16, j - 2)), rtol=1e-5, atol=size * 1e-6)


def test_grid_around_a_constant_feature() -> None:
    """It gets a margin too, so that there is something to look at."""
    where = grid_over(np.array([[5, 0], [5, 1]], np.float32), 3)
    np.testing.assert_allclose(where.x, [4.95, 5, 5.05])
    np.testing.assert_allclose(where.y, [-0.05, 0.5, 1.05], rtol=1e-6)


@pytest.mark.parametrize("j", [2, 4])
def test_mesh_is_the_probabilities_where_they_belong(j: int) -> None:
    """The cell around each input has its probability, and every panel the colour scale from 0 to 1."""
    figure, where, _, _ = draw(j)
    panels = panels_of(figure)
    assert list(panels) == [BEFORE, AFTER]
    for title, ax in panels.items():
        mesh = mesh_of(ax)
        np.testing.assert_array_equal(np.ravel(mesh.get_array()), probabilities(N * N)[title])
        corners = np.asarray(mesh.get_coordinates())
        centres = (corners[:-1, :-1] + corners[1:, :-1] + corners[:-1, 1:] + corners[1:, 1:]) / 4
        np.testing.assert_allclose(centres.reshape(-1, 2), where.inputs[:, :2], rtol=1e-4, atol=1e-4)
        assert mesh.get_clim() == (0, 1)
        assert mesh.norm(0.5) == 0.5
    assert mesh_of(panels[BEFORE]).get_cmap() == mesh_of(panels[AFTER]).get_cmap()


def test_colour_bar_explains_the_mesh() -> None:
    """Same colours, from 0 to 1."""
    figure, *_ = draw(2)
    (bar,) = (ax for ax in figure.axes if not ax.get_title())
    assert bar.get_ylim() == (0, 1)
    assert bar.get_ylabel() == "probability of dogs"
    (colours,) = (artist for artist in bar.collections if isinstance(artist, QuadMesh))
    assert colours.get_cmap() == mesh_of(panels_of(figure)[AFTER]).get_cmap()


@pytest.mark.parametrize("j", [1, 2, 4])
def test_panels_share_limits_and_names(j: int) -> None:
    """The limits are the grid's; each panel names the first feature, the left one what goes up."""
    figure, where, _, _ = draw(j)
    panels = list(panels_of(figure).values())
    for ax in panels:
        assert ax.get_xlim() == (where.x[0], where.x[-1])
        assert ax.get_xlabel() == "length (cm)"
        assert ax.get_ylim() == panels[0].get_ylim()
    if j > 1:
        assert panels[0].get_ylim() == (where.y[0], where.y[-1])
    assert panels[0].get_ylabel() == ("probability of dogs" if j == 1 else "width (cm)")


def test_boundary_lies_where_the_probability_is_one_half() -> None:
    """p = 0.5 + (x + y - 1) / 8 crosses 0.5 on x + y = 1: from (0, 1) to (1, 0), 0.1 apart."""
    x, y = square().inputs.T
    figure = draw_square({AFTER: 0.5 + (x + y - 1) / 8})
    (contour,) = contours_of(panels_of(figure)[AFTER])
    assert list(contour.levels) == [0.5]
    (path,) = contour.get_paths()
    vertices = np.asarray(path.vertices)
    np.testing.assert_allclose(vertices.sum(axis=1), 1, atol=1e-5)
    ends = vertices[np.argsort(vertices[:, 0])][[0, -1]]
    np.testing.assert_allclose(ends, [[0, 1], [1, 0]], atol=1e-5)


def test_boundary_between_the_points_of_the_grid() -> None:
    """p = 0.2 + 0.8 x, whatever y, crosses 0.5 at x = 3/8, between two grid points, from y = 0 to y = 2."""
    x, _ = square().inputs.T
    figure = draw_square({AFTER: 0.2 + 0.8 * x})
    (contour,) = contours_of(panels_of(figure)[AFTER])
    vertices = np.concatenate([path.vertices for path in contour.get_paths()])
    np.testing.assert_allclose(vertices[:, 0], 3 / 8, atol=1e-5)
    np.testing.assert_allclose([vertices[:, 1].min(), vertices[:, 1].max()], [0, 2], atol=1e-5)


@pytest.mark.parametrize("level", [0.0, 0.3, 0.4999, 0.5, 0.5001, 1.0])
def test_no_boundary_where_one_half_is_not_crossed(level: float) -> None:
    """A panel that is all on one side has none, and neither has it one because the other panel has."""
    x, _ = square().inputs.T
    panels = panels_of(draw_square({BEFORE: np.full_like(x, level), AFTER: x}))
    assert contours_of(panels[BEFORE]) == []
    assert len(contours_of(panels[AFTER])) == 1


@pytest.mark.parametrize("j", [2, 4])
def test_training_points_are_filled_and_test_points_hollow(j: int) -> None:
    """One collection a class and subset in every panel, at the first two features."""
    figure, _, train, test = draw(j)
    for ax in panels_of(figure).values():
        scatters = {str(scatter.get_label()): scatter for scatter in scatters_of(ax)}
        assert len(scatters) == len(scatters_of(ax)) == 4
        for subset, (features, labels) in {"training": train, "test": test}.items():
            for label, name in enumerate(CLASSES):
                scatter = scatters[f"{name}, {subset}"]
                expected = [row[:2] for row, y in zip(features, labels, strict=True) if y == label]
                np.testing.assert_array_equal(np.asarray(scatter.get_offsets()), expected)
                assert_looks(scatter, label, filled=subset == "training")


def test_one_feature_gives_a_curve() -> None:
    """The probability against the feature, and 0.5 across; the points lie outside of 0 to 1, each class on its side."""
    figure, where, train, test = draw(1)
    for title, ax in panels_of(figure).items():
        curve, half = ax.lines
        np.testing.assert_array_equal(curve.get_xdata(), where.x)
        np.testing.assert_array_equal(curve.get_ydata(), probabilities(N)[title])
        assert list(np.asarray(half.get_ydata())) == [0.5, 0.5]
        scatters = {str(scatter.get_label()): scatter for scatter in scatters_of(ax)}
        assert len(scatters) == len(scatters_of(ax)) == 4
        low, high = ax.get_ylim()
        rows = set()
        for subset, (features, labels) in {"training": train, "test": test}.items():
            for label, name in enumerate(CLASSES):
                scatter = scatters[f"{name}, {subset}"]
                x, heights = np.asarray(scatter.get_offsets()).T
                np.testing.assert_array_equal(x, features[labels == label])
                (height,) = set(heights)
                assert 1 < height < high if label else low < height < 0
                rows.add(height)
                assert_looks(scatter, label, filled=subset == "training")
        assert len(rows) == 4
    assert len(figure.axes) == 2  # no colour bar: there is no colour to explain


@pytest.mark.parametrize("j", [1, 2, 4])
def test_one_legend_names_everything(j: int) -> None:
    """Once for all panels."""
    figure, *_ = draw(j)
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    expected = {f"{name}, {subset}" for name in CLASSES for subset in ("training", "test")}
    assert set(texts) == expected | {"decision boundary (0.5)"} | ({"probability"} if j == 1 else set())
    assert len(texts) == len(set(texts))
    assert all(ax.get_legend() is None for ax in figure.axes)


@pytest.mark.parametrize("j", [1, 2])
def test_no_title_where_nothing_is_fixed(j: int) -> None:
    figure, *_ = draw(j)
    assert figure.get_suptitle() == ""


def test_title_says_where_the_other_features_are_fixed() -> None:
    """By name, at the medians of the training points; the test points have other medians."""
    figure, _, train, test = draw(4)
    title = figure.get_suptitle().replace("\n", " ")
    assert "training median" in title
    for i in 2, 3:
        median = float(np.median(train[0][:, i]))
        assert f"{FEATURES[i]} = {median:.4g}" in title
        assert f"{median:.4g}" != f"{float(np.median(test[0][:, i])):.4g}"
    assert FEATURES[0] not in title
    assert FEATURES[1] not in title


def test_one_panel_is_enough() -> None:
    """As in the snapshots during training."""
    x, _ = square().inputs.T
    assert list(panels_of(draw_square({AFTER: x}))) == [AFTER]
