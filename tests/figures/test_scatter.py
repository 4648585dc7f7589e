"""Every datapoint in view, or counted in a histogram."""

from typing import cast

import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.colors import same_color, to_rgb
from matplotlib.patches import StepPatch

from project.figures.scatter import scatter_figure
from project.figures.style import CLASS_COLOURS
from tests.figures.drawing import CLASSES, FEATURES, artists, assert_dots, draw_panels, legend_texts, make_rows


def test_every_row_is_a_point_in_view() -> None:
    """The title says if there are more rows or features; rows that are all equal are drawn as well."""
    classes, some = (
        make_rows(2, 40, 0),
        "60 of 9,876 datapoints, at random, in the plane of most variance of 4 features",
    )
    for rows, j, title in (60, 2, "All datapoints"), (9876, 4, some):
        (ax,) = draw_panels(scatter_figure(classes, rows, FEATURES, CLASSES, j))
        for label, (dots, features) in enumerate(zip(artists(ax, PathCollection), classes, strict=True)):
            assert_dots(dots, features, label)
            assert same_color(dots.get_facecolors()[0, :3], to_rgb(CLASS_COLOURS[label]))
        for (low, high), column in zip((ax.get_xlim(), ax.get_ylim()), np.concatenate(classes).T, strict=True):
            assert low < column.min() < column.max() < high
        assert legend_texts(ax) == ["cats (40)", "dogs (20)"]
        assert [ax.get_xlabel(), ax.get_ylabel(), ax.get_title()] == [*FEATURES, title]
    draw_panels(scatter_figure([np.ones((5, 2), np.float32)] * 2, 10, FEATURES, CLASSES, 2))


def test_one_feature_gives_a_histogram() -> None:
    """Both classes over the same 30 bins; by hand, 0 to 30 fall one into each bin, and 30 into the last with 29."""
    values = np.arange(31, dtype=np.float32)[:, None]
    (ax,) = draw_panels(scatter_figure([values, values[:1]], 32, FEATURES[:1], CLASSES, 1))
    steps = cast("list[StepPatch]", list(ax.patches))
    np.testing.assert_allclose(steps[0].get_data().edges, np.arange(31))
    assert [step.get_data().values.tolist() for step in steps] == [[1] * 29 + [2], [1] + [0] * 29]
    for step, colour in zip(steps, CLASS_COLOURS, strict=True):
        assert same_color(step.get_facecolor()[:3], to_rgb(colour))
    assert (legend_texts(ax), ax.get_ylabel(), len(ax.collections)) == (["cats (31)", "dogs (1)"], "rows", 0)
    draw_panels(scatter_figure([np.ones((5, 1), np.float32)] * 2, 10, FEATURES[:1], CLASSES, 1))
