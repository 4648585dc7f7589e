"""The figure of a test, by hand."""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from project.evaluation.estimate import Numbers
from project.evaluation.metrics import wilson
from project.figures.evaluation import evaluation_figure, importance_figure
from project.figures.style import CLASS_COLOURS
from tests.figures.drawing import CLASSES, draw_panels, legend_texts

PROBABILITIES = np.array([0.02, 0.12, 0.14, 0.32, 0.44, 0.88, 0.12, 0.5, 0.74, 0.92, 0.94, 1.0])
OF = [*CLASSES[:1] * 2, *CLASSES[1:] * 2]


def draw(probabilities: Numbers) -> tuple[Figure, list[str], list[str]]:
    """Return the figure of six rows a class, and the texts in its confusion matrix and in its reliability."""
    draw_panels(figure := evaluation_figure(np.repeat([0.0, 1.0], 6), probabilities, None, CLASSES, "12 test rows"))
    matrix, _, reliability, _ = ([text.get_text() for text in ax.texts] for ax in figure.axes)
    return figure, matrix, reliability


def test_the_figure_of_a_test_by_hand() -> None:
    """Of six rows a class: one of class 0 at 0.88, one of class 1 at 0.12, and one at 0.5, which speaks for class 1."""
    figure, cells, numbers = draw(PROBABILITIES)
    assert figure.get_suptitle() == "12 test rows"
    matrix, curve, reliability, histogram = figure.axes
    assert cells == [f"{n}\n{n / 0.06:.1f} % of\n{of}" for n, of in zip((5, 1, 1, 5), OF, strict=True)]
    np.testing.assert_allclose(np.asarray(matrix.images[0].get_array()) * 6, [[5, 1], [1, 5]])
    ticks = [*matrix.get_xticklabels(), *matrix.get_yticklabels()]
    assert [label.get_text() for label in ticks] == ["cats", "dogs", "cats", "dogs"]
    roc, _, half = curve.lines
    corners = {tuple(np.round(np.multiply(point, 6), 6)) for point in roc.get_xydata()}
    assert {(0, 0), (0, 3), (1, 3), (1, 5), (4, 5), (6, 6)} <= corners
    np.testing.assert_allclose(half.get_data(), [[1 / 6], [5 / 6]])
    area = np.mean([(p > q) + (p == q) / 2 for p in PROBABILITIES[6:] for q in PROBABILITIES[:6]])
    assert curve.get_title().startswith(f"ROC curve (area {area:.3f} [")
    assert (legend_texts(curve), legend_texts(histogram)[:2]) == (["guessing", "threshold 0.5"], CLASSES)
    assert (curve.get_xlabel(), curve.get_ylabel()) == ("cats taken for dogs", "dogs found")
    means, shares = [0.02, 0.38 / 3, 0.32, 0.44, 0.5, 0.74, 0.88, 2.86 / 3], np.array([0, 1 / 3, 0, 0, 1, 1, 0, 1])
    np.testing.assert_allclose(reliability.lines[1].get_data(), [means, shares])
    assert numbers == list("13111113")
    assert reliability.get_title().startswith("Reliability: no miscalibration shown\nECE 0.2")
    (bars,) = reliability.collections
    ends = [wilson(round(share * n), n)[1:3] for share, n in zip(shares, map(int, numbers), strict=True)]
    np.testing.assert_allclose([bar[:, 1] for bar in bars.get_segments()], ends, atol=1e-12)  # type: ignore[attr-defined]
    for step, colour, rows in zip(histogram.patches, CLASS_COLOURS, np.split(PROBABILITIES, 2), strict=True):
        assert isinstance(step, StepPatch)
        assert step.get_data().values.tolist() == np.histogram(rows, 20, (0, 1))[0].tolist()
        assert step.get_facecolor()[:3] == to_rgb(colour)


def test_a_row_without_an_answer_is_a_wrong_one() -> None:
    """In the matrix's shares, which then are those of the table; the title says so, and all else is of the others."""
    for lost, counts, has_curve in ([0, 11], (4, 1, 1, 4), True), ([*range(6)], (0, 0, 1, 5), False):
        figure, cells, numbers = draw(np.where(np.isin(np.arange(12), lost), np.nan, PROBABILITIES))
        assert cells == [f"{n}\n{n / 0.06:.1f} % of\n{of}" for n, of in zip(counts, OF, strict=True)]
        assert f"{len(lost)} of them without an answer" in figure.get_suptitle()
        curve = figure.axes[1]
        assert (len(curve.lines[0].get_xydata()) > 0, len(curve.lines)) == (has_curve, 2 + has_curve)
        assert curve.get_title() == "ROC curve (area unknown)"
        assert sum(map(int, numbers)) == 12 - len(lost)
    draw(np.full(12, np.nan))


def test_importance_by_hand() -> None:
    """The first feature on top; an interval that is unknown is not there; of long names both ends are told."""
    numbers = np.array([[0.3, 0.2, 0.5], [0.1, np.nan, np.nan]])
    left, right = draw_panels(importance_figure(["length", "w" * 30 + " (cm)"], {"a": numbers, "b": -numbers}, "rows"))
    assert [label.get_text() for label in left.get_yticklabels()] == ["length", "wwwwwwwww ... wwwww (cm)"]
    for ax, sign in (left, 1), (right, -1):
        _, *intervals, dots = ax.lines
        np.testing.assert_allclose(dots.get_xydata(), [[sign * 0.3, 0], [sign * 0.1, -1]])
        np.testing.assert_allclose(intervals[0].get_xydata(), [[sign * 0.2, 0], [sign * 0.5, 0]])
        assert np.isnan(intervals[1].get_xdata()).all()
