"""Every datapoint in view, or counted in a histogram."""

from typing import cast

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import same_color, to_rgb
from matplotlib.patches import StepPatch

from project.figures.scatter import scatter_figure
from project.figures.style import CLASS_COLOURS, CLASS_MARKERS
from tests.figures.drawing import CLASSES, FEATURES, Array, artists, assert_marker, draw_panels, legend_texts, make_rows


def draw_rows(classes: list[Array], rows: int | None = None, num_features: int = 2) -> Axes:
    names = FEATURES[: classes[0].shape[1]]
    (ax,) = draw_panels(scatter_figure(classes, rows or sum(map(len, classes)), names, CLASSES, num_features))
    return ax


@pytest.mark.parametrize("j", [2, 4])
def test_every_row_is_a_point_in_view(j: int) -> None:
    """One collection a class, in its colour and with its marker."""
    ax = draw_rows(classes := make_rows(2, 40, 0), num_features=j)
    dots = artists(ax, PathCollection)
    for each, features, colour, marker in zip(dots, classes, CLASS_COLOURS, CLASS_MARKERS, strict=True):
        np.testing.assert_array_equal(np.asarray(each.get_offsets()), features)
        assert same_color(each.get_facecolors()[0, :3], to_rgb(colour))
        assert_marker(each, marker)
    both = np.concatenate(classes)
    for column, (low, high) in enumerate((ax.get_xlim(), ax.get_ylim())):
        assert low < both[:, column].min() < both[:, column].max() < high
    assert legend_texts(ax) == ["cats (40)", "dogs (20)"]
    assert [ax.get_xlabel(), ax.get_ylabel()] == FEATURES
    more = ", in the plane of most variance of 4 features" if j > 2 else ""
    assert ax.get_title() == f"All datapoints{more}"
    assert draw_rows(classes, 9876).get_title().startswith("60 of 9,876 datapoints, at random")
    draw_rows([np.ones((5, 2), np.float32)] * 2)  # No range at all is no error.


def test_one_feature_gives_a_histogram() -> None:
    """Both classes over the same 30 bins; by hand, 0 to 30 fall one into each bin, and 30 into the last with 29."""
    values = np.arange(31, dtype=np.float32)[:, None]
    for classes in make_rows(1, 40, 0), [values, values[:1]]:
        ax = draw_rows(classes)
        steps = cast("list[StepPatch]", list(ax.patches))
        edges, both = steps[0].get_data().edges, np.concatenate(classes)
        np.testing.assert_allclose(edges, np.linspace(both.min(), both.max(), 31), rtol=1e-5, atol=1e-6)
        for step, features, colour in zip(steps, classes, CLASS_COLOURS, strict=True):
            assert step.get_data().values.tolist() == np.histogram(features[:, 0], edges)[0].tolist()
            assert same_color(step.get_facecolor()[:3], to_rgb(colour))
        assert legend_texts(ax) == [f"{name} ({len(rows)})" for name, rows in zip(CLASSES, classes, strict=True)]
        assert (ax.get_xlabel(), ax.get_ylabel(), len(ax.collections)) == ("length (cm)", "rows", 0)
    assert [step.get_data().values.tolist() for step in steps] == [[1] * 29 + [2], [1] + [0] * 29]
    draw_rows([np.ones((5, 1), np.float32)] * 2)
