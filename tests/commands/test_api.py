"""Training, testing and predicting from Python: the command's own results, and errors in Python's words."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import project
from project import BinaryClassifier, NpyDataModule, Run, fit
from project.__main__ import main
from project.errors import InputError

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("undrawn", "here")]


def test_every_name_is_there() -> None:
    assert all(callable(getattr(project, name)) for name in project.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = project.nothing


def test_fit_and_test_are_the_commands(blobs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their results are, and their warnings speak of arguments, in one line."""
    optimizer = {"class_path": "Adam", "init_args": {"lr": 1e-6}}
    scheduler, clipping = {"class_path": "StepLR", "init_args": {"step_size": 5}}, {"gradient_clip_val": 1.0}
    options: dict[str, Any] = {"optimizer": optimizer, "lr_scheduler": scheduler, "trainer": clipping}
    options |= {"piece_rows": np.int64(7), "loss": "mse", "batch_size": 16}
    run = fit(blobs, name="python", seed_everything=3, max_steps=20, **options)
    numbers = run.test("best")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: training did not beat guessing: ")
    assert "lr and max_steps may be too small" in line
    command = (
        "fit --name command --seed_everything 3 --trainer.max_steps 20 --data.piece_rows 7 --model.loss mse "
        "--data.batch_size 16 --optimizer Adam --optimizer.lr 1e-6 --lr_scheduler StepLR --lr_scheduler.step_size 5 "
        "--trainer.gradient_clip_val 1"
    )
    assert main([*command.split(), "--data.root", str(blobs)]) == 0
    assert main(["test", "command", "--ckpt_path", "best"]) == 0
    there = Run("command")
    for name in "history.csv", "checkpoints/last.ckpt", "config.yaml", "test-best.json", "figures/test-best.png":
        assert (run.path / name).read_bytes() == (there.path / name).read_bytes()
    assert numbers == json.loads((run.path / "test-best.json").read_text()) == there.numbers("best")
    assert repr(run) == "Run('lightning_logs/python': 20 iterations)"
    assert repr(Run("none")) == "Run('lightning_logs/none': not trained)"


def test_a_run_goes_on_and_its_curves_can_be_plotted(blobs: Path) -> None:
    torch.set_num_threads(2)
    run = fit(blobs, max_steps=20, seed_everything=1)
    assert torch.get_num_threads() == 2, "whatever suits small data"
    torch.set_num_threads(1)
    assert fit(ckpt_path=run.last, max_steps=40).path == run.path
    steps, values = run.curve("val_loss")
    assert (steps.tolist(), values.tolist()) == ([20, 40], run.history()["val_loss"][[19, 39]].tolist())
    steps, values = run.curve("train_loss")
    assert (steps.tolist(), values.tolist()) == ([*range(1, 41)], run.history()["train_loss"].tolist())
    with pytest.raises(InputError, match=r"history\.csv: no column loss; need one of step, train_loss, val_loss, "):
        run.curve("loss")


ERRORS: list[tuple[dict[str, Any], str]] = [
    ({"lr": -1}, "^lr: -1.0; need a number above 0"),
    ({"loss": "hinge"}, "^loss: hinge; need one of bce, mse, or "),
    ({"hidden_features": "many"}, "^hidden_features: .*Expected a int"),
    ({"max_steps": 0}, "^max_steps: 0; need at least 1"),
    ({"root": Path("nöwhere")}, "^nöwhere: no such folder; root names the folder"),
    ({"ckpt_path": "none.ckpt"}, "^none.ckpt: "),
    ({"optimizer": "adam"}, "^optimizer: adam; did you mean optimizer=Adam"),
    ({"optimizer": torch.optim.Adam}, 'no config can hold it; need {"class_path": '),
    ({"optimizer": "Adam", "lr": 0.1}, "^lr: 0.1 .* has optimizer.lr"),
    ({"lr_scheduler": "StepLR"}, "^lr_scheduler: .*StepLR: the following arguments are required: step_size"),
    ({"trainer": {"max_epoch": 3}}, "^trainer.max_epoch: no such option; did you mean trainer.max_epochs=3"),
    ({"trainer": {"max_epochs": "many"}}, "^trainer.max_epochs: many; need one of int, null"),
    ({"learning_rate": 0.1}, "^learning_rate: no such option; did you mean lr=0.1"),
    ({"momentum": 0.9}, "^momentum: no such option; help lists"),
]


def test_errors_speak_of_arguments() -> None:
    for options, words in ERRORS:
        is_unknown = options.keys() & {"learning_rate", "momentum"}
        with pytest.raises(TypeError if is_unknown else InputError, match=words) as raised:
            fit(**options)
        assert "--" not in str(raised.value)
    assert not Path("lightning_logs").exists()


def test_predictions_are_those_of_the_network_for_numbers_of_any_type() -> None:
    model = BinaryClassifier(3)
    for kind in ("float16", "uint64", ">f8"):
        rows = np.random.default_rng(0).uniform(0, 90, (7, 3)).astype(kind)
        with torch.no_grad():
            expected = model(torch.from_numpy(rows.astype(np.float64))).double().numpy()[:, 0]
        found, labels = model.predict_proba(rows), model.predict(rows.tolist())
        assert (found.shape, found.dtype, labels.shape, labels.dtype) == ((7, 2), np.float64, (7,), np.int64)
        np.testing.assert_array_equal(found, np.stack([1 - expected, expected], 1))
        assert labels.tolist() == (expected >= 0.5).astype(int).tolist()
    assert model.training, "the model is left as it was"
    refused: dict[str, Any] = {
        r"features \(4, 2\); need \(N, 3\)": np.zeros((4, 2)),
        "features of dtype <U1; need numbers": [["a", "b", "c"]],
        "features of dtype bool; need numbers": np.zeros((4, 3), bool),
    }
    for words, odd in refused.items():
        with pytest.raises(ValueError, match=words):
            model.predict(odd)


def test_data_say_what_they_are_and_need_no_setup() -> None:
    data = NpyDataModule()
    assert repr(data) == "NpyDataModule('the shipped sample': not set up)"
    assert data.train.features.shape == (912, 2)
    assert repr(data).endswith("train 912, val 304, test 304 rows of 2 features, half of each class 0)")
