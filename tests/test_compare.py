"""Overlaying runs."""

import json
from pathlib import Path

import pytest
import torch

from project.__main__ import main
from project.compare import curves_of, differences, number_equal
from project.model import BCELoss
from project.run import Run

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
    curves = curves_of(run := Run("minibatch"))
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
    assert curves_of(Run("minibatch"))["validation BCE"][0][0] == 20
