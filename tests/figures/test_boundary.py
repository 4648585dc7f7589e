"""The arrays in a picture of the boundary: the grid, its colours, the line at one half, and the rows over it."""

from itertools import product
from typing import Any, cast

import numpy as np
import pytest
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.colors import same_color
from matplotlib.contour import QuadContourSet

from project.figures import boundary
from project.figures.boundary import NEAR, PALEST, Scene, boundary_figure, lay_scene
from project.figures.style import CLASS_COLOURS, PROBABILITY_MAP, new_figure
from tests.figures.drawing import CLASSES, FEATURES, artists, assert_dots, draw_panels, legend_texts, make_rows


def test_grids_by_hand() -> None:
    """0 to 10 and -100 to 300 get margins of 0.5 and 20; a line has places of one number; a constant has a margin."""
    square = np.array([[0, -100], [10, 300]], np.float32)
    for train, framed, axes in (
        (square, [], [[-0.5, 5, 10.5], [-120, 100, 320]]),
        (np.array([[0.0]]), [np.array([[10.0]])], [[-0.5, 5, 10.5]]),
        (np.array([[5.0, 0], [5, 1]]), [], [[4.95, 5, 5.05], [-0.05, 0.5, 1.05]]),
    ):
        scene = lay_scene(train, {}, 3, FEATURES, CLASSES, "", framed)
        np.testing.assert_allclose(scene.axes, axes)
        np.testing.assert_allclose(scene.places()[:, ::-1], list(product(*axes[::-1])))
    # Also where float32 has few digits left, places differ.
    far = lay_scene(np.full((1, 2), 1e9, np.float32), {}, 20, FEATURES, CLASSES, "")
    assert (np.diff(np.float32(far.axes)) > 0).all()


def test_the_colour_is_full_at_training_rows_and_palest_far_from_them() -> None:
    """A bell around each row, full up to its deviation; mirrored rows make a mirrored picture."""
    axes = np.linspace([0, 0], [1, 2], 100).T
    rows = np.random.default_rng(0).uniform([0.011, 0.011], [0.4, 0.5], (20, 2))
    near = boundary.weigh_colours(axes, rows)
    assert (near[tuple((rows / [1, 2] * 100).astype(int).T[::-1])] == 1).all()
    assert (near[80:, 80:] == PALEST).all()
    np.testing.assert_allclose(boundary.weigh_colours(axes, [1, 2] - rows), near[::-1, ::-1], atol=1e-12)
    np.testing.assert_allclose(boundary.weigh_colours(axes, rows[:, ::-1] * [0.5, 2]), near.T, atol=1e-12)
    bell = np.clip(np.exp(0.5 - ((np.arange(100) - 50) / (100 * NEAR)) ** 2 / 2), PALEST, 1)
    np.testing.assert_allclose(boundary.weigh_colours(axes, np.array([[0.505, 1.01]]))[50], bell)


@pytest.mark.parametrize("j", [1, 2])
def test_panels_show_probabilities_and_rows_where_they_belong(j: int) -> None:
    """A colour around each place, paler by the nearness; or a curve, with each class on its side, a row a subset."""
    shown = {"training": make_rows(j, 30, 0), "validation": make_rows(j, 12, 1)}
    train = np.concatenate(shown["training"])
    scene = lay_scene(train, shown, 21, FEATURES[:j], CLASSES, "a note", shown["validation"])
    answers = dict(zip(("before", "after"), np.random.default_rng(2).random((2, 21**j)), strict=True))
    panels = draw_panels(figure := boundary_figure(answers, scene))
    expected = [f"{name}, {subset}" for subset in shown for name in CLASSES]
    entries = [*expected, "decision boundary (0.5)", *(["probability"] if j == 1 else [])]
    assert sorted(legend_texts(figure)) == sorted(entries)
    assert (figure.get_suptitle(), len(figure.axes)) == ("a note", 1 + j), "no bar where there is no colour"
    assert [ax.get_ylabel() for ax in panels] == ["probability of dogs" if j == 1 else "width (cm)", ""]
    for ax, (title, probability) in zip(panels, answers.items(), strict=True):
        np.testing.assert_array_equal([ax.get_xlim(), ax.get_ylim()][:j], scene.axes[:, [0, -1]])
        assert (ax.get_title(), ax.get_xlabel()) == (title, "length (cm)")
        drawn = artists(ax, PathCollection)
        assert [dots.get_label() for dots in drawn] == expected
        for place, (dots, rows) in enumerate(zip(drawn, [*shown["training"], *shown["validation"]], strict=True)):
            assert_dots(dots, rows, place % 2)
            colours = dots.get_edgecolors() if place > 1 else dots.get_facecolors()
            assert same_color(colours[0], CLASS_COLOURS[place % 2])
            assert dots.get_facecolors()[:, 3].any() == (place < 2), "those of validation are hollow"
        if j == 1:
            low, high, lowest, highest = (dots.get_offsets()[0, 1] for dots in drawn)
            heights = [ax.get_ylim()[0], lowest, low, 0, 1, high, highest, ax.get_ylim()[1]]
            assert heights == sorted(set(heights))
            half, _, _, curve, crossings = ax.lines  # Two are the legend's.
            np.testing.assert_allclose(np.interp(crossings.get_xdata(), *curve.get_data()), 0.5)
            assert len(crossings.get_xdata()) == np.count_nonzero(np.diff(probability >= 0.5))
            np.testing.assert_array_equal(curve.get_data(), (scene.axes[0], probability))
            assert list(np.asarray(half.get_ydata())) == [0.5, 0.5]
            continue
        (image,), near = ax.get_images(), boundary.weigh_colours(scene.axes, train)[..., None]
        full = PROBABILITY_MAP(probability.reshape(21, 21))[..., :3]
        np.testing.assert_allclose(np.asarray(image.get_array())[..., :3], near * full + (1 - near), atol=1e-6)
        edges = np.linspace(*np.reshape(image.get_extent(), (2, 2)).T, 22)
        np.testing.assert_allclose((edges[1:] + edges[:-1]) / 2, scene.axes.T)
        (colours,) = artists(bar := figure.axes[-1], QuadMesh)
        assert (image.origin, bar.get_ylim(), colours.get_cmap()) == ("lower", (0, 1), PROBABILITY_MAP)
        assert bar.get_ylabel() == "probability of dogs\n(pale where no training dot is near)"


