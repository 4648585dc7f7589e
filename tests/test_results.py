"""What test and predict say and leave can be checked by anyone, row by row."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from project.__main__ import main
from project.run import Run
from tests.conftest import Write

pytestmark = pytest.mark.process
Captured = pytest.CaptureFixture[str]
FIT = ["fit", "--name", "run", "--data.root", "data", "--trainer.max_steps"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_each_test_rows_answer_is_left_and_gives_the_numbers(blobs: Path, capsys: Captured) -> None:
    """Of an over-trained run the other checkpoint is named; its numbers stand beside those of the last one."""
    assert main([*FIT, "400"]) == 0
    run, (lowest, *_) = Run("run"), (line for line in capsys.readouterr().out.splitlines() if line.startswith("lowest"))
    best = run.lowest(400)
    assert best
    assert lowest == f"lowest validation loss {best[1]:.4f} after iteration {best[0]}, in best.ckpt: " + (
        "python -m project test --ckpt_path best"
    )
    for options, suffix, step in ([], "", 400), (["--ckpt_path", "best"], "-best", best[0]):
        assert main(["test", *options]) == 0
        first, head, *table = capsys.readouterr().out.splitlines()
        assert first == f"{run.last.with_stem('best' if suffix else 'last')}: after iteration {step}"
        assert head == "test: 20 rows, half of each class"
        assert any("--ckpt_path best" in line for line in table) == (suffix == "")
        result = json.loads((run.path / f"test{suffix}.json").read_text())
        with (run.path / f"test{suffix}_predictions.csv").open() as file:
            rows = [(int(row["row"]), int(row["class"]), float(row["probability"])) for row in csv.DictReader(file)]
        classes = [np.load(blobs / f"class_{label}.npy") for label in (0, 1)]
        expected = np.concatenate(run.data().classes.row_numbers("test")).tolist()
        assert [row[0] for row in rows] == expected
        features = np.array([classes[label][row] for row, label, _ in rows])
        np.testing.assert_array_equal(features.astype(np.float32), run.data().test.features)
        if not suffix:
            with torch.no_grad():
                np.testing.assert_allclose([row[2] for row in rows], run.model()(features)[:, 0], rtol=1e-6)
        right = sum((p >= 0.5) == (label == 1) for _, label, p in rows)
        assert (result["accuracy"], result["step"], result["rows"]) == (right / 20, step, 20)
        assert any(f"accuracy           {right / 20:.4f}  " in line and f"; {right} of 20" in line for line in table)
        for name in ("accuracy", "sensitivity", "specificity", "auc", "loss", "bce", "mse"):
            low, high = result[f"{name}_interval"]
            assert low <= result[name] <= high
        assert (run.figures / f"test{suffix}.png").exists()
    assert json.loads((run.path / "test.json").read_text())["step"] == 400, "the other test has its own files"


def test_rows_that_cannot_be_answered_are_named_and_leave_their_cells_empty(
    write_classes: Write, capsys: Captured
) -> None:
    """A deviation of 1e-30 scales 3e38 to infinity; a difference of two such has no value."""
    classes = np.random.default_rng(0).normal(size=(2, 50, 2)) * 1e-30 + np.array([[[-1e-30]], [[1e-30]]])
    write_classes(*classes)
    assert main([*FIT, "20"]) == 0
    np.save("far.npy", np.array([[0, 0], [3e38, -3e38], [3e38, 3e38], [-3e38, 3e38]]))
    assert main(["predict", "--data.predict", "far.npy"]) == 0
    rows = [line.split(",") for line in (Run("run").path / "predictions.csv").read_text().splitlines()[1:]]
    empty = [int(row[0]) for row in rows if row[1:] == ["", ""]]
    assert empty
    assert rows[0][1]
    out, err = capsys.readouterr()
    named = f"row{'s' * (len(empty) > 1)} {' and '.join(map(str, empty))}"
    assert f"far.npy: no answer for {named}: too far" in err or len(empty) > 2
    counts = [sum(row[2] == label for row in rows) for label in "01"]
    assert f"4 rows: {counts[0]} class 0, {counts[1]} class 1, {len(empty)} without an answer" in out
