"""Each callback stands alone: it shares nothing with the others but the trainer and the run folder."""

import random
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from lightning.pytorch import Callback

from project.__main__ import main
from project.callbacks import CALLBACKS, Checkpoints, History
from project.model import BinaryClassifier
from project.run import Run

OFF_THE_GRID = 47  # of validations, after iterations 20, 40 and 60
FIT = ["fit", "--trainer.max_steps", "60", "--data.batch_size", "30"]
Kinds = Sequence[type[Callback]]
ORDERS = [random.Random(seed).sample(CALLBACKS, len(CALLBACKS)) for seed in range(3)]  # noqa: S311


@pytest.fixture(autouse=True)
def small_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("project.plot.GRID_POINTS", 20)
    monkeypatch.chdir(tmp_path)


def contents(run: Run) -> dict[str, bytes]:
    """Return what a run has written, but for the events, which hold the time."""
    files = [file for file in run.path.rglob("*") if file.is_file() and "tfevents" not in file.name]
    return {str(file.relative_to(run.path)): file.read_bytes() for file in files}


def train(kinds: Kinds, name: str, data: Path) -> dict[str, dict[str, bytes]]:
    """Train a run to its end and another one that a SIGTERM stops; return what they wrote, then and when resumed."""
    runs = Run(f"{name}-whole"), Run(f"{name}-parts")
    options = [*FIT, "--data.root", str(data)]
    step = BinaryClassifier.on_train_batch_end

    def signalled(model: BinaryClassifier, *arguments: object) -> None:
        step(model, *arguments)
        if model.global_step == OFF_THE_GRID:
            signal.raise_signal(signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("project.cli.CALLBACKS", tuple(kinds))
        assert main([*options, "--name", runs[0].path.name]) == 0
        patch.setattr(BinaryClassifier, "on_train_batch_end", signalled)
        assert main([*options, "--name", runs[1].path.name]) == 143
        stopped = contents(runs[1])
        patch.setattr(BinaryClassifier, "on_train_batch_end", step)
        assert main(["fit", "--ckpt_path", str(runs[1].last)]) == 0
    return {"whole": contents(runs[0]), "stopped": stopped, "resumed": contents(runs[1])}


def test_any_order_gives_the_same_bytes_with_and_without_a_signal(blobs: Path) -> None:
    """Checkpoints hold the states of callbacks in the order of the list, and even they are the same."""
    expected = train(CALLBACKS, "usual", blobs)
    assert expected["resumed"] == expected["whole"]
    assert expected["stopped"]["history.csv"].count(b"\n") == 1 + OFF_THE_GRID
    files = ("history.csv", "config.yaml", "checkpoints/best.ckpt", "checkpoints/last.ckpt")
    assert set(expected["whole"]) == {*files, *(f"figures/{name}.png" for name in "scatter loss accuracy boundary".split())}
    for i, order in enumerate(ORDERS):
        assert train(order, str(i), blobs) == expected, order


@pytest.mark.parametrize("removed", CALLBACKS)
def test_any_one_can_be_removed(
    removed: type[Callback], blobs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every other command still works, or says in one line what was not recorded."""
    monkeypatch.setattr("project.cli.CALLBACKS", tuple(kind for kind in CALLBACKS if kind is not removed))
    for name in "a", "b":
        assert main([*FIT, "--data.root", str(blobs), "--name", name]) == 0
    capsys.readouterr()
    commands = {
        "test": ["test", "--name", "a"],
        "validate": ["validate", "--name", "a"],
        "predict": ["predict", "--name", "a", "--data.predict", str(blobs / "class_0.npy")],
        "compare": ["compare", "a", "b"],
        "plot": ["plot", "a"],
        "export": ["export", "--name", "a"],
        "resume": ["fit", "--name", "a", "--ckpt_path", "last", "--trainer.max_steps", "80"],
    }
    failing = {Checkpoints: set(commands), History: {"compare", "plot"}}.get(removed, set())
    for command, arguments in commands.items():
        status, stderr = main(arguments), capsys.readouterr().err
        assert status == (2 if command in failing else 0), (command, stderr)
        if command in failing:
            assert stderr.count("\n") == 1
            assert stderr.startswith("error: ")
            assert ("history.csv" if removed is History else "ckpt" if command != "compare" else "trained run") in stderr
        elif removed is not History:  # Without a history, the figures of the losses cannot be drawn.
            assert stderr == "", command


@pytest.mark.parametrize("only", CALLBACKS)
def test_each_works_alone(only: type[Callback], blobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("project.cli.CALLBACKS", (only,))
    assert main([*FIT, "--data.root", str(blobs)]) == 0
    assert ("history.csv" in contents(Run("version_0"))) == (only is History)
    assert ("checkpoints/last.ckpt" in contents(Run("version_0"))) == (only is Checkpoints)
