"""The arrays in a picture of the boundary: the grid, its colours, the line at one half, and the rows over it."""

from functools import cache
from typing import Any, cast

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.colors import same_color, to_rgb
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure

from project.figures.boundary import NEAR, PALEST, Scene, boundary_figure, draw_units, lay_scene, weigh_colours
from project.figures.style import CLASS_COLOURS, CLASS_MARKERS, PROBABILITY_MAP, Numbers, new_figure, to_picture
from tests.figures.drawing import CLASSES, FEATURES, Array, artists, assert_marker, draw_panels, legend_texts, make_rows


def lay_grid(rows: Any, n: int) -> Numbers:
    return lay_scene(np.asarray(rows), {}, n, FEATURES, CLASSES, "").axes


@cache
def draw(j: int) -> tuple[Figure, dict[str, Axes], Scene, dict[str, Array]]:
    """Return a figure, its panels, and the scene and probabilities in it; nothing changes it."""
    subsets = {"training": make_rows(j, 30, 0), "validation": make_rows(j, 12, 1)}
    scene = lay_scene(np.concatenate(subsets["training"]), subsets, 21, FEATURES[:j], CLASSES, "a note")
    rng = np.random.default_rng(2)
    answers = {title: rng.random(21**j, np.float32) for title in ("before training", "after 1000 iterations")}
    figure = boundary_figure(answers, scene)
    return figure, {ax.get_title(): ax for ax in draw_panels(figure)}, scene, answers


def test_grids_by_hand() -> None:
    """0 to 10 and -100 to 300 get margins of 0.5 and 20; a line has places of one number."""
    scene = lay_scene(np.array([[0, -100], [10, 300]], np.float32), {}, 3, FEATURES, CLASSES, "")
    np.testing.assert_allclose(scene.axes, [[-0.5, 5, 10.5], [-120, 100, 320]])
    np.testing.assert_allclose(scene.places(), [[x, y] for y in (-120, 100, 320) for x in (-0.5, 5, 10.5)])
    line = lay_scene(np.array([[0.0]]), {"validation": [np.array([[10.0]])]}, 3, FEATURES, CLASSES, "")
    np.testing.assert_allclose(line.places(), [[-0.5], [5], [10.5]])
    # A constant gets a margin too, so that there is something to look at, also where float32 has few digits left.
    np.testing.assert_allclose(lay_grid([[5, 0], [5, 1]], 3), [[4.95, 5, 5.05], [-0.05, 0.5, 1.05]])
    assert (np.diff(np.float32(lay_grid(np.full((1, 2), 1e9, np.float32), 20))) > 0).all()


def test_the_colour_is_full_at_training_rows_and_palest_far_from_them() -> None:
    """A bell around each row, full up to its deviation; mirrored rows make a mirrored picture."""
    axes = np.linspace([0, 0], [1, 2], 100).T
    rows = np.random.default_rng(0).uniform([0.011, 0.011], [0.4, 0.5], (20, 2))
    near = weigh_colours(axes, rows)
    cells = tuple((rows / [1, 2] * 100).astype(int).T[::-1])
    assert (near[cells] == 1).all()
    assert (near[80:, 80:] == PALEST).all()
    assert ((near >= PALEST) & (near <= 1)).all()
    np.testing.assert_allclose(weigh_colours(axes, [1, 2] - rows), near[::-1, ::-1], atol=1e-12)
    np.testing.assert_allclose(weigh_colours(axes, rows[:, ::-1] * [0.5, 2]), near.T, atol=1e-12)
    bell = np.clip(np.exp(0.5 - ((np.arange(100) - 50) / (100 * NEAR)) ** 2 / 2), PALEST, 1)
    np.testing.assert_allclose(weigh_colours(axes, np.array([[0.505, 1.01]]))[50], bell)


def test_the_picture_is_the_probabilities_where_they_belong() -> None:
    """Around each place the colour of its probability, paler by the nearness; the bar shows the same scale."""
    figure, panels, scene, answers = draw(2)
    (bar,) = set(figure.axes) - set(panels.values())
    (colours,) = artists(bar, QuadMesh)
    assert (list(panels), bar.get_ylim(), colours.get_cmap()) == (list(answers), (0, 1), PROBABILITY_MAP)
    assert bar.get_ylabel() == "probability of dogs\n(pale where no training row is near)"
    near = weigh_colours(scene.axes, np.concatenate(scene.shown["training"]))[..., None]
    assert near.min() == PALEST < near.max() == 1
    for ax, probability in zip(panels.values(), answers.values(), strict=True):
        (image,) = ax.get_images()
        full = PROBABILITY_MAP(probability.reshape(21, 21))[..., :3]
        np.testing.assert_allclose(np.asarray(image.get_array())[..., :3], near * full + (1 - near), atol=1e-6)
        left, right, bottom, top = image.get_extent()
        for (start, end), axis in zip(((left, right), (bottom, top)), scene.axes, strict=True):
            edges = np.linspace(start, end, 22)
            np.testing.assert_allclose((edges[1:] + edges[:-1]) / 2, axis)
        assert image.origin == "lower"


