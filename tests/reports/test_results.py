"""Results of test and predict, printed and left in the run folder, and exported models."""

import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from project import Run
from project.__main__ import main
from project.evaluation.baseline import baselines, regress
from project.evaluation.metrics import design_effect, evaluate, is_right
from project.evaluation.thresholds import choose_thresholds, operating_points
from project.reports.report import write_report
from project.runs.checkpoint import load
from tests.reports.conftest import FAR, NASTY

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("runs")]

Captured = pytest.CaptureFixture[str]
NAMES = ["accuracy", "sensitivity", "specificity", "auc", "bce", "mse"]
WORDS = ["area under the ROC curve", "log loss", "Brier score"]
SHORT = ["--data.root", "data", "--trainer.max_steps", "20"]


def cells(path: Path) -> tuple[str, list[list[str]]]:
    """Return the header and the cells of a table."""
    header, *rows = path.read_text().splitlines()
    return header, [row.split(",") for row in rows]


def test_test_leaves_a_table_numbers_and_the_answer_for_each_row(capsys: Captured) -> None:
    assert main(["test", "<b>one"]) == 0
    (out, err), run = capsys.readouterr(), Run("<b>one")
    first, choice, rows, header, *lines = out.splitlines()
    assert (first, rows[:13], err) == (f"{run.last}: after iteration 101", "test: 20 rows", "")
    assert "choose before you look" in choice
    numbers = run.numbers()
    assert list(numbers.items())[:3] == [("checkpoint", "last.ckpt"), ("step", 101), ("rows", 20)]
    ends, others = ("", "_interval"), ("operating_points", "baselines", "loss", "loss_interval", "importance")
    assert list(numbers)[3:] == [*(name + end for name in NAMES for end in ends), *others]
    assert (numbers["loss"], numbers["loss_interval"]) == (numbers["mse"], numbers["mse_interval"])
    for line, name in zip(lines, NAMES, strict=False):
        values = numbers[name], *numbers[f"{name}_interval"], *(each[name] for each in numbers["baselines"].values())
        assert re.findall(r"\d\.\d{4}", line) == [f"{value:.4f}" for value in values]
        assert line.startswith(f"{name} "), "the name is test.json's"
    assert re.split("  +", header.strip()) == ["value", "95 % interval", "guessing", "logistic"]
    assert max(map(len, (lines[0], *lines[3:7]))) < 100
    header, table = cells(run.path / "test_predictions.csv")
    assert header == "row,class,probability,answer"
    expected = [(row, label) for label, of in enumerate(run.data().classes.row_numbers("test")) for row in of]
    assert [(int(row), int(label)) for row, label, *_ in table] == expected
    assert [answer for *_, answer in table] == ["01"[float(row[2]) >= 0.5] for row in table]
    features = np.stack([np.load(f"data/class_{label}.npy")[row] for row, label in expected])
    labels, probabilities = np.array(table)[:, 1:3].astype(float).T
    np.testing.assert_allclose(probabilities, run.model()(features).detach()[:, 0], rtol=1e-6)
    again = baselines(labels, probabilities, regress(run.data()).predict_proba(features)[:, 1], None)
    for name, value in again["logistic_regression"].items():
        assert numbers["baselines"]["logistic_regression"][name] == pytest.approx(value, abs=1e-6)
    by_hand = [evaluate(labels, probabilities)[name].value for name in NAMES]
    assert [numbers[name] for name in NAMES] == pytest.approx(by_hand, abs=1e-8)
    counts = [f"{20 * by_hand[0]:.0f} of 20"]
    counts += [f"{10 * by_hand[1]:.0f} of 10 of dogs & cats", f"{10 * by_hand[2]:.0f} of 10 of {NASTY}"]
    assert [re.split("; | {4,}", line)[-1] for line in lines[: len(NAMES)]] == [*counts, *WORDS]
    events = EventAccumulator(str(run.path), size_guidance={"images": 0}).Reload()
    shown = events.Scalars("test/accuracy")[-1]
    assert (shown.step, shown.value) == (101, pytest.approx(numbers["accuracy"]))
    assert len(events.Tags()["images"]) <= 8
    for name in "views/test", "views/test-boundary":
        both = {101, load(run.best)["global_step"]}
        assert {(each.step, each.width) for each in events.Images(name)} == {(step, 640) for step in both}


