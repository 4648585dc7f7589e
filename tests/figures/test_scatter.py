"""The arrays in the scatter plot and in the histogram."""

from typing import cast

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import same_color, to_rgb
from matplotlib.patches import StepPatch

from project.figures.scatter import scatter
from project.figures.style import CLASS_COLOURS, CLASS_MARKERS
from tests.figures.shown import assert_marker, legend_texts, panels_of

Features = npt.NDArray[np.float32]
NAMES = ["cats", "dogs"]


def two_classes(j: int) -> list[Features]:
    """Return 40 and 25 rows of j features."""
    rng = np.random.default_rng(j)
    return [rng.normal(i, 1 + i, (rows, j)).astype(np.float32) for i, rows in enumerate((40, 25))]


def only_panel(classes: list[Features], rows: int | None = None) -> Axes:
    names = ["length", "width", "mass", "age"][: classes[0].shape[1]]
    figure = scatter(classes, sum(map(len, classes)) if rows is None else rows, names, NAMES)
    (ax,) = panels_of(figure).values()
    return ax


@pytest.mark.parametrize("j", [2, 4])
def test_every_row_is_a_point_in_view(j: int) -> None:
    """One collection a class, in its colour and with its marker; the first two features are where the points are."""
    classes = two_classes(j)
    ax = only_panel(classes)
    collections = cast("list[PathCollection]", list(ax.collections))
    for points, features, colour, marker in zip(collections, classes, CLASS_COLOURS, CLASS_MARKERS, strict=True):
        np.testing.assert_array_equal(np.asarray(points.get_offsets()), features[:, :2])
        assert same_color(points.get_facecolors()[0, :3], to_rgb(colour))
        assert_marker(points, marker)
    both = np.concatenate(classes)
    for column, (low, high) in enumerate((ax.get_xlim(), ax.get_ylim())):
        assert low < both[:, column].min() < both[:, column].max() < high
    assert legend_texts(ax) == ["cats (40)", "dogs (25)"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("length", "width")
    assert ax.get_title() == ("All datapoints" if j == 2 else "All datapoints, the first 2 of 4 features")


@pytest.mark.parametrize("j", [1, 2])
def test_the_title_says_that_some_rows_are_shown(j: int) -> None:
    assert only_panel(two_classes(j), rows=1_000_000).get_title() == "65 of 1,000,000 datapoints, at random"


def test_one_feature_gives_a_histogram() -> None:
    """Both classes over the same 30 bins, from the least value to the greatest; counts are numpy's."""
    classes = two_classes(1)
    ax = only_panel(classes)
    steps = cast("list[StepPatch]", list(ax.patches))
    assert not ax.collections
    both = np.concatenate(classes)[:, 0]
    edges = steps[0].get_data().edges
    np.testing.assert_allclose(edges, np.linspace(both.min(), both.max(), 31), rtol=1e-5, atol=1e-6)
    for step, features, colour in zip(steps, classes, CLASS_COLOURS, strict=True):
        counts = step.get_data().values
        assert counts.tolist() == np.histogram(features[:, 0], edges)[0].tolist()
        assert sum(counts) == len(features)
        assert same_color(step.get_facecolor()[:3], to_rgb(colour))
        assert same_color(step.get_edgecolor(), colour)
    assert legend_texts(ax) == [f"{name} ({len(features)})" for name, features in zip(NAMES, classes, strict=True)]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("length", "rows")


def test_histogram_counts_by_hand() -> None:
    """Values 0 to 30 fall one into each bin of width 1, and 30 into the last with 29."""
    values = np.arange(31, dtype=np.float32)[:, None]
    first, second = (step.get_data() for step in cast("list[StepPatch]", only_panel([values, values[:1]]).patches))
    assert first.edges.tolist() == list(range(31))
    assert first.values.tolist() == [1] * 29 + [2]
    assert second.values.tolist() == [1] + [0] * 29


@pytest.mark.parametrize("j", [1, 2, 4])
def test_a_constant_feature_can_be_drawn(j: int) -> None:
    """No range at all is no error."""
    only_panel([np.full((5, j), 3, np.float32)] * 2)
