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

from project.figures import boundary as module
from project.figures.boundary import Grid, boundary, grid
from project.figures.style import CLASS_COLOURS, CLASS_MARKERS
from tests.figures.shown import assert_marker, legend_texts, panels_of

Array = npt.NDArray[np.float32]
Points = tuple[Array, Array]  # features (N, j) and labels (N, 1)
FEATURES = ["length (cm)", "width (cm)", "mass (kg)", "age (years)", *(f"f{i}" for i in range(20))]
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
    return grid(train.min(0), train.max(0), train.astype(np.float64).mean(0), n)


def inputs(where: Grid) -> Array:
    return np.concatenate(list(where.inputs()))


def probabilities(rows: int) -> dict[str, Array]:
    """Return any numbers from 0 to 1, others in each panel."""
    rng = np.random.default_rng(2)
    return {title: rng.random(rows).astype(np.float32) for title in (BEFORE, AFTER)}


@cache
def draw(j: int) -> tuple[Figure, dict[str, Axes], Grid, dict[str, Points]]:
    """Return a figure of two panels, its grid, training and test points; nothing changes it, so once is enough."""
    subsets = {"training": points(j, 30, 0), "test": points(j, 12, 1)}
    where = grid_over(subsets["training"][0], N)
    classes = [by_class(subset) for subset in subsets.values()]
    figure = boundary(probabilities(len(inputs(where))), where, *classes, FEATURES[:j], CLASSES)
    return figure, panels_of(figure), where, subsets


def draw_square(panels: dict[str, Array]) -> dict[str, Axes]:
    """Draw probabilities over the square, without any points."""
    nothing = [np.empty((0, 2), np.float32)] * 2
    return panels_of(boundary(panels, SQUARE, nothing, nothing, FEATURES[:2], CLASSES))


# 11 by 21 points at [0, 1] by [0, 2], a tenth apart
SQUARE = Grid(*(np.linspace(0, end, 10 * end + 1, dtype=np.float32) for end in (1, 2)), np.empty(0, np.float32))
X, Y = inputs(SQUARE).T


def mesh_of(ax: Axes) -> QuadMesh:
    (mesh,) = (artist for artist in ax.collections if isinstance(artist, QuadMesh))
    return mesh


def contours_of(ax: Axes) -> list[QuadContourSet]:
    return [artist for artist in ax.collections if isinstance(artist, QuadContourSet)]


def vertices_of(ax: Axes) -> Array:
    (contour,) = contours_of(ax)
    assert list(contour.levels) == [0.5]
    return np.concatenate([np.asarray(path.vertices) for path in contour.get_paths()])


def scatters_of(ax: Axes) -> dict[str, PathCollection]:
    scatters = [artist for artist in ax.collections if isinstance(artist, PathCollection)]
    named = {str(scatter.get_label()): scatter for scatter in scatters}
    assert len(named) == len(scatters) == 4
    return named


def assert_looks(scatter: PathCollection, label: int, filled: bool) -> None:
    """In the colour and with the marker of its class; filled, or an outline alone."""
    assert_marker(scatter, CLASS_MARKERS[label])
    faces = np.asarray(scatter.get_facecolors())
    if filled:
        assert same_color(faces[0, :3], to_rgb(CLASS_COLOURS[label]))
        assert faces[0, 3] == 1
    else:
        assert not len(faces) or (faces[:, 3] == 0).all()
        assert same_color(np.asarray(scatter.get_edgecolors())[0], CLASS_COLOURS[label])


def test_grid_of_the_plane_by_hand() -> None:
    """x from 0 to 10 and y from -100 to 300 get margins of 0.5 and 20; the others stay at their means."""
    where = grid_over(np.array([[0, 300, 7, -1], [10, -100, 1, -3], [4, 0, 1, -2]], np.float32), 3)
    np.testing.assert_allclose(where.x, [-0.5, 5, 10.5])
    np.testing.assert_allclose(where.y, [-120, 100, 320])
    np.testing.assert_array_equal(where.others, [3, -2])
    np.testing.assert_allclose(inputs(where), [[x, y, 3, -2] for y in (-120, 100, 320) for x in (-0.5, 5, 10.5)])
    assert {array.dtype for array in (*where, inputs(where))} == {np.dtype(np.float32)}