def test_boundary_lies_where_the_probability_is_one_half() -> None:
    """p = 0.5 + (x + y - 1) / 8 crosses 0.5 on x + y = 1, from (0, 1) to (1, 0); 0.2 + 0.8 x between grid points."""
    square = Scene(np.linspace([0, 0], [1, 2], 21).T, np.ones((21, 21)), {}, FEATURES, CLASSES, "")
    x, y = square.places().T
    answers = {"slanted": 0.5 + (x + y - 1) / 8, "upright": 0.2 + 0.8 * x}
    answers |= {str(level): np.full_like(x, level) for level in (0.4999, 0.5)}  # all on one side, which has no line
    contours = [artists(ax, QuadContourSet) for ax in draw_panels(boundary_figure(answers, square))]
    for shown, line in (["slanted", "0.5"], ["decision boundary (0.5)"]), (["0.5"], []):
        figure = boundary_figure({name: answers[name] for name in shown}, square)
        assert legend_texts(figure) == line, "a legend names only what is drawn"
    assert [[list(contour.levels) for contour in each] for each in contours] == [[[0.5]]] * 2 + [[]] * 2
    slanted, upright = (np.concatenate([p.vertices for p in each.get_paths()]) for (each,) in contours[:2])
    np.testing.assert_allclose(slanted.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(slanted[np.argsort(slanted[:, 0])][[0, -1]], [[0, 1], [1, 0]], atol=1e-5)
    np.testing.assert_allclose(upright[:, 0], 3 / 8, atol=1e-5)
    np.testing.assert_allclose([upright[:, 1].min(), upright[:, 1].max()], [0, 2], atol=1e-5)


@pytest.mark.parametrize("j", [1, 2])
def test_rows_outside_the_axes_are_at_their_edge(j: int) -> None:
    """Which stay those of training and validation rows."""
    train, test = np.eye(2)[:, :j], [np.array([[2, 0.5], [0.5, 0.5]])[:, :j], np.array([[-2, 3.0]])[:, :j]]
    scene = lay_scene(train, {"test": test}, 3, FEATURES[:j], CLASSES, "3 rows")
    (ax,) = draw_panels(figure := boundary_figure({"now": np.zeros(3**j)}, scene))
    assert figure.get_suptitle() == "3 rows\n2 dots lie outside, and are at the edge"
    expected = [[1.05, 0.5], [0.5, 0.5]], [[-0.05, 1.05]]
    for dots, places in zip(artists(ax, PathCollection), expected, strict=True):
        np.testing.assert_allclose(np.asarray(dots.get_offsets())[:, :j], np.array(places)[:, :j])


def test_crossings_are_named_to_a_thousandth_of_the_width() -> None:
    """Of 0.5 + sin(x) / 4 they are the multiples of pi."""
    for low, high, scale, words in (
        (1, 4, 1, "3.14"),
        (-1, 7, 1, "0, 3.14 and 6.28"),
        (0.5, 30, 1e-9, "3.1e-09, 6.3e-09, 9.4e-09, 1.26e-08 and 5 more"),
        (1, 4, 1e6, "3140000"),
    ):
        x = np.linspace(low, high, 200)
        assert boundary.name_crossings(x * scale, 0.5 + np.sin(x) / 4) == f"boundary at x = {words}"
    assert boundary.name_crossings(np.arange(3.0), np.array([0.5, 0.6, 0.5])) == "no boundary in view"


def test_lines_of_hidden_units_are_where_their_sums_are_0() -> None:
    rng = np.random.default_rng(0)
    offsets, slopes, weights = rng.normal(size=5), rng.normal(size=(5, 2)) * [1, 1e-3], np.linspace(0, 1, 5)
    slopes[2] = 0
    _, (ax,) = new_figure()
    boundary.draw_units(ax, offsets, slopes, weights)
    lines = cast("list[Any]", list(ax.lines))
    assert [line.get_alpha() for line in lines] == [0, 0.25, 0.75, 1], "a unit that looks at nothing has no line"
    for line, offset, slope in zip(lines, offsets[[0, 1, 3, 4]], slopes[[0, 1, 3, 4]], strict=True):
        for point in line._xy1, line._xy2:
            assert abs(offset + slope @ point) < 1e-9
