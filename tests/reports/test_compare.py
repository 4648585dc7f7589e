"""Comparisons of runs: what is printed, comparison.json, and the curves."""

import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from project import Run
from project.__main__ import main
from project.errors import InputError
from project.evaluation.differences import bonett_price, compare_answers, mcnemar
from project.evaluation.estimate import format_interval, format_p
from project.model import BCELoss
from project.reports.compare import curves_of, paired_test
from project.runs import table

pytestmark = pytest.mark.process
Captured = pytest.CaptureFixture[str]


def compared(capsys: Captured, *runs: str) -> tuple[str, dict[str, Any]]:
    """Compare runs, and return what was printed and comparison.json."""
    capsys.readouterr()
    assert main(["compare", *runs, "--output", "result"]) == 0
    return capsys.readouterr().out, json.loads(Path("result/comparison.json").read_text())


@pytest.mark.usefixtures("workplace")
def test_two_tested_runs_of_a_split_are_compared_by_options_final_numbers_and_row_by_row(capsys: Captured) -> None:
    assert [main(["test", name]) for name in ("bce", "mse")] == [0, 0]
    printed, found = compared(capsys, "bce", "lightning_logs/mse")
    assert [run["name"] for run in found["runs"]] == ["bce", "lightning_logs/mse"], "as they were typed"
    assert [run["options"] for run in found["runs"]] == [{"model.loss": "bce"}, {"model.loss": "mse"}]
    assert (found["same_split"], found["same_initial_weights"]) == (True, True)
    assert "split: the same; initial weights: the same\n" in printed
    page, right = Path("result/report.html").read_text(), []
    for run, line in zip(found["runs"], printed.splitlines()[1:3], strict=True):
        finals = {name: column[-1] for name, column in Run(run["folder"]).history().items() if name != "step"}
        assert run["final"] == finals
        cells = [run["name"], "1000", run["options"]["model.loss"], *(f"{final:.4f}" for final in finals.values())]
        assert line.split() == cells
        assert "".join(f"<td>{cell}</td>" for cell in cells[1:]) in page, "the report has the same table"
        rows = np.loadtxt(Path(run["folder"], "test_predictions.csv"), delimiter=",", skiprows=1)
        right.append((rows[:, 2] >= 0.5) == rows[:, 1])
    only = int((right[0] > right[1]).sum()), int((right[0] < right[1]).sum())
    (value, low, high, _), p = bonett_price(*only, 304), mcnemar(*only)
    assert list(found["paired_test"].values()) == [
        *(304, [*only], "exact McNemar test", p, value, [low, high], "these two networks only")
    ]
    assert value == pytest.approx(Run("bce").numbers()["accuracy"] - Run("mse").numbers()["accuracy"])
    assert (
        f"\n304 test rows: {only[0]} that only bce gets right, {only[1]} that only lightning_logs/mse does; "
        f"exact McNemar test: {format_p(p)}\n"
        f"test accuracy: bce - lightning_logs/mse = {format_interval(value, low, high)}\n"
        "this speaks of these two networks only, not of the options that they differ in"
    ) in printed
    assert Path("result/comparison.png").read_bytes().startswith(b"\x89PNG")


def test_other_seeds_are_other_splits_and_weights_and_the_way_to_a_paired_test_is_named(
    blobs: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(blobs.parent)
    for name, more in {"a": [], "split": ["--data.seed", "1"], "weights": ["--seed_everything", "1"]}.items():
        assert main(["fit", "--name", name, "--data.root", "data", "--trainer.max_steps", "20", *more]) == 0
    for runs, same_split, same_weights, is_named in (
        (["a", "split"], False, True, False),
        (["a", "weights", "a"], True, False, True),  # A run that is named again counts once.
        (["a", "split", "weights"], False, False, False),
    ):
        printed, found = compared(capsys, *runs)
        assert [run["name"] for run in found["runs"]] == list(dict.fromkeys(runs))
        assert (found["same_split"], found["same_initial_weights"]) == (same_split, same_weights)
        assert ("python -m project test on both gives the paired test" in printed) == is_named
        assert found["paired_test"] is None


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


@pytest.mark.usefixtures("workplace")
def test_a_chart_begins_with_the_initial_weights() -> None:
    """Validation of them is computed where the data are at hand, and left out where they are not."""
    curves = curves_of(run := Run("minibatch"), contents := run.checkpoint())
    data, model = run.data(), run.model(initial=True)
    with torch.no_grad():
        expected = BCELoss()(data.val.labels, model(data.val.features)).item()
    steps, values = curves["validation BCE"]
    assert (steps[0], values[0]) == (0, pytest.approx(expected, rel=1e-6))
    assert values[1:].tolist() == run.history()["val_bce"][19::20].tolist()
    losses, (steps, means) = run.history()["train_loss"], curves["training loss (BCE), mean of the last 20"]
    assert (steps[0], means[0], means[99]) == (0, losses[0], pytest.approx(losses[80:100].mean()))
    run.config.write_text(run.config.read_text().replace("root: null", "root: nowhere"))
    assert curves_of(Run("minibatch"), contents)["validation BCE"][0][0] == 20