@pytest.mark.parametrize("j", [1, 2])
def test_panels_share_limits_names_and_one_legend(j: int) -> None:
    """The limits are the grid's; each panel names the first feature, the left one what goes up."""
    figure, named, scene, _ = draw(j)
    left, right = named.values()
    assert left.get_xlim() == right.get_xlim() == scene.ends[0]
    assert left.get_ylim() == right.get_ylim() == (scene.ends[1] if j > 1 else left.get_ylim())
    assert left.get_xlabel() == right.get_xlabel() == "length (cm)"
    assert (left.get_ylabel(), right.get_ylabel()) == ("probability of dogs" if j == 1 else "width (cm)", "")
    expected = [f"{name}, {subset}" for name in CLASSES for subset in ("training", "validation")]
    expected += ["decision boundary (0.5)", *(["probability"] if j == 1 else [])]
    assert sorted(legend_texts(figure)) == sorted(expected)
    assert not any(ax.get_legend() for ax in figure.axes)
    assert (figure.get_suptitle(), len(figure.axes)) == ("a note", 1 + j), "no bar where there is no colour"


def test_boundary_lies_where_the_probability_is_one_half() -> None:
    """p = 0.5 + (x + y - 1) / 8 crosses 0.5 on x + y = 1, from (0, 1) to (1, 0); 0.2 + 0.8 x between grid points."""
    square = Scene(np.linspace([0, 0], [1, 2], 21).T, np.ones((21, 21)), {}, FEATURES, CLASSES, "")
    x, y = square.places().T
    answers = {"slanted": 0.5 + (x + y - 1) / 8, "upright": 0.2 + 0.8 * x}
    # A panel that is all on one side has no line.
    answers |= {str(level): np.full_like(x, level) for level in (0.0, 0.4999, 0.5, 0.5001, 1.0)}
    contours = [artists(ax, QuadContourSet) for ax in draw_panels(boundary_figure(answers, square))]
    assert [[list(contour.levels) for contour in each] for each in contours] == [[[0.5]]] * 2 + [[]] * 5
    slanted, upright = (np.concatenate([p.vertices for p in each.get_paths()]) for (each,) in contours[:2])
    np.testing.assert_allclose(slanted.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(slanted[np.argsort(slanted[:, 0])][[0, -1]], [[0, 1], [1, 0]], atol=1e-5)
    np.testing.assert_allclose(upright[:, 0], 3 / 8, atol=1e-5)
    np.testing.assert_allclose([upright[:, 1].min(), upright[:, 1].max()], [0, 2], atol=1e-5)


@pytest.mark.parametrize("j", [1, 2])
def test_the_first_subset_is_filled_and_the_other_hollow(j: int) -> None:
    """Along one feature, they lie outside of 0 to 1, each class on its side of the curve, in a row of each subset."""
    _, panels, scene, answers = draw(j)
    expected = [(subset, label) for subset in scene.shown for label in (0, 1)]
    for title, ax in panels.items():
        for dots, (subset, label) in zip(artists(ax, PathCollection), expected, strict=True):
            assert dots.get_label() == f"{CLASSES[label]}, {subset}"
            offsets = np.asarray(dots.get_offsets())
            np.testing.assert_array_equal(offsets[:, :j], scene.shown[subset][label])
            assert_marker(dots, CLASS_MARKERS[label])
            if subset == "training":
                assert same_color(dots.get_facecolors()[0], (*to_rgb(CLASS_COLOURS[label]), 1))
            else:
                assert not dots.get_facecolors()[:, 3].any()
                assert same_color(dots.get_edgecolors()[0], CLASS_COLOURS[label])
        if j == 1:
            low, high, lowest, highest = (dots.get_offsets()[0, 1] for dots in artists(ax, PathCollection))
            assert ax.get_ylim()[0] < lowest < low < 0
            assert 1 < high < highest < ax.get_ylim()[1]
            _, half, curve = ax.lines  # The first one is the legend's.
            np.testing.assert_array_equal(curve.get_data(), (scene.axes[0], answers[title]))
            assert list(np.asarray(half.get_ydata())) == [0.5, 0.5]


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
    assert np.std(to_picture(figure)) > 0
