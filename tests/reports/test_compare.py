"""Comparisons of runs: what is printed, comparison.json, and the curves."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch

from project import Run
from project.__main__ import main
from project.evaluation.differences import bonett_price, compare_answers
from project.evaluation.estimate import format_interval, format_p
from project.evaluation.metrics import is_right
from project.model import BCELoss
from project.reports.compare import curves_of, differing, number_equal
from project.runs import run as run_module

pytestmark = pytest.mark.process
Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folder(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with copies of the shipped configs' runs, of which bce and mse are tested."""
    folder = tmp_path_factory.mktemp("compare")
    shutil.copytree(shipped / "lightning_logs", folder / "lightning_logs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("bce", "mse"):
            assert main(["test", name]) == 0
    return folder


@pytest.fixture(autouse=True)
def _here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def compared(capsys: Captured, *runs: str) -> tuple[str, dict[str, Any]]:
    """Compare runs, and return what was printed and comparison.json."""
    capsys.readouterr()
    assert main(["compare", *runs, "--output", "result"]) == 0
    return capsys.readouterr().out, json.loads(Path("result/comparison.json").read_text())


def test_two_tested_runs_of_a_split_are_compared_by_options_final_numbers_and_row_by_row(capsys: Captured) -> None:
    printed, found = compared(capsys, "bce", "lightning_logs/mse")
    assert [run["name"] for run in found["runs"]] == ["bce", "lightning_logs/mse"], "as they were typed"
    assert [run["options"] for run in found["runs"]] == [{"model.loss": "bce"}, {"model.loss": "mse"}]
    assert (found["same_split"], found["same_initial_weights"]) == (True, True)
    assert "split: the same; initial weights: the same\n" in printed
    page, right, accuracies = Path("result/report.html").read_text(), [], []
    for run, line in zip(found["runs"], printed.splitlines()[1:3], strict=True):
        finals = {name: column[-1] for name, column in Run(run["folder"]).history().items() if name != "step"}
        assert run["final"] == finals
        cells = [run["name"], "1000", run["options"]["model.loss"], *(f"{final:.4f}" for final in finals.values())]
        assert line.split() == cells
        assert "".join(f"<td>{cell}</td>" for cell in cells[1:]) in page, "the report has the same table"
        assert finals["val_loss"] == finals[f"val_{run['options']['model.loss']}"]
        table = np.loadtxt(Path(run["folder"], "test_predictions.csv"), delimiter=",", skiprows=1)
        right.append((table[:, 2] >= 0.5) == table[:, 1])
        accuracies.append(json.loads(Path(run["folder"], "test.json").read_text())["accuracy"])
    only = int((right[0] > right[1]).sum()), int((right[0] < right[1]).sum())
    value, low, high, _ = bonett_price(*only, 304)
    p = scipy.stats.binomtest(only[0], sum(only)).pvalue
    assert found["paired_test"] == {
        "rows": 304,
        "right_in_one_only": [*only],
        "test": "exact McNemar test",
        "p": pytest.approx(p),
        "accuracy_difference": value,
        "accuracy_difference_interval": [low, high],
        "speaks_of": "these two networks only",
    }
    assert value == pytest.approx(accuracies[0] - accuracies[1])
    assert (
        f"\n304 test rows: {only[0]} that only bce gets right, {only[1]} that only lightning_logs/mse does; "
        f"exact McNemar test: {format_p(p)}\n"
        f"test accuracy: bce - lightning_logs/mse = {format_interval(value, low, high)}\n"
        "this speaks of these two networks only, not of the options that they differ in"
    ) in printed
    assert Path("result/comparison.png").read_bytes().startswith(b"\x89PNG")


def test_of_three_runs_no_pair_is_tested_and_each_checkpoint_is_read_once(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, load = list[str](), run_module.load
    monkeypatch.setattr(run_module, "load", lambda path, kind: read.append(path.parent.parent.name) or load(path, kind))
    printed, found = compared(capsys, "bce", "mse", "minibatch")
    assert ("McNemar" in printed, found["paired_test"]) == (False, None)
    assert read == ["bce", "mse", "minibatch"]


def test_other_seeds_are_other_splits_and_weights_and_the_way_to_a_paired_test_is_named(
    blobs: Path, capsys: Captured
) -> None:
    for name, more in {"a": [], "split": ["--data.seed", "1"], "weights": ["--seed_everything", "1"]}.items():
        options = ["--data.root", str(blobs), "--trainer.max_steps", "20", *more]
        assert main(["fit", "--name", name, *options]) == 0
    for other, same_split, same_weights in (("split", False, True), ("weights", True, False)):
        printed, found = compared(capsys, "a", other)
        assert (found["same_split"], found["same_initial_weights"]) == (same_split, same_weights)
        assert ("python -m project test on both gives the paired test" in printed) == same_split
        assert found["paired_test"] is None


def test_two_tested_runs_of_whole_groups_are_compared_group_by_group(capsys: Captured) -> None:
    for name, loss in {"one": "bce", "two": "mse"}.items():
        options = ["--data.split", "groups", "--model.loss", loss, "--trainer.max_steps", "40"]
        assert main(["fit", "--name", name, *options]) == 0
        assert main(["test", name]) == 0
    printed, found = compared(capsys, "one", "two")
    one, two = (Run(name).tested() for name in ("one", "two"))
    right = [is_right(each.labels, each.probabilities) for each in (one, two)]
    expected, pair = compare_answers(*right, one.groups), found["paired_test"]
    assert (pair["test"], pair["p"]) == ("t test over 15 groups", expected.p)
    assert (pair["accuracy_difference"], *pair["accuracy_difference_interval"]) == expected.difference[:3]
    assert f"t test over 15 groups: {format_p(expected.p)}" in printed


def test_tests_of_another_iteration_or_of_other_rows_are_refused(
    workplace: Path, folder: Path, capsys: Captured
) -> None:
    for name in ("bce", "mse"):
        shutil.copytree(folder / "lightning_logs" / name, workplace / "lightning_logs" / name, dirs_exist_ok=True)
    rows, numbers = (workplace / "lightning_logs" / "mse" / name for name in ("test_predictions.csv", "test.json"))
    whole = rows.read_text()
    for text, step, words in (
        (whole[: whole.rindex("\n", 0, -1) + 1], 1000, "its test is of other rows than that of lightning_logs"),
        (whole, 500, "its test is of iteration 500; test the checkpoint of 1000"),
    ):
        rows.write_text(text)
        numbers.write_text(numbers.read_text().replace('"step": 1000', f'"step": {step}'))
        assert main(["compare", "bce", "mse", "--output", "refused"]) == 2
        assert f"mse: {words}" in capsys.readouterr().err
    assert not Path("refused").exists()


def test_names_and_options_tell_runs_apart() -> None:
    a, b = {"model.lr": 1.0, "data.batch_size": None}, {"model.lr": 1.0, "data.batch_size": 32, "more": 1}
    assert number_equal(["x", "y", "x", "x"]) == ["x", "y", "x (2)", "x (3)"]
    assert differing([a, a]) == [{}, {}]
    assert differing([a, b]) == [{"data.batch_size": None, "more": None}, {"data.batch_size": 32, "more": 1}]


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
