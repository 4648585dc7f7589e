"""The lines in the comparison of runs."""

import numpy as np
import pytest
from matplotlib.axes import Axes

from project.figures.comparison import Curves, comparison
from tests.figures.shown import legend_texts, panels_of

VALIDATION = {"validation accuracy": "val_accuracy", "validation BCE": "val_bce", "validation MSE": "val_mse"}
TEST = {"test accuracy": "test_accuracy", "test BCE": "test_bce", "test MSE": "test_mse"}


def run(seed: int, columns: list[str], validations: int = 5) -> Curves:
    """Return a run with those columns, and with losses, which are not compared."""
    rng = np.random.default_rng(seed)
    steps = np.arange(20.0, 20 * validations + 1, 20)
    return {name: (steps, rng.random(validations)) for name in ["train_loss", "val_loss", *columns, "test_loss"]}


def assert_lines(ax: Axes, column: str, runs: dict[str, Curves]) -> None:
    """One line for each run that has the column, and no other."""
    having = {name: curves[column] for name, curves in runs.items() if column in curves}
    assert [line.get_label() for line in ax.lines] == list(having)
    for line, expected in zip(ax.lines, having.values(), strict=True):
        np.testing.assert_array_equal(line.get_data(), expected)


@pytest.mark.parametrize(
    "expected", [VALIDATION, VALIDATION | TEST, {"validation F1": "val_f1"}], ids=["usual", "tracked", "a new metric"]
)
def test_each_column_but_the_losses_has_a_panel_with_a_line_a_run(expected: dict[str, str]) -> None:
    """In a panel for each metric, by its title; runs may differ in length."""
    runs = {f"seed {i}": run(i, list(expected.values()), 3 + i) for i in range(3)}
    figure = comparison(runs)
    panels = panels_of(figure)
    assert list(panels) == list(expected)
    assert len(figure.axes) == len(panels)
    for title, column in expected.items():
        assert_lines(panels[title], column, runs)
        assert panels[title].get_xlabel() == "iteration"
    assert legend_texts(figure) == list(runs)


def test_a_panel_for_each_metric_that_any_run_has() -> None:
    """Only one of the two runs recorded the test subset: its line is alone in that panel, in its own colour."""
    both = VALIDATION | TEST
    runs = {"without": run(0, list(VALIDATION.values())), "with": run(1, list(both.values()))}
    panels = panels_of(comparison(runs))
    assert list(panels) == list(both)
    for title, column in both.items():
        assert_lines(panels[title], column, runs)
    (alone,) = panels["test accuracy"].lines
    assert alone.get_color() == panels["validation accuracy"].lines[1].get_color()


def test_each_run_looks_the_same_in_every_panel_and_unlike_the_others() -> None:
    """Twenty runs, more than there are colours."""
    panels = panels_of(comparison({f"run {i}": run(i, list(VALIDATION.values())) for i in range(20)}))
    looks = [[(line.get_color(), line.get_linestyle()) for line in ax.lines] for ax in panels.values()]
    assert len(looks) == len(VALIDATION)
    assert all(look == looks[0] for look in looks)
    assert len(set(looks[0])) == 20
