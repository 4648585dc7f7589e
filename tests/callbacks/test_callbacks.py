"""Each callback stands alone, in any order; and what TensorBoard is told of a run."""

import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from lightning.pytorch import Callback
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from project import Run
from project.__main__ import main
from project.callbacks import CALLBACKS, Checkpoints
from tests.commands.test_interruption import signal_at

pytestmark = pytest.mark.process

FIT = ["fit", "--trainer.max_steps", "60", "--data.batch_size", "30", "--data.root", "data"]
ADAM = ["--optimizer", "Adam", "--optimizer.lr", "0.01"]
COLUMNS = {"train/bce": "train_loss", "val/loss": "val_loss", "val/accuracy": "val_accuracy"}
FIGURES = {"scatter", "loss", "accuracy", "boundary", "hidden"}


@pytest.fixture
def small(blobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("project.reports.view.GRID_POINTS", 20)
    monkeypatch.chdir(blobs.parent)


def train_with(kinds: Sequence[type[Callback]], arguments: list[str]) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("project.commands.network.CALLBACKS", tuple(kinds))
        return main(arguments)


def contents(run: Run) -> dict[str, bytes]:
    """Return what a run has written, but for the events, which hold the time, and its name, which the report tells."""
    files = [file for file in run.path.rglob("*") if file.is_file() and "tfevents" not in file.name]
    name = run.path.name.encode()
    return {str(file.relative_to(run.path)): file.read_bytes().replace(name, b"NAME") for file in files}


def train_parts(kinds: Sequence[type[Callback]], name: str) -> list[dict[str, bytes]]:
    """Train a run to its end, and one that a SIGTERM stops; return what they wrote, the second also when resumed."""
    whole, parts = f"{name}-whole", f"{name}-parts"
    assert train_with(kinds, [*FIT, "--name", whole]) == 0
    with signal_at(47):  # Validations come after iterations 20, 40 and 60.
        assert train_with(kinds, [*FIT, "--name", parts]) == 143
    stopped = contents(Run(parts))
    assert train_with(kinds, ["fit", "--ckpt_path", "last"]) == 0
    return [contents(Run(whole)), stopped, contents(Run(parts))]


@pytest.mark.usefixtures("small")
def test_any_order_gives_the_same_bytes_with_and_without_a_signal() -> None:
    """Checkpoints hold the states of callbacks in the order of the list, and even they are the same."""
    whole, stopped, resumed = train_parts(CALLBACKS, "usual")
    assert whole == resumed
    names = {"config.yaml", "history.csv", "report.html", "figures/boundary.gif", ".lock"}
    names |= {"checkpoints/best.ckpt", "checkpoints/last.ckpt", *(f"figures/{name}.png" for name in FIGURES)}
    assert whole.keys() == names
    assert stopped["history.csv"].count(b"\n") == 48
    assert train_parts(CALLBACKS[::-1], "reversed") == [whole, stopped, resumed]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", CALLBACKS)
def test_each_stands_alone_and_what_none_has_made_is_said_in_one_line(
    kind: type[Callback], capsys: pytest.CaptureFixture[str]
) -> None:
    assert train_with([kind], [*FIT, "--name", "a"]) == 0
    capsys.readouterr()
    assert main(["plot", "a"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert ("history.csv" if kind is Checkpoints else "no such checkpoint") in said


def test_tensorboard_is_told_scalars_layout_graph_config_and_figures(shipped: Path) -> None:
    """Scalars as in the history; a chart for each criterion; the boundary moves, and panels are below each other."""
    run = Run(shipped / "lightning_logs" / "bce")
    shown, history = EventAccumulator(str(run.path), size_guidance={"images": 0, "tensors": 0}).Reload(), run.history()
    for tag, column in COLUMNS.items():
        scalars, filled = shown.Scalars(tag), ~np.isnan(history[column])
        assert [scalar.step for scalar in scalars] == history["step"][filled].tolist()
        np.testing.assert_allclose([scalar.value for scalar in scalars], history[column][filled], rtol=1e-6)
    layout = Layout.FromString(shown.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    charts = {chart.title: list(chart.multiline.tag) for chart in layout.category[0].chart}
    assert charts == {name: [f"{of}/{name}" for of in ("train", "val", "test")] for name in ("accuracy", "bce", "mse")}
    assert set(shown.Tags()["images"]) == {f"views/{name}" for name in FIGURES}
    frames = {frame.encoded_image_string: frame.step for frame in shown.Images("views/boundary")}
    assert list(frames.values()) == [0, 20, 40, 80, 160, 320, 640, 1000]
    sizes = {Image.open(BytesIO(frame)).size for frame in frames}
    assert sizes == {(640, 480)}, "no card is wider than what it shows"
    for name in "scatter", "loss", "accuracy":
        (picture,) = (Image.open(BytesIO(each.encoded_image_string)) for each in shown.Images(f"views/{name}"))
        assert picture.tobytes() == Image.open(run.figures / f"{name}.png").convert("RGB").tobytes(), name
    graph = str(shown.Graph())
    assert all(name in graph for name in ("sub", "mul", "Linear", "Tanh", "Sigmoid")), "and standardization"
    assert b"hidden_features" in shown.Tensors("config/text_summary")[0].tensor_proto.string_val[0]


def test_an_interrupted_and_resumed_run_has_no_gap_and_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And HPARAMS shows its options and its final accuracy. Resuming anew purges the steps that it repeats."""
    monkeypatch.chdir(tmp_path)
    with signal_at(47):
        assert main(["fit", "--name", "a", "--model.loss", "mse", "--trainer.max_steps", "100", *ADAM]) == 143
    early, run = Run("a").last.read_bytes(), Run("a")
    assert main(["fit", "--ckpt_path", "last"]) == 0
    events = [event for file in sorted(run.path.glob("ev*")) for event in EventFileLoader(str(file)).Load()]
    tags = [(value.tag, event.step) for event in events for value in event.summary.value]
    steps = {tag: [step for other, step in tags if other == tag] for tag, _ in tags}
    assert steps.pop("train/mse") == list(range(1, 101))
    assert all(steps.pop(f"val/{name}") == [20, 40, 60, 80, 100] for name in ("loss", "accuracy", "bce", "mse"))
    assert steps.pop("views/boundary") == [0, 20, 40, 80, 100]
    assert set(steps) > {
        *(f"views/{name}" for name in FIGURES - {"boundary"}),
        "custom_scalars__config__",
        "config/text_summary",
    }
    assert all(len(times) == 1 for times in steps.values()), steps
    shown, names = EventAccumulator(str(run.path)).Reload(), ("experiment", "session_start_info")
    found = [shown.SummaryMetadata(f"_hparams_/{name}").plugin_data.content for name in names]
    experiment, started = map(HParamsPluginData.FromString, found)
    metrics = [metric.name.tag for metric in experiment.experiment.metric_infos]
    assert metrics == ["val/accuracy", "test/accuracy", "val/loss", "test/loss"]
    options = started.session_start_info.hparams
    assert set(options) == {"lr", "optimizer", "options"}, "with more of them, metrics would be off the first screen"
    assert (options["lr"].number_value, options["optimizer"].string_value) == (0.01, "Adam")
    assert options["options"].string_value == "loss mse, max_steps 100"

    run.last.write_bytes(early)  # as if the machine had lost the newest checkpoint, but not the events
    older = re.sub(r",[^,\n]*\n", "\n", run.table.path.read_text())  # as runs were before training accuracy was there
    run.table.path.write_text(older)
    assert main(["fit", "--ckpt_path", "last", "--trainer.max_steps", "80"]) == 0
    shown = EventAccumulator(str(run.path), purge_orphaned_data=True).Reload()
    assert [scalar.step for scalar in shown.Scalars("train/mse")] == list(range(1, 81))
    assert run.table.path.read_text() == "".join(older.splitlines(keepends=True)[:81])
    assert (run.figures / "accuracy.png").stat().st_mtime > run.last.stat().st_mtime