def test_grid_of_a_line_by_hand() -> None:
    """One feature from 0 to 10 gets margins of 0.5; there is no second and there are no others."""
    where = grid_over(np.array([[10], [0], [3]], np.float32), 3)
    np.testing.assert_allclose(where.x, [-0.5, 5, 10.5])
    np.testing.assert_allclose(inputs(where), [[-0.5], [5], [10.5]])
    assert (where.y.shape, where.others.shape) == ((0,), (0,))


@settings(max_examples=40, deadline=None)
@given(
    j=st.integers(2, 5), rows=st.integers(2, 20), size=st.sampled_from([1e-3, 1.0, 1e4]), seed=st.integers(0, 2**32 - 1)
)
def test_margins_are_5_percent_of_each_axis(j: int, rows: int, size: float, seed: int) -> None:
    """Whatever the ranges of the features are."""
    features = (size * np.random.default_rng(seed).normal(0, 1, (rows, j))).astype(np.float32)
    where = grid_over(features, 4)
    for axis, values in ((where.x, features[:, 0]), (where.y, features[:, 1])):
        low, high = float(values.min()), float(values.max())
        margin = (high - low) / 20
        np.testing.assert_allclose(axis[[0, -1]], [low - margin, high + margin], rtol=1e-5, atol=size * 1e-6)
        np.testing.assert_allclose(np.diff(axis), 1.1 * (high - low) / 3, rtol=1e-3, atol=size * 1e-6)
    means = np.broadcast_to(features[:, 2:].astype(np.float64).mean(0), (16, j - 2))
    np.testing.assert_allclose(inputs(where)[:, 2:], means, rtol=1e-5, atol=size * 1e-6)


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


def test_grid_around_a_constant_feature() -> None:
    """It gets a margin too, so that there is something to look at, also where float32 has few digits left."""
    where = grid_over(np.array([[5, 0], [5, 1]], np.float32), 3)
    np.testing.assert_allclose(where.x, [4.95, 5, 5.05])
    np.testing.assert_allclose(where.y, [-0.05, 0.5, 1.05], rtol=1e-6)
    assert (np.diff(grid_over(np.full((2, 2), 1e9, np.float32), 20)[:2]) > 0).all()


@pytest.mark.parametrize("j", [2, 4])
def test_mesh_is_the_probabilities_where_they_belong(j: int) -> None:
    """The cell around each input has its probability, and every panel, as the bar, the colour scale from 0 to 1."""
    figure, panels, where, _ = draw(j)
    assert list(panels) == [BEFORE, AFTER]
    (bar,) = (ax for ax in figure.axes if not ax.get_title())
    (colours,) = (artist for artist in bar.collections if isinstance(artist, QuadMesh))
    assert (bar.get_ylim(), bar.get_ylabel()) == ((0, 1), "probability of dogs")
    for title, ax in panels.items():
        mesh = mesh_of(ax)
        np.testing.assert_array_equal(np.ravel(mesh.get_array()), probabilities(N * N)[title])
        corners = np.asarray(mesh.get_coordinates())
        centres = (corners[:-1, :-1] + corners[1:, :-1] + corners[:-1, 1:] + corners[1:, 1:]) / 4
        np.testing.assert_allclose(centres.reshape(-1, 2), inputs(where)[:, :2], rtol=1e-4, atol=1e-4)
        assert mesh.get_clim() == (0, 1)
        assert mesh.norm(0.5) == 0.5
        assert mesh.get_cmap() == colours.get_cmap()


@pytest.mark.parametrize("j", [1, 2, 4])
def test_panels_share_limits_names_and_one_legend(j: int) -> None:
    """The limits are the grid's; each panel names the first feature, the left one what goes up."""
    figure, named, where, _ = draw(j)
    panels = list(named.values())
    for ax in panels:
        assert ax.get_xlim() == (where.x[0], where.x[-1])
        assert ax.get_xlabel() == "length (cm)"
        assert ax.get_ylim() == panels[0].get_ylim()
    if j > 1:
        assert panels[0].get_ylim() == (where.y[0], where.y[-1])
    assert panels[0].get_ylabel() == ("probability of dogs" if j == 1 else "width (cm)")
    expected = [f"{name}, {subset}" for name in CLASSES for subset in ("training", "test")]
    expected += ["decision boundary (0.5)", *(["probability"] if j == 1 else [])]
    assert sorted(legend_texts(figure)) == sorted(expected)
    assert all(ax.get_legend() is None for ax in figure.axes)


