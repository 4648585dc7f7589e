"""Every datapoint in view, or counted in a histogram."""

from typing import cast

import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.colors import same_color, to_rgb
from matplotlib.patches import StepPatch

from project.figures.scatter import count_rows, scatter_figure
from project.figures.style import CLASS_COLOURS
from tests.figures.drawing import CLASSES, FEATURES, artists, assert_dots, draw_panels, legend_texts, make_rows


def test_a_title_counts_what_is_shown() -> None:
    assert count_rows(60, 60, 60) == "All 60 rows"
    assert count_rows(120, 120, 2060) == "120 of 2,060 rows: classes made equal"
    assert count_rows(20, 2000, 2000) == "20 of 2,000 rows: some at random"
    assert count_rows(20, 1000, 2000) == "20 of 2,000 rows: classes made equal, some at random"


def test_every_row_is_a_point_in_view() -> None:
    """In each panel; rows that are all equal are drawn as well, and a class without rows is in no legend."""
    panels = {"one": (make_rows(2, 40, 0), FEATURES), "two": (make_rows(2, 10, 1), CLASSES)}
    axes = draw_panels(figure := scatter_figure(panels, CLASSES, "a title"))
    assert ([ax.get_title() for ax in axes], figure.get_suptitle()) == (["one", "two"], "a title")
    for ax, (classes, names), rows in zip(axes, panels.values(), (40, 10), strict=True):
        for label, (dots, features) in enumerate(zip(artists(ax, PathCollection), classes, strict=True)):
            assert_dots(dots, features, label)
            assert same_color(dots.get_facecolors()[0, :3], to_rgb(CLASS_COLOURS[label]))
        for (low, high), column in zip((ax.get_xlim(), ax.get_ylim()), np.concatenate(classes).T, strict=True):
            assert low < column.min() < column.max() < high
        assert legend_texts(ax) == [f"cats ({rows})", f"dogs ({rows // 2})"]
        assert [ax.get_xlabel(), ax.get_ylabel()] == names
    equal, none = np.ones((5, 2), np.float32), np.empty((0, 2), np.float32)
    (ax,) = draw_panels(scatter_figure({"": ([equal, none], FEATURES)}, CLASSES, ""))
    assert legend_texts(ax) == ["cats (5)"]


def test_one_feature_gives_a_histogram() -> None:
    """Both classes over the same 30 bins; by hand, 0 to 30 fall one into each bin, and 30 into the last with 29."""
    values = np.arange(31, dtype=np.float32)[:, None]
    (ax,) = draw_panels(scatter_figure({"": ([values, values[:1]], FEATURES[:1])}, CLASSES, ""))
    steps = cast("list[StepPatch]", list(ax.patches))
    np.testing.assert_allclose(steps[0].get_data().edges, np.arange(31))
    assert [step.get_data().values.tolist() for step in steps] == [[1] * 29 + [2], [1] + [0] * 29]
    for step, colour in zip(steps, CLASS_COLOURS, strict=True):
        assert same_color(step.get_facecolor()[:3], to_rgb(colour))
    assert (legend_texts(ax), ax.get_ylabel(), len(ax.collections)) == (["cats (31)", "dogs (1)"], "rows", 0)
    assert all(float(tick).is_integer() for tick in ax.get_yticks()), "there are no half rows"
    draw_panels(scatter_figure({"": ([np.ones((5, 1), np.float32)] * 2, FEATURES[:1])}, CLASSES, ""))
