"""Overlaying runs."""

import json
from pathlib import Path

import pytest

from project.__main__ import main
from project.compare import name_by_differences
from project.run import Run

pytestmark = pytest.mark.process


def test_compare_names_runs_by_their_difference_and_reports_final_numbers(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "bce", "lightning_logs/mse", "--output", "result"]) == 0
    report = json.loads((workplace / "result" / "comparison.json").read_text())
    assert [run["name"] for run in report["runs"]] == ["loss bce", "loss mse"]
    assert (report["same_split"], report["same_initial_weights"]) == (True, True)
    assert "split: the same; initial weights: the same" in (table := capsys.readouterr().out)
    for run in report["runs"]:
        finals = {name: column[-1] for name, column in Run(run["folder"]).history().items() if name != "step"}
        assert run["final"] == finals
        assert len(finals) == 9
        assert all(f"{final:.4f}" in table for final in finals.values())
        assert finals["val_loss"] == finals[f"val_{run['name'].removeprefix('loss ')}"]
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


def test_names_tell_runs_apart() -> None:
    a, b = {"model.lr": 1.0, "data.batch_size": None}, {"model.lr": 1.0, "data.batch_size": 32}
    assert name_by_differences([a, a], ["x", "y"]) == ["(x)", "(y)"]
    names = ["batch_size None", "batch_size 32 (y)", "batch_size 32 (z)"]
    assert name_by_differences([a, b, b], ["x", "y", "z"]) == names
