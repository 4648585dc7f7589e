"""Overlaying runs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from project import Run
from project.__main__ import main
from project.evaluation.differences import interval, mcnemar, p_value, paired, paired_by_group
from project.evaluation.metrics import right
from project.model import BCELoss
from project.reports.compare import curves_of, differences, number_equal
from project.runs import run as run_module

pytestmark = pytest.mark.process


def test_compare_names_runs_by_their_difference_and_reports_final_numbers(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "bce", "lightning_logs/mse", "--output", "result"]) == 0
    report = json.loads((workplace / "result" / "comparison.json").read_text())
    assert [run["name"] for run in report["runs"]] == ["bce", "lightning_logs/mse"], "as they were typed"
    assert [run["options"] for run in report["runs"]] == [{"model.loss": "bce"}, {"model.loss": "mse"}]
    assert (report["same_split"], report["same_initial_weights"]) == (True, True)
    assert "split: the same; initial weights: the same" in (table := capsys.readouterr().out)
    for run in report["runs"]:
        finals = {name: column[-1] for name, column in Run(run["folder"]).history().items() if name != "step"}
        assert run["final"] == finals
        assert len(finals) == 9
        assert all(f"{final:.4f}" in table for final in finals.values())
        assert finals["val_loss"] == finals[f"val_{run['options']['model.loss']}"]
    assert (workplace / "result" / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_other_seeds_are_reported_as_other_splits_and_weights(blobs: Path, tmp_path: Path) -> None:
    options = ["--data.root", str(blobs), "--trainer.max_steps", "20", "--trainer.default_root_dir", str(tmp_path)]
    logs = tmp_path / "lightning_logs"
    for name, more in {"a": [], "split": ["--data.seed", "1"], "weights": ["--seed_everything", "1"]}.items():
        assert main(["fit", "--name", name, *options, *more]) == 0
    for other, same_split, same_weights in (("split", False, True), ("weights", True, False)):
        assert main(["compare", str(logs / "a"), str(logs / other), "--output", str(tmp_path)]) == 0
        report = json.loads((tmp_path / "comparison.json").read_text())
        assert (report["same_split"], report["same_initial_weights"]) == (same_split, same_weights)


def test_names_and_differences_tell_runs_apart() -> None:
    a, b = {"model.lr": 1.0, "data.batch_size": None}, {"model.lr": 1.0, "data.batch_size": 32, "more": 1}
    assert number_equal(["x", "y", "x", "x"]) == ["x", "y", "x (2)", "x (3)"]
    assert differences([a, a]) == [{}, {}]
    assert differences([a, b]) == [{"data.batch_size": None, "more": None}, {"data.batch_size": 32, "more": 1}]


@pytest.mark.usefixtures("workplace")
def test_a_chart_begins_with_the_initial_weights() -> None:
    """Validation of them is computed where the data are at hand, and left out where they are not."""
    curves = curves_of(run := Run("minibatch"), contents := run.checkpoint())
    assert next(iter(curves)) == "training loss (BCE), mean of the last 20"
    data, model = run.data(), run.model(initial=True)
    with torch.no_grad():
        expected = BCELoss()(data.val.labels, model(data.val.features)).item()
    steps, values = curves["validation BCE"]
    assert (steps[0], values[0]) == (0, pytest.approx(expected, rel=1e-6))
    assert values[1:].tolist() == run.history()["val_bce"][19::20].tolist()
    losses, (steps, means) = run.history()["train_loss"], curves["training loss (BCE), mean of the last 20"]
    assert (steps[0], means[0]) == (0, losses[0])
    assert means[99] == pytest.approx(losses[80:100].mean())
    run.config.write_text(run.config.read_text().replace("root: null", "root: nowhere"))
    assert curves_of(Run("minibatch"), contents)["validation BCE"][0][0] == 20


@pytest.fixture
def tested(workplace: Path) -> Path:
    """A working directory where the runs bce and mse are tested."""
    for name in ("bce", "mse"):
        assert main(["test", name]) == 0
    return workplace


def compared(capsys: pytest.CaptureFixture[str], *runs: str, status: int = 0) -> str:
    """Compare runs, and return what was printed."""
    capsys.readouterr()
    assert main(["compare", *runs, "--output", "result"]) == status
    return "".join(capsys.readouterr())


def test_two_tested_runs_of_a_split_are_compared_row_by_row(tested: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = compared(capsys, "bce", "mse")
    right = []
    for name in ("bce", "mse"):
        table = np.loadtxt(tested / "lightning_logs" / name / "test_predictions.csv", delimiter=",", skiprows=1)
        right.append((table[:, 2] >= 0.5) == table[:, 1])
    only_a, only_b, p = mcnemar(*right)
    difference, low, high = paired(*right)
    assert json.loads((tested / "result" / "comparison.json").read_text())["paired_test"] == {
        "rows": 304,
        "right_in_one_only": [only_a, only_b],
        "test": "exact McNemar test",
        "p": p,
        "accuracy_difference": difference,
        "accuracy_difference_interval": [low, high],
        "speaks_of": "these two networks only",
    }
    assert (
        f"304 test rows: {only_a} that only bce gets right, {only_b} that only mse does; exact McNemar test: p " in said
    )
    assert f"test accuracy: bce - mse = {interval(difference, low, high)}\n" in said
    assert "this speaks of these two networks only, not of the options that they differ in" in said
    accuracies = [
        json.loads(Path("lightning_logs", name, "test.json").read_text())["accuracy"] for name in ("bce", "mse")
    ]
    assert difference == pytest.approx(accuracies[0] - accuracies[1])
    assert "McNemar" not in compared(capsys, "bce", "mse", "minibatch"), "pairs of several runs are not tested"


def test_two_tested_runs_of_whole_groups_are_compared_group_by_group(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        options = ["--data.split", "groups", "--model.loss", {"one": "bce", "two": "mse"}[name]]
        assert main(["fit", "--name", name, "--trainer.max_steps", "60", *options]) == 0
        assert main(["test", name]) == 0
    said = compared(capsys, "one", "two")
    one, two = (Run(name).tested() for name in ("one", "two"))
    assert one.groups is not None
    expected = paired_by_group(right(*one[1:3]), right(*two[1:3]), one.groups)
    found = json.loads((workplace / "result" / "comparison.json").read_text())["paired_test"]
    assert found["test"] == "t test over 15 groups"
    assert (found["accuracy_difference"], *found["accuracy_difference_interval"], found["p"]) == expected
    assert f"t test over 15 groups: {p_value(expected[3])}" in said


def test_without_tests_the_way_to_a_paired_test_is_named(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "python -m project test on both gives the paired test" in compared(capsys, "bce", "mse")
    assert json.loads((workplace / "result" / "comparison.json").read_text())["paired_test"] is None


def test_tests_of_another_iteration_or_of_other_rows_are_refused(
    tested: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tested / "lightning_logs" / "mse"
    whole = (run / "test_predictions.csv").read_text()
    (run / "test_predictions.csv").write_text("".join(whole.splitlines(keepends=True)[:-1]))
    assert "mse: its test is of other rows than that of lightning_logs" in compared(capsys, "bce", "mse", status=2)
    (run / "test_predictions.csv").write_text(whole)
    (run / "test.json").write_text((run / "test.json").read_text().replace('"step": 1000', '"step": 500'))
    words = "mse: its test is of iteration 500; test the checkpoint of 1000"
    assert words in compared(capsys, "bce", "mse", status=2)
    assert not (tested / "result").exists()


@pytest.mark.usefixtures("workplace")
def test_each_checkpoint_is_read_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    read, load = list[str](), run_module.load
    monkeypatch.setattr(run_module, "load", lambda path, kind: read.append(path.parent.parent.name) or load(path, kind))
    compared(capsys, "bce", "mse", "minibatch")
    assert read == ["bce", "mse", "minibatch"]
