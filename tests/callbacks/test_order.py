"""Each callback stands alone: it shares nothing with the others but the trainer and the run folder."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from lightning.pytorch import Callback

from project.__main__ import main
from project.callbacks import CALLBACKS, Checkpoints, History
from project.run import Run
from tests.test_interruption import signal_at

FIT = ["fit", "--trainer.max_steps", "60", "--data.batch_size", "30", "--data.root", "data"]
ORDERS = [random.Random(seed).sample(CALLBACKS, len(CALLBACKS)) for seed in range(3)]  # noqa: S311


@pytest.fixture(autouse=True)
def small(blobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("project.plot.GRID_POINTS", 20)
    monkeypatch.chdir(blobs.parent)


def contents(run: Run) -> dict[str, bytes]:
    """Return what a run has written, but for the events, which hold the time."""
    files = [file for file in run.path.rglob("*") if file.is_file() and "tfevents" not in file.name]
    return {str(file.relative_to(run.path)): file.read_bytes() for file in files}


def train(kinds: Sequence[type[Callback]], name: str) -> list[dict[str, bytes]]:
    """Train a run to its end, and one that a SIGTERM stops; return what they wrote, the second also when resumed."""
    whole, parts = Run(f"{name}-whole"), Run(f"{name}-parts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("project.cli.CALLBACKS", tuple(kinds))
        assert main([*FIT, "--name", whole.path.name]) == 0
        with signal_at(47):  # Validations come after iterations 20, 40 and 60.
            assert main([*FIT, "--name", parts.path.name]) == 143
        stopped = contents(parts)
        assert main(["fit", "--ckpt_path", str(parts.last)]) == 0
    return [contents(whole), stopped, contents(parts)]


def test_any_order_gives_the_same_bytes_with_and_without_a_signal() -> None:
    """Checkpoints hold the states of callbacks in the order of the list, and even they are the same."""
    whole, stopped, resumed = train(CALLBACKS, "usual")
    assert whole == resumed
    assert len(whole) == len(["config.yaml", "history.csv", "best.ckpt", "last.ckpt"]) + 4, "and the figures"
    assert stopped["history.csv"].count(b"\n") == 48
    for i, order in enumerate(ORDERS):
        assert train(order, str(i)) == [whole, stopped, resumed], order


@pytest.mark.parametrize("removed", CALLBACKS)
def test_any_one_can_be_removed(
    removed: type[Callback], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every other command still works, or says in one line what was not recorded."""
    monkeypatch.setattr("project.cli.CALLBACKS", tuple(kind for kind in CALLBACKS if kind is not removed))
    assert [main([*FIT, "--name", name]) for name in "ab"] == [0, 0]
    resume = "fit --ckpt_path lightning_logs/a/checkpoints/last.ckpt --trainer.max_steps 80"
    predict = "predict --name a --data.predict data/class_0.npy"
    for command in "test --name a", "validate --name a", predict, "compare a b", "plot a", resume:
        capsys.readouterr()
        fails = removed is Checkpoints or (removed is History and command in ("compare a b", "plot a"))
        status, stderr = main(command.split()), capsys.readouterr().err
        assert status == (2 if fails else 0), (command, stderr)
        if fails:
            untrained = "not the folder of a trained run" if command == "compare a b" else "no such checkpoint"
            assert stderr.startswith("error: ")
            assert ("history.csv: missing" if removed is History else untrained) in stderr
            assert stderr.count("\n") == 1
        elif removed is not History:  # Without it, a warning says that there are no losses to draw.
            assert stderr == "", command