def test_boundary_lies_where_the_probability_is_one_half() -> None:
    """p = 0.5 + (x + y - 1) / 8 crosses 0.5 on x + y = 1, from (0, 1) to (1, 0); 0.2 + 0.8 x between grid points."""
    panels = draw_square({BEFORE: 0.5 + (X + Y - 1) / 8, AFTER: 0.2 + 0.8 * X})
    vertices = vertices_of(panels[BEFORE])
    np.testing.assert_allclose(vertices.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vertices[np.argsort(vertices[:, 0])][[0, -1]], [[0, 1], [1, 0]], atol=1e-5)
    vertices = vertices_of(panels[AFTER])
    np.testing.assert_allclose(vertices[:, 0], 3 / 8, atol=1e-5)
    np.testing.assert_allclose([vertices[:, 1].min(), vertices[:, 1].max()], [0, 2], atol=1e-5)


@pytest.mark.parametrize("level", [0.0, 0.3, 0.4999, 0.5, 0.5001, 1.0])
def test_no_boundary_where_one_half_is_not_crossed(level: float) -> None:
    """A panel that is all on one side has none, and neither has it one because the other panel has."""
    panels = draw_square({BEFORE: np.full_like(X, level), AFTER: X})
    assert [len(contours_of(ax)) for ax in panels.values()] == [0, 1]


@pytest.mark.parametrize("j", [2, 4])
def test_training_points_are_filled_and_test_points_hollow(j: int) -> None:
    """One collection a class and subset in every panel, at the first two features."""
    _, panels, _, subsets = draw(j)
    for ax in panels.values():
        for subset, (features, labels) in subsets.items():
            for label, name in enumerate(CLASSES):
                scatter = scatters_of(ax)[f"{name}, {subset}"]
                expected = [row[:2] for row, y in zip(features, labels, strict=True) if y == label]
                np.testing.assert_array_equal(np.asarray(scatter.get_offsets()), expected)
                assert_looks(scatter, label, filled=subset == "training")


def test_one_feature_gives_a_curve() -> None:
    """The probability against the feature, and 0.5 across; the points lie outside of 0 to 1, each class on its side."""
    figure, panels, where, subsets = draw(1)
    for title, ax in panels.items():
        curve, half = ax.lines
        np.testing.assert_array_equal(curve.get_xdata(), where.x)
        np.testing.assert_array_equal(curve.get_ydata(), probabilities(N)[title])
        assert list(np.asarray(half.get_ydata())) == [0.5, 0.5]
        low, high = ax.get_ylim()
        rows = set()
        for subset, (features, labels) in subsets.items():
            for label, name in enumerate(CLASSES):
                scatter = scatters_of(ax)[f"{name}, {subset}"]
                x, heights = np.asarray(scatter.get_offsets()).T
                np.testing.assert_array_equal(x, features[labels == label])
                (height,) = set(heights)
                assert 1 < height < high if label else low < height < 0
                rows.add(height)
                assert_looks(scatter, label, filled=subset == "training")
        assert len(rows) == 4
    assert len(figure.axes) == 2, "no colour bar: there is no colour to explain"


def test_a_title_says_where_other_features_are_held() -> None:
    """By name, at the means of the training points; of more than eight it says how many more there are."""
    assert draw(1)[0].get_suptitle() == draw(2)[0].get_suptitle() == ""
    means, others = (subset[0].astype(np.float64).mean(0) for subset in draw(4)[3].values())
    title = draw(4)[0].get_suptitle().replace("\n", " ")
    held = [f"{FEATURES[i]} = {means[i]:.4g}" for i in (2, 3)]
    assert title == "Others at their training mean: " + ", ".join(held)
    assert all(f"{others[i]:.4g}" not in title for i in (2, 3))
    many = draw(20)[0].get_suptitle().replace("\n", " ")
    assert many.count(" = ") == 8
    assert many.endswith(", and 10 more")
