"""Comparisons of runs: what is printed, comparison.json, and the curves."""

import json
import re
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from project import Run
from project.__main__ import main
from project.errors import InputError
from project.evaluation.differences import bonett_price, compare_answers, compare_probabilities, mcnemar
from project.evaluation.estimate import format_interval, format_p, to_json
from project.reports.compare import curves_of, paired_test, tabulate
from project.runs import table

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("runs", "quick")]
Captured = pytest.CaptureFixture[str]
WAY = "python -m project test on both gives the paired test"


def compared(capsys: Captured, *runs: str) -> tuple[str, dict[str, Any]]:
    """Compare runs, and return what was printed and comparison.json."""
    capsys.readouterr()
    assert main(["compare", *runs, "--output", "result"]) == 0
    return capsys.readouterr().out, json.loads(Path("result/comparison.json").read_text())


def test_runs_are_compared_by_options_and_final_numbers_and_two_tested_ones_row_by_row(capsys: Captured) -> None:
    names = "<b>one", "lightning_logs/two"
    printed, found = compared(capsys, *names, names[0])  # A run that is named again counts once.
    assert (WAY in printed, found["paired_test"]) == (True, None)
    assert main(["test", "two"]) == 0
    printed, found = compared(capsys, *names)
    assert [run["name"] for run in found["runs"]] == [*names], "as they were typed"
    options = {"seed_everything": 0, "trainer.max_steps": 101, "data.batch_size": 20, "lr": 2.0, "model.loss": "mse"}
    defaults = {"seed_everything": 1, "trainer.max_steps": 60, "data.batch_size": None, "lr": 0.8, "model.loss": "bce"}
    assert [run["options"] for run in found["runs"]] == [options, defaults]
    assert (found["same_split"], found["same_initial_weights"]) == (True, False)
    assert "split: the same; initial weights: different\n" in printed
    page, tests = Path("result/report.html").read_text(), []
    for run, line, step in zip(found["runs"], printed.splitlines()[1:3], ("101", "60"), strict=True):
        finals = {name: col[~np.isnan(col)][-1] for name, col in Run(run["folder"]).history().items() if name != "step"}
        assert run["final"] == finals
        cells = [step, *map(str, run["options"].values()), *(f"{final:.4f}" for final in finals.values())]
        assert line.split() == [run["name"], *cells]
        assert "".join(f"<td>{cell}</td>" for cell in cells) in page, "the report has the same table"
        rows = np.loadtxt(Path(run["folder"], "test_predictions.csv"), delimiter=",", skiprows=1)
        tests.append(rows[:, 1:3].T)
    right = [(answers >= 0.5) == labels for labels, answers in tests]
    only = int((right[0] > right[1]).sum()), int((right[0] < right[1]).sum())
    (value, low, high, _), p = bonett_price(*only, 20), mcnemar(*only)
    both = compare_probabilities(*tests[0], tests[1][1])
    differences = list(to_json(both).values())[2:]
    facts = [20, [*only], "exact McNemar test", p, value, [low, high], *differences, "these two networks only"]
    assert list(found["paired_test"].values()) == facts
    assert value == pytest.approx(Run("<b>one").numbers()["accuracy"] - Run("two").numbers()["accuracy"])
    words = {"accuracy": "accuracy", "auc": "area under the ROC curve", "bce": "log loss", "mse": "Brier score"}
    lines = [f"test {said}: {' - '.join(names)} = {format_interval(*both[of][:3])}\n" for of, said in words.items()]
    assert (
        f"\n20 test rows: {only[0]} that only <b>one gets right, {only[1]} that only lightning_logs/two does; "
        f"exact McNemar test: {format_p(p)}\n"
        f"{''.join(lines)}this speaks of these two networks only, not of the options that they differ in"
    ) in printed
    assert Path("result/comparison.png").read_bytes().startswith(b"\x89PNG")


def test_columns_are_told_apart_and_values_are_short() -> None:
    long = "LearningRateMonitor(logging_interval='step'), EarlyStopping('val/loss')"
    options = {"data.seed": 1, "optimizer.eps": 0.1, "lr_scheduler.eps": 0.2, "trainer.callbacks": long}
    header, row = tabulate([{"name": "run", "step": 20, "options": options, "final": {"val_loss": 0.5}}])
    assert header == ["run", "step", "seed", "optimizer.eps", "lr_scheduler.eps", "callbacks", "val_loss"]
    assert row == ["run", "20", "1", "0.1", "0.2", "LearningR ... val/loss')", "0.5000"]


def test_other_seeds_are_other_splits_and_weights_and_the_rate_is_the_one_that_was_used(capsys: Captured) -> None:
    """Whatever model.lr says; of an optimizer there is one name, instead of the places of its parts in a config."""
    for names, same_weights in (["two", "other"], True), (["two", "other", "<b>one"], False):
        printed, found = compared(capsys, *names)
        assert (found["same_split"], found["same_initial_weights"]) == (False, same_weights)
        assert (WAY in printed, found["paired_test"]) == (False, None)
        two, other = (run["options"] for run in found["runs"][:2])
        assert [(each["optimizer"], each["lr"]) for each in (two, other)] == [("SGD", 0.8), ("Adam", 0.01)]
        assert not [name for name in other if re.match("model.lr|optimizer.(lr|class_path|init_args)", name)]


def test_runs_of_whole_groups_are_compared_group_by_group_and_tests_of_other_rows_are_refused() -> None:
    rng, labels, groups = np.random.default_rng(0), np.repeat([0.0, 1.0], 30), np.arange(60) % 15
    a, b = (table.Tested(20, labels, rng.random(60), groups) for _ in range(2))
    runs = {name: Mock(**{"tested.return_value": tested}) for name, tested in {"a": a, "b": b}.items()}
    facts, said = paired_test(runs, [20, 20])
    expected, _, p = compare_answers(*((each.probabilities >= 0.5) == (labels == 1) for each in (a, b)), groups)
    assert (facts["accuracy_difference"], *facts["accuracy_difference_interval"], facts["p"]) == (*expected[:3], p)
    assert said[0].endswith(f"t test over 15 groups: {format_p(p)}")
    runs["b"].tested.return_value = b._replace(labels=labels[:-1])
    with pytest.raises(InputError, match="b: its test is of other rows than that of a; test both again"):
        paired_test(runs, [20, 20])


def test_a_chart_has_each_metric_once_and_the_loss_of_the_weights_before_each_update() -> None:
    curves = curves_of(run := Run("<b>one"))
    assert list(curves)[1:] == ["validation accuracy", "validation BCE", "validation MSE"]
    steps, values = curves["validation BCE"]
    assert steps.tolist() == [20, 40, 60, 80, 100, 101]
    assert values[:-1].tolist() == run.history()["val_bce"][19::20].tolist()
    losses, (steps, means) = run.history()["train_loss"], curves["training loss (MSE), mean of the last fiftieth"]
    assert (steps[0], means[0], means[99]) == (0, losses[0], pytest.approx(losses[98:100].mean()))
