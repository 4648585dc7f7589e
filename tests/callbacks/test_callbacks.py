"""Each callback stands alone, in any order; and what TensorBoard shows of a run, asked over its HTTP interface."""

import json
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import numpy as np
import pytest
from lightning.pytorch import Callback
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from project import Run
from project.__main__ import main
from project.callbacks import CALLBACKS, Checkpoints, History
from tests.commands.test_interruption import signal_at

pytestmark = pytest.mark.process

FIT = ["fit", "--trainer.max_steps", "60", "--data.batch_size", "30", "--data.root", "data"]
ORDERS = [random.Random(seed).sample(CALLBACKS, len(CALLBACKS)) for seed in range(3)]  # noqa: S311
COLUMNS = {"train/loss": "train_loss", "val/loss": "val_loss", "val/accuracy": "val_accuracy"}
Get = Callable[[str], Any]


@pytest.fixture
def small(blobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("project.reports.view.GRID_POINTS", 20)
    monkeypatch.chdir(blobs.parent)


def contents(run: Run) -> dict[str, bytes]:
    """Return what a run has written, but for the events, which hold the time, and its name, which the report tells."""
    files = [file for file in run.path.rglob("*") if file.is_file() and "tfevents" not in file.name]
    written = {str(file.relative_to(run.path)): file.read_bytes() for file in files}
    return {name: data.replace(run.path.name.encode(), b"NAME") for name, data in written.items()}


def train(kinds: Sequence[type[Callback]], name: str) -> list[dict[str, bytes]]:
    """Train a run to its end, and one that a SIGTERM stops; return what they wrote, the second also when resumed."""
    whole, parts = Run(f"{name}-whole"), Run(f"{name}-parts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("project.commands.cli.CALLBACKS", tuple(kinds))
        assert main([*FIT, "--name", whole.path.name]) == 0
        with signal_at(47):  # Validations come after iterations 20, 40 and 60.
            assert main([*FIT, "--name", parts.path.name]) == 143
        stopped = contents(parts)
        assert main(["fit", "--ckpt_path", str(parts.last)]) == 0
    return [contents(whole), stopped, contents(parts)]


@pytest.mark.usefixtures("small")
def test_any_order_gives_the_same_bytes_with_and_without_a_signal() -> None:
    """Checkpoints hold the states of callbacks in the order of the list, and even they are the same."""
    whole, stopped, resumed = train(CALLBACKS, "usual")
    assert whole == resumed
    names = ["config.yaml", "history.csv", "train_accuracy.csv", "best.ckpt", "last.ckpt", "report.html"]
    assert len(whole) == len(names) + 6, "and the figures"
    assert stopped["history.csv"].count(b"\n") == 48
    for i, order in enumerate(ORDERS):
        assert train(order, str(i)) == [whole, stopped, resumed], order


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("removed", CALLBACKS)
def test_any_one_can_be_removed(
    removed: type[Callback], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every other command still works, or says in one line what was not recorded."""
    monkeypatch.setattr("project.commands.cli.CALLBACKS", tuple(kind for kind in CALLBACKS if kind is not removed))
    assert main([*FIT, "--name", "a"]) == 0
    shutil.copytree("lightning_logs/a", "lightning_logs/b")
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


@pytest.fixture(scope="module")
def get(shipped: Path) -> Iterator[Get]:
    """Serve the shipped configs' runs, and return a function that asks for one address."""
    arguments = ["--logdir", str(shipped / "lightning_logs"), "--port", "0", "--load_fast", "false"]
    command = [sys.executable, "-m", "tensorboard.main", *arguments, "--samples_per_plugin", "images=100"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        url = next(match[0] for line in server.stderr if (match := re.search(r"http://\S+/", line)))

        def ask(path: str) -> Any:
            with urlopen(f"{url}data/plugin/{path}") as answer:  # noqa: S310 (an address of this machine)
                body = answer.read()
            return json.loads(body) if answer.headers["Content-Type"].startswith("application/json") else body

        end = time.monotonic() + 60
        while len(ask("images/tags")) < 4 or not ask("graphs/info"):
            assert time.monotonic() < end, "it reads the events in the background"
            time.sleep(0.2)
        yield ask
        server.terminate()


@pytest.mark.process
def test_tensorboard_shows_scalars_layout_graph_and_figures(get: Get, shipped: Path) -> None:
    """Scalars as in the history; training and validation loss on one chart; the boundary moves."""
    assert set(get("scalars/tags")["bce"]) >= {*COLUMNS, "test/loss", "test/accuracy"}
    history = Run(shipped / "lightning_logs" / "bce").history()
    for tag, column in COLUMNS.items():
        _, steps, values = zip(*get(f"scalars/scalars?run=bce&tag={quote(tag, safe='')}"), strict=True)
        filled = ~np.isnan(history[column])
        assert list(steps) == history["step"][filled].tolist()
        np.testing.assert_allclose(values, history[column][filled], rtol=1e-6)
    charts = [chart for category in get("custom_scalars/layout")["category"] for chart in category["chart"]]
    assert ["train/loss", "val/loss"] in [chart["multiline"]["tag"] for chart in charts]
    names = {"scatter", "loss", "accuracy", "boundary", "hidden", "boundary during training"}
    assert set(get("images/tags")["bce"]) == {f"views/{name}" for name in names}
    scalars = sorted(tag for tag in get("scalars/tags")["bce"] if not tag.startswith("test/"))
    assert scalars[0] == "train/loss", "scalars come first, and the first is that of training"
    assert max(scalars) < "views/"
    frames = get(f"images/images?run=bce&tag={quote('views/boundary during training', safe='')}&sample=0")
    assert [frame["step"] for frame in frames] == [0, 20, 40, 80, 160, 320, 640, 1000]
    pictures = [get(f"images/individualImage?{frame['query']}") for frame in frames]
    assert len({picture for picture in pictures if picture.startswith(b"\x89PNG")}) == len(frames)
    assert get("graphs/info")["bce"]["run_graph"]
    graph = get("graphs/graph?run=bce&limit_attr_size=1024&large_attrs_key=_large_attrs")
    assert all(name in graph.decode() for name in ("sub", "mul", "Linear", "Tanh", "Sigmoid")), "and standardization"
    (text,) = get("text/text?run=bce&tag=config%2Ftext_summary")
    assert "fit --config" in text["text"]
    assert "hidden_features" in text["text"]


def test_an_interrupted_and_resumed_run_has_no_gap_and_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And HPARAMS shows its options and its final accuracy. Resuming anew purges the steps that it repeats."""
    monkeypatch.chdir(tmp_path)
    with signal_at(47):
        assert main(["fit", "--name", "a", "--model.loss", "mse", "--trainer.max_steps", "100"]) == 143
    early = Run("a").last.read_bytes()
    assert main(["fit", "--ckpt_path", "last"]) == 0
    events = [event for file in sorted(Run("a").path.glob("ev*")) for event in EventFileLoader(str(file)).Load()]
    tags = [(value.tag, event.step) for event in events for value in event.summary.value if value.WhichOneof("value")]
    steps = {tag: [step for other, step in tags if other == tag] for tag, _ in tags}
    assert steps.pop("train/loss") == list(range(1, 101))
    assert all(steps.pop(f"val/{name}") == [20, 40, 60, 80, 100] for name in ("loss", "accuracy", "bce", "mse"))
    assert steps.pop("views/boundary during training") == [0, 20, 40, 80, 100]
    views = {f"views/{name}" for name in ("scatter", "loss", "accuracy", "boundary", "hidden")}
    assert set(steps) > {*views, "custom_scalars__config__", "config/text_summary"}
    assert all(len(times) == 1 for times in steps.values()), steps
    assert "hp_metric" not in steps
    shown = EventAccumulator(str(Run("a").path)).Reload()
    assert shown.Scalars("val/accuracy")[-1].value == pytest.approx(Run("a").history()["val_accuracy"][-1])
    assert b"val/accuracy" in shown.SummaryMetadata("_hparams_/experiment").plugin_data.content
    options = shown.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert all(word in options for word in (b"loss", b"mse", b"hidden_features", b"batch_size"))
    Run("a").last.write_bytes(early)  # as if the machine had lost the newest checkpoint, but not the events
    assert main(["fit", "--ckpt_path", "last", "--trainer.max_steps", "80"]) == 0
    shown = EventAccumulator(str(Run("a").path), purge_orphaned_data=True).Reload()
    assert [scalar.step for scalar in shown.Scalars("train/loss")] == list(range(1, 81))