@pytest.mark.usefixtures("quick")
def test_test_says_what_it_is_an_estimate_for_where_there_are_groups(capsys: Captured) -> None:
    of = np.random.default_rng(0).permutation(np.minimum(np.arange(50) // 5, 7))
    for label in (0, 1):
        np.save(f"data/group_{label}.npy", of + 2**60)
    for split in ("rows", "groups"):
        assert main(["fit", "--name", split, "--data.split", split, *SHORT]) == main(["test", split]) == 0
    out, numbers = capsys.readouterr().out, Run("rows").numbers()
    assert "an estimate for new rows of these groups; fit --data.split groups estimates for new groups\n" in out
    assert (numbers["claim"], numbers.get("groups")) == ("new rows of these groups", None)
    numbers, (_, table) = Run("groups").numbers(), cells(Run("groups").path / "test_predictions.csv")
    groups = np.array([int(row[3]) for row in table])
    assert groups.tolist() == [of[int(row[0])] + 2**60 for row in table]
    labels, probabilities = np.array(table)[:, 1:3].astype(float).T
    again, effect = evaluate(labels, probabilities, groups), design_effect(is_right(labels, probabilities), groups)
    assert numbers["accuracy_interval"] == pytest.approx(again["accuracy"][1:3], abs=1e-8)
    assert (numbers["claim"], numbers["groups"]) == ("new groups", len(np.unique(groups)))
    assert numbers["design_effect"] == pytest.approx(effect)
    assert f"for new groups; {len(np.unique(groups))} of them, design effect of accuracy {effect:.2f}\n" in out
    assert "Wilson by group" in out


@pytest.mark.usefixtures("quick")
@pytest.mark.filterwarnings("ignore:.*dropped 150 of 200 rows")
def test_thresholds_are_chosen_on_validation_rows_and_answers_weighed_as_the_files_are(capsys: Captured) -> None:
    np.save("data/class_0.npy", np.random.default_rng(0).normal(-1, 1, (200, 2)))
    assert main(["fit", "--name", "new", *SHORT, "--data.balance", "downsample"]) == 0
    assert main(["test", "new"]) == main(["validate", "new"]) == 0
    (_, tested), run = capsys.readouterr().out.split("test: 20 rows"), Run("new")
    points, (_, table) = run.numbers()["operating_points"], cells(run.path / "test_predictions.csv")
    labels, probabilities = np.array(table)[:, 1:3].astype(float).T
    val, model = run.data().val, run.model()
    chosen = choose_thresholds(val.labels[:, 0].numpy(), model.predict_proba(val.features)[:, 1])
    expected = operating_points({"threshold 0.5": 0.5, **chosen}, labels, probabilities, None, 0.25)
    assert list(points) == list(expected)
    for point, of in zip(points.values(), expected.values(), strict=True):
        assert point == {name: pytest.approx(value, abs=1e-6) for name, value in of.items()}
    said = [rf"{points['threshold 0.5'][name]:.4f} \(" for name in ("ppv", "npv")]
    sizes = "hold for 50:50; at the sizes of the class files"
    assert re.search(f"{sizes} {said[0]}.* class 1 .* {said[1]}", tested)
    assert tested.count(sizes) == 2, "of validation rows, too"
    page = write_report(run).read_text()
    for name, point in points.items():
        assert f'<th scope="row">{name}</th><td>{point["threshold"]:.4f}</td><td>{point["sensitivity"]:.4f} (' in page
    threshold = points["specificity 0.95"]["threshold"]
    predict = ["predict", "new", "--data.predict", "data/class_1.npy", "--threshold"]
    assert (main([*predict, str(threshold)]), main([*predict, "1.1"])) == (0, 2)
    _, table = cells(run.path / "predictions.csv")
    labelled = [float(row[1]) >= threshold for row in table]
    assert [(row[2], row[3]) for row in table] == [("1", "class 1") if one else ("0", "class 0") for one in labelled]
    out, err = capsys.readouterr()
    assert f"50 rows: {labelled.count(False)} class 0, {labelled.count(True)} class 1, at threshold " in out
    assert "error: --threshold: 1.1; need a number from 0 to 1\n" in err


def test_the_best_checkpoint_is_tested_beside_the_last_and_where_its_data_have_moved(capsys: Captured) -> None:
    run = Run("<b>one")
    before = {path: path.read_bytes() for path in run.path.rglob("test*")}
    Path("data").rename("moved")
    assert main(["test", "<b>one", "--ckpt_path", "best", "--data.root", "moved"]) == 0
    assert "--ckpt_path best" not in capsys.readouterr().out
    assert {path: path.read_bytes() for path in before} == before, "the bytes of where the data were"
    found = [(numbers["checkpoint"], numbers["step"]) for numbers in (run.numbers(), run.numbers("best"))]
    assert found == [("last.ckpt", 101), ("best.ckpt", load(run.best)["global_step"])]


def test_rows_to_predict_without_an_answer_have_empty_cells_and_one_warning(capsys: Captured) -> None:
    np.save("new.npy", [[1e-30, 1e-30], FAR[0], [-1e-30, -1e-30], FAR[1], [2e-30, 2e-30]])
    assert main(["predict", "--name", "tiny", "--data.predict", "new.npy"]) == 0
    out, err = capsys.readouterr()
    assert err == "warning: new.npy: no answer for rows 1 and 3: too far from what the model was trained on\n"
    assert f"\n5 rows: 1 {NASTY}, 2 dogs & cats, 2 without an answer\n" in out
    header, table = cells(Run("tiny").path / "predictions.csv")
    assert header == "row,probability,label,class,probability_of"
    dogs = "dogs & cats"
    named = ("1", dogs), ("", ""), ("0", NASTY), ("", ""), ("1", dogs)
    assert [[row[0], *row[2:]] for row in table] == [[str(i), *of, dogs] for i, of in enumerate(named)]
    assert [row[1] and float(row[1]) >= 0.5 for row in table] == [True, "", False, "", True]


@pytest.mark.usefixtures("quick")
def test_test_rows_without_an_answer_are_wrong_and_leave_losses_null(capsys: Captured) -> None:
    assert main(["test", "tiny"]) == 0
    assert ": no answer for 2 test rows, which count as wrong" in capsys.readouterr().err
    numbers, (_, table) = Run("tiny").numbers(), cells(Run("tiny").path / "test_predictions.csv")
    assert [i for i, row in enumerate(table) if row[2] == ""] == [0, 11], "the first of class 0, the second of class 1"
    right = [(float(row[2]) >= 0.5) == (row[1] == "1") for row in table if row[2]]
    assert numbers["accuracy"] == sum(right) / len(table)
    for name in "auc", "bce", "mse", "loss":
        assert (numbers[name], numbers[f"{name}_interval"]) == (None, [None, None])


def test_the_exported_model_answers_as_the_checkpoint_in_another_runtime() -> None:
    assert main(["export", "--name", "<b>one"]) == 0
    session = onnxruntime.InferenceSession((Run("<b>one").path / "model.onnx").read_bytes())
    features = np.load("data/class_0.npy").astype(np.float32)
    for rows in features, features[:1]:
        (probability,) = session.run(["probability"], {"features": rows})
        np.testing.assert_allclose(probability, Run("<b>one").model()(rows).detach(), atol=1e-6)
