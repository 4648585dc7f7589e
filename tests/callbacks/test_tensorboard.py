"""What TensorBoard shows of a run, asked over its own HTTP interface, and what the events hold after a resume."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from project.__main__ import main
from project.run import Run
from tests.test_interruption import signal_at

COLUMNS = {"train/loss": "train_loss", "val/loss": "val_loss", "val/accuracy": "val_accuracy"}
IMAGES = {"scatter", "loss", "accuracy", "boundary", "boundary during training"}
Get = Callable[[str], Any]


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
def test_scalars_have_the_step_numbers_and_values_of_the_history(get: Get, shipped: Path) -> None:
    assert set(get("scalars/tags")["bce"]) >= {*COLUMNS, "test/loss", "test/accuracy"}
    history = Run(shipped / "lightning_logs" / "bce").history()
    for tag, column in COLUMNS.items():
        _, steps, values = zip(*get(f"scalars/scalars?run=bce&tag={quote(tag, safe='')}"), strict=True)
        filled = ~np.isnan(history[column])
        assert list(steps) == history["step"][filled].tolist()
        np.testing.assert_allclose(values, history[column][filled], rtol=1e-6)


@pytest.mark.process
def test_layout_graph_and_figures_are_there_and_the_boundary_moves(get: Get) -> None:
    """Training and validation loss share a chart."""
    charts = [chart for category in get("custom_scalars/layout")["category"] for chart in category["chart"]]
    assert ["train/loss", "val/loss"] in [chart["multiline"]["tag"] for chart in charts]
    assert set(get("images/tags")["bce"]) == IMAGES
    frames = get(f"images/images?run=bce&tag={quote('boundary during training')}&sample=0")
    assert [frame["step"] for frame in frames] == [0, 20, 80, 320]
    pictures = [get(f"images/individualImage?{frame['query']}") for frame in frames]
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
    assert len(set(pictures)) == len(pictures)
    assert get("graphs/info")["bce"]["run_graph"]
    graph = get("graphs/graph?run=bce&limit_attr_size=1024&large_attrs_key=_large_attrs")
    assert all(name in graph.decode() for name in ("Linear", "Tanh", "Sigmoid"))


def test_an_interrupted_and_resumed_run_has_no_gap_and_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And HPARAMS shows its options and its final accuracy."""
    monkeypatch.chdir(tmp_path)
    with signal_at(47):
        assert main(["fit", "--name", "a", "--model.loss", "mse", "--trainer.max_steps", "100"]) == 143
    assert main(["fit", "--ckpt_path", "last"]) == 0
    events = [event for file in sorted(Run("a").path.glob("ev*")) for event in EventFileLoader(str(file)).Load()]
    tags = [(value.tag, event.step) for event in events for value in event.summary.value]
    steps = {tag: [step for other, step in tags if other == tag] for tag, _ in tags}
    assert steps.pop("train/loss") == list(range(1, 101))
    assert all(steps.pop(f"val/{name}") == [20, 40, 60, 80, 100] for name in ("loss", "accuracy", "bce", "mse"))
    assert steps.pop("boundary during training") == [0, 20, 80]
    assert all(len(times) == 1 for times in steps.values()), steps
    assert sum(event.HasField("graph_def") for event in events) == 1
    shown = EventAccumulator(str(Run("a").path)).Reload()
    assert "hp_metric" not in steps
    assert shown.Scalars("hp/val_accuracy")[0].value == pytest.approx(Run("a").history()["val_accuracy"][-1])
    options = shown.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert all(word in options for word in (b"loss", b"mse", b"hidden_features", b"batch_size"))


def test_resuming_purges_the_steps_it_repeats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "--name", "a", "--trainer.max_steps", "60"]) == 0
    early = Run("a").best.read_bytes()
    assert main(["fit", "--ckpt_path", "last", "--trainer.max_steps", "100"]) == 0
    Run("a").last.write_bytes(early)  # as if the machine had lost the newest checkpoint, but not the events
    assert main(["fit", "--ckpt_path", "last", "--trainer.max_steps", "80"]) == 0
    events = EventAccumulator(str(Run("a").path), purge_orphaned_data=True).Reload()
    assert [scalar.step for scalar in events.Scalars("train/loss")] == list(range(1, 81))
