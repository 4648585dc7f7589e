"""What TensorBoard shows of a run, asked over its own HTTP interface."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from project.__main__ import main
from project.run import Run


class Client:
    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str) -> Any:
        with urlopen(self.url + path) as answer:  # noqa: S310 (an address of this machine)
            body = answer.read()
        return json.loads(body) if answer.headers["Content-Type"].startswith("application/json") else body


@pytest.fixture(scope="module")
def tensorboard(shipped: Path) -> Iterator[Client]:
    """Serve the shipped configs' runs."""
    arguments = ["--logdir", str(shipped / "lightning_logs"), "--port", "0", "--load_fast", "false"]
    arguments += ["--samples_per_plugin", "images=100"]
    with subprocess.Popen(
        [sys.executable, "-m", "tensorboard.main", *arguments], stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        url = next(match[0] for line in server.stderr if (match := re.search(r"http://\S+/", line)))
        client = Client(url)
        while len(client.get("data/plugin/images/tags")) < 4 or not client.get("data/plugin/graphs/info"):
            time.sleep(0.2)  # it reads the events in the background
        yield client
        server.terminate()


def test_scalars_have_the_step_numbers_and_values_of_the_history(tensorboard: Client, shipped: Path) -> None:
    assert set(tensorboard.get("data/plugin/scalars/tags")["bce"]) >= {"train/loss", "val/loss", "val/accuracy"}
    history = Run(shipped / "lightning_logs" / "bce").history.read()
    validated = ~np.isnan(history["val_loss"])
    for tag, column in {"train/loss": "train_loss", "val/loss": "val_loss", "val/accuracy": "val_accuracy"}.items():
        rows = tensorboard.get(f"data/plugin/scalars/scalars?run=bce&tag={quote(tag, safe='')}")
        where = validated if tag.startswith("val") else slice(None)
        assert [row[1] for row in rows] == history["step"][where].astype(int).tolist()
        np.testing.assert_allclose([row[2] for row in rows], history[column][where], rtol=1e-6)


def test_training_and_validation_loss_share_a_chart(tensorboard: Client) -> None:
    layout = tensorboard.get("data/plugin/custom_scalars/layout")
    charts = [chart for category in layout["category"] for chart in category["chart"]]
    assert ["train/loss", "val/loss"] in [chart["multiline"]["tag"] for chart in charts]


def test_figures_are_images_and_the_boundary_moves(tensorboard: Client) -> None:
    tags = tensorboard.get("data/plugin/images/tags")["bce"]
    assert set(tags) == {"scatter", "loss", "accuracy", "boundary", "boundary during training"}
    frames = tensorboard.get(f"data/plugin/images/images?run=bce&tag={quote('boundary during training')}&sample=0")
    assert [frame["step"] for frame in frames] == [0, 20, 80, 320]
    pictures = [tensorboard.get(f"data/plugin/images/individualImage?{frame['query']}") for frame in frames]
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
    assert len(set(pictures)) == len(pictures)


def test_the_graph_is_there(tensorboard: Client) -> None:
    assert tensorboard.get("data/plugin/graphs/info")["bce"]["run_graph"]
    graph = tensorboard.get("data/plugin/graphs/graph?run=bce&limit_attr_size=1024&large_attrs_key=_large_attrs")
    assert all(name in graph.decode() for name in ("Linear", "Tanh", "Sigmoid"))


def test_hparams_show_the_options_and_the_final_accuracy(shipped: Path) -> None:
    run = Run(shipped / "lightning_logs" / "mse")
    events = EventAccumulator(str(run.path)).Reload()
    assert "hp_metric" not in events.Tags()["scalars"]
    (final,) = events.Scalars("hp/val_accuracy")
    assert final.value == pytest.approx(run.history.read()["val_accuracy"][-1])
    start = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert b"loss" in start
    assert b"mse" in start


def test_resuming_purges_the_steps_it_repeats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "--name", "a", "--trainer.max_steps", "60"]) == 0
    run = Run(tmp_path / "lightning_logs" / "a")
    early = run.best.read_bytes()
    assert main(["fit", "--ckpt_path", "last", "--trainer.max_steps", "100"]) == 0
    run.last.write_bytes(early)  # as if the machine had lost the newest checkpoint, but not the events
    assert main(["fit", "--ckpt_path", "last", "--trainer.max_steps", "80"]) == 0
    events = EventAccumulator(str(run.path), purge_orphaned_data=True).Reload()
    assert [scalar.step for scalar in events.Scalars("train/loss")] == list(range(1, 81))
