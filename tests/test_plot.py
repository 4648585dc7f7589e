"""A run's figures, drawn again from what its folder holds."""

import io
import re
import shutil
import signal
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import torch
from PIL import Image

from project import Run
from project.__main__ import main
from project.data import NpyDataModule, classes
from project.figures.style import to_pixels
from project.model import BinaryClassifier
from tests.figures.test_style import ODD

NAMES = ("scatter", "loss", "accuracy", "boundary")


def pictures(run: Run, form: str = "png") -> dict[str, bytes]:
    return {name: (run.figures / f"{name}.{form}").read_bytes() for name in NAMES}


@pytest.mark.parametrize("name", ["bce", "minibatch", "notebook"])
def test_plot_draws_the_bytes_that_fit_drew(name: str, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither the settings of a user nor rows of classes that differ change a pixel."""
    run = Run(name)
    drawn = pictures(run)
    shutil.rmtree(run.figures)
    with mpl.rc_context(ODD):
        assert main(["plot", name]) == 0
        np.testing.assert_array_equal(to_pixels(run.figure("accuracy")), Image.open(run.figures / "accuracy.png"))
    assert pictures(run) == drawn
    assert capsys.readouterr().out == "".join(f"written: {run.figures / name}.png\n" for name in NAMES)


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
@pytest.mark.parametrize(("dpi", "width"), [(100, None), (50, 3.2)])
def test_files_have_the_size_asked_for(form: str, dpi: int, width: float | None, workplace: Path) -> None:
    """A figure keeps its shape, of which the boundary has two panels; a point of an svg or pdf is a 72nd of an inch."""
    options = ["--dpi", str(dpi), "--width", str(width)] if width else []
    assert main(["plot", *options, "--format", form]) == 0
    pattern = rb'width="([\d.]+)pt" height="([\d.]+)pt"' if form == "svg" else rb"MediaBox \[ 0 0 (\S+) (\S+) "
    for name, data in pictures(Run("bce"), form).items():
        across = width or (12.8 if name == "boundary" else 6.4)
        inches = across, across * (0.375 if name == "boundary" else 0.75)
        if form == "png":
            assert Image.open(io.BytesIO(data)).size == tuple(int(side * dpi + 1e-9) for side in inches)
        else:
            found = re.search(pattern, data)
            assert found is not None
            assert [float(side) / 72 for side in found.groups()] == pytest.approx(inches)
        assert len(data) < 1_000_000


@pytest.mark.parametrize("options", [("--dpi", "9"), ("--width", "0"), ("--format", "gif")])
def test_what_cannot_be_drawn_is_refused_in_one_line(
    options: tuple[str, ...], workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plot", *options]) == 2
    stderr = capsys.readouterr().err
    assert stderr.startswith("error: ")
    assert f"{options[0]}: " in stderr
    assert stderr.count("\n") == 1


@pytest.mark.parametrize("gone", ["history.csv", "config.yaml", "checkpoints/last.ckpt", "data"])
def test_what_is_missing_or_another_is_one_line(
    gone: str, blobs: Path, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run("bce")
    if gone == "data":
        run.config.write_text(run.config.read_text().replace("root: null", f"root: {blobs}"))
    else:
        (run.path / gone).unlink()
    assert main(["plot", "bce"]) == 2
    stderr = capsys.readouterr().err
    assert stderr.startswith("error: ")
    assert (str(blobs) if gone == "data" else gone) in stderr
    assert stderr.count("\n") == 1


def test_an_interrupted_run_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        end = lambda model, *_: signal.raise_signal(signal.SIGTERM) if model.global_step == 13 else None  # noqa: E731
        patch.setattr(BinaryClassifier, "on_train_batch_start", end)
        assert main(["fit", "--name", "run"]) == 143
    run = Run("run")
    assert [file.name for file in run.figures.iterdir()] == ["scatter.png"]
    assert main(["plot"]) == 0
    assert set(pictures(run)) == set(NAMES)
    assert list(run.figure("loss").axes[0].lines[0].get_xdata()) == list(range(1, len(run.history()["step"]) + 1))
    titles = [ax.get_title() for ax in run.figure("boundary").axes[:2]]
    assert titles == ["before training", f"after {run.checkpoint()['global_step']} iterations"]


def test_a_run_gives_its_parts_in_python(workplace: Path) -> None:
    run = Run("bce")
    for name in NAMES:
        np.testing.assert_array_equal(to_pixels(run.figure(name)), Image.open(run.figures / f"{name}.png"))
    history, model, test = run.history(), run.model(), run.data().test
    with torch.no_grad():
        right = (model(test.features) >= 0.5) == test.labels
    assert right.double().mean().item() == pytest.approx(history["test_accuracy"][-1])
    assert history["step"].tolist() == list(range(1, 1001))
    with pytest.raises(ValueError, match="no such figure; need one of scatter, loss"):
        run.figure("confusion")


@pytest.mark.parametrize("most", [20_000, 10])
def test_pictures_show_the_rows_of_each_class_and_subset_or_some_of_them(
    most: int, blobs: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classes, "MOST_DOTS", most)
    data = NpyDataModule(blobs)
    data.setup("fit")
    dots = data.classes.dots
    assert sum(len(rows) for parts in dots.values() for rows in parts) == min(most, 100)
    for name, parts in dots.items():
        subset = getattr(data, name)
        for label, rows in enumerate(parts):
            expected = subset.features.numpy()[subset.labels[:, 0].numpy() == label]
            assert set(map(tuple, rows)) <= set(map(tuple, expected))
            assert len(rows) == len(expected) or most == 10
    shown = Run("bce", data=data).figure("scatter").axes[0].get_title()
    assert shown == ("All datapoints" if most == 20_000 else "10 of 100 datapoints, at random")


@pytest.mark.parametrize("name", ["scatter", "accuracy"])
def test_a_picture_that_cannot_be_drawn_is_one_warning_and_drawn_later(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no font")

    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(f"project.plot.{name}", fail)
        assert main(["fit", "--trainer.max_steps", "30"]) == 0
    stderr = capsys.readouterr().err
    assert stderr.startswith(f"warning: {name} was not drawn (no font); try again later with: python -m project plot ")
    assert stderr.count("\n") == 1
    run = Run("version_0")
    assert (run.checkpoint()["global_step"], run.table.rows) == (30, 30)
    assert not (run.figures / f"{name}.png").exists()
    assert main(stderr.split()[-2:]) == 0
    assert set(pictures(run)) == set(NAMES)
