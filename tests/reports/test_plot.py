"""A run's figures, drawn again from what its folder holds."""

import io
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from project import Run
from project.__main__ import main
from project.data import NpyDataModule, classes
from project.errors import InputError
from project.figures.boundary import Scene, lay_scene
from project.figures.style import Classes, Numbers, to_file
from project.model import BinaryClassifier
from project.reports import plot
from project.runs.checkpoint import snapshots
from tests.commands.test_interruption import signal_at
from tests.figures.drawing import ODD

NAMES = ("scatter", "loss", "accuracy", "boundary", "hidden")
TESTS = ("test", "importance", "test-boundary", "test-best", "importance-best", "test-best-boundary")
ONE = "<b>one"
Captured, Patch = pytest.CaptureFixture[str], pytest.MonkeyPatch
pytestmark = [pytest.mark.process, pytest.mark.usefixtures("runs")]


def pictures(run: Run) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in run.figures.glob("*.png")}


def keep(monkeypatch: Patch, *names: str) -> None:
    """Let a run have these figures alone, and a new one no film."""
    monkeypatch.setattr(plot, "FIGURES", {name: plot.FIGURES[name] for name in names})
    monkeypatch.setattr("project.callbacks.checkpoints.MOST", 1)  # parameters


def rows_by_class(data: NpyDataModule, name: str) -> list[Numbers]:
    subset = getattr(data, name)
    return [subset.features.numpy()[subset.labels[:, 0].numpy() == label] for label in (0, 1)]


def test_plot_draws_the_bytes_of_fit_and_test_and_only_tests_show_test_rows(
    monkeypatch: Patch, capsys: Captured
) -> None:
    """So does Python; the settings of a user change no pixel. All other rows are in view."""
    drawn = list[tuple[Numbers, Mapping[str, Classes]]]()

    def lay(train: Numbers, shown: Mapping[str, Classes], *others: Any) -> Scene:
        drawn.append((train, shown))
        return lay_scene(train, shown, *others)

    monkeypatch.setattr("project.reports.view.lay_scene", lay)
    before, film = pictures(run := Run(ONE)), run.film.read_bytes()
    assert run.figure_names() == [*NAMES, *TESTS]
    shutil.rmtree(run.figures)
    with mpl.rc_context(ODD):
        assert main(["plot", ONE]) == 0
        assert to_file(run.figure("accuracy"), "png") == before["accuracy"]
    assert (pictures(run), run.film.read_bytes()) == (before, film)
    written = [*(run.figures / f"{name}.png" for name in (*NAMES, *TESTS)), run.film, run.path / "report.html"]
    assert capsys.readouterr().out == "".join(f"written: {path}\n" for path in written)
    data, both, test = run.data(), {"training": "train", "validation": "val"}, {"test": "test"}
    for (train, shown), subsets in zip(drawn, (both, {"training": "train"}, test, test, both), strict=True):
        np.testing.assert_array_equal(train.astype(np.float32), np.concatenate(rows_by_class(data, "train")))
        assert list(shown) == list(subsets)
        for name, parts in shown.items():
            for rows, expected in zip(parts, rows_by_class(data, subsets[name]), strict=True):
                np.testing.assert_array_equal(rows.astype(np.float32), expected)
    with pytest.raises(ValueError, match="no such figure; need one of scatter, loss"):
        run.figure("confusion")
    for name, step in ("test-boundary", 101), ("test-best-boundary", run.numbers("best")["step"]):
        assert run.figure(name).axes[0].get_title() == f"after {step} iterations"
        assert run.figure(name.removesuffix("-boundary")).get_suptitle().endswith(f".ckpt after {step} iterations")
    shutil.copy(run.best, run.last)
    with pytest.raises(InputError, match="its test is of iteration 101; test the checkpoint of"):
        run.figure("test-boundary")


@pytest.mark.usefixtures("quick")
def test_the_film_shows_the_models_of_shorter_runs(monkeypatch: Patch) -> None:
    """After validations 1, 2, 4, 8, ...; its pictures differ. A network of very many parameters has no film."""
    models, run = snapshots(Run("two").checkpoint(), BinaryClassifier), Run(ONE)
    shown, initial = list(snapshots(run.checkpoint(), BinaryClassifier)), Run("two").model(initial=True)
    assert (list(models), shown) == ([0, 20, 40, 60], [0, 20, 40, 80, 101])
    torch.testing.assert_close(models[0].state_dict(), initial.state_dict(), rtol=0, atol=0)
    with Image.open(run.film) as film:
        frames = [frame.convert("RGB").tobytes() for frame in ImageSequence.Iterator(film)]
        assert (film.size, len(set(frames))) == ((1280, 480), len(shown))
    monkeypatch.setattr("project.callbacks.checkpoints.MOST", 128)
    assert main(["fit", "--config", str(Run("two").config), "--name", "short", "--trainer.max_steps", "40"]) == 0
    torch.testing.assert_close(models[40].state_dict(), Run("short").model().state_dict(), rtol=0, atol=0)
    assert plot.draw_film(Run("short")) == {}


def test_files_have_the_size_asked_for(monkeypatch: Patch) -> None:
    """A figure keeps its shape, of which some have two panels; a point of an svg or pdf is a 72nd of an inch."""
    keep(monkeypatch, "loss", "hidden")
    monkeypatch.setattr(plot, "draw_film", lambda _: {})
    assert main(["plot", "two", "--dpi", "50", "--width", "6.4"]) == 0
    patterns = {"svg": rb'width="([\d.]+)pt" height="([\d.]+)pt"', "pdf": rb"MediaBox \[ 0 0 (\S+) (\S+) "}
    for form, pattern in patterns.items():
        for path in plot.plot(run := Run("two"), form, 50, 6.4):
            data, inches = path.read_bytes(), (6.4, 2.4 if path.stem == "hidden" else 4.8)
            assert [float(side) / 72 for side in re.findall(pattern, data)[0]] == pytest.approx(inches)
            assert len(data) < 1_000_000
            picture = Image.open(io.BytesIO(pictures(run)[path.stem]))
            assert picture.size == tuple(round(50 * side) for side in inches)


def test_what_cannot_be_drawn_is_one_line(capsys: Captured) -> None:
    """Options out of range, other data than those of the run, and a file that is gone."""
    run = Run("two")
    config = run.config.read_text()
    for named, *options in ("--dpi", "--dpi", "9"), ("--width", "--width", "0"), ("--format", "--format", "gif"):
        assert_refused(named, capsys, *options)
    run.config.write_text(config.replace("/data\n", "/tiny\n"))
    assert_refused("/tiny", capsys)
    run.config.write_text(config)
    for file in run.table.path, run.last, run.config:
        file.unlink()
        assert_refused(file.name, capsys)


def assert_refused(named: str, capsys: Captured, *options: str) -> None:
    assert main(["plot", "two", *options]) == 2
    assert re.fullmatch(f"error: .*{re.escape(named)}.*\n", capsys.readouterr().err)


def test_an_interrupted_run_is_drawn(monkeypatch: Patch) -> None:
    keep(monkeypatch, "scatter", "loss", "boundary", "hidden")
    with signal_at(13):
        assert main(["fit", "--name", "run", "--data.root", "data"]) == 143
    run = Run("run")
    assert [*pictures(run)] == ["scatter"]
    assert (main(["plot"]), {*pictures(run)}) == (0, {*plot.FIGURES})
    assert list(run.figure("loss").axes[0].lines[0].get_xdata()) == list(range(1, 14))
    assert [ax.get_title() for ax in run.figure("boundary").axes[:2]] == ["before training", "after 13 iterations"]


def test_titles_say_if_pictures_show_some_rows_at_random(monkeypatch: Patch) -> None:
    monkeypatch.setattr(classes, "MOST_DOTS", 10)
    run = Run("two")
    counts = [sum(map(len, parts)) for parts in run.data().classes.dots.values()]
    titles = run.figure("scatter").get_suptitle(), run.figure("boundary").get_suptitle()
    assert titles == tuple(f"{n} of {of} rows: some at random" for n, of in ((10, 100), (sum(counts[:2]), 80)))


@pytest.mark.usefixtures("quick")
@pytest.mark.filterwarnings("ignore:.*dropped 10 of 60 rows")
def test_the_scatter_is_of_two_features_and_of_components_as_asked_for(capsys: Captured, monkeypatch: Patch) -> None:
    """Of more features than two; and it says how many rows were left out so that classes are equal."""
    for label, rows in enumerate((50, 60)):
        np.save(f"data/class_{label}.npy", np.random.default_rng(label).normal(label, 1, (rows, 4)))
    short = ["--trainer.max_steps", "20", "--data.balance", "downsample"]
    assert main(["fit", "--name", "wide", "--data.root", "data", *short]) == 0
    Path("data").rename("moved")
    assert main(["plot", "wide"]) == 2
    assert "/data: no such folder; --data.root names" in capsys.readouterr().err, "an option that plot has"
    titles = ["the first two of 4 features", "4 features in the plane of most variance"]
    for plane, shown in {"best": titles, "model": titles, "features": titles[:1], "components": titles[1:]}.items():
        run = Run("wide")
        run.instead = {"data": {"root": "moved"}, "figures": {"plane": plane}}
        figure = run.figure("scatter")
        assert [ax.get_title() for ax in figure.axes] == shown
        assert figure.get_suptitle() == "100 of 110 rows: classes made equal"
        if plane == "features":
            features = np.asarray(figure.axes[0].collections[0].get_offsets(), np.float32)
            rows = np.load("moved/class_0.npy")[:, :2].astype(np.float32)
            assert set(map(tuple, features)) == set(map(tuple, rows)), "feature 1 against feature 2"
    keep(monkeypatch, "scatter", "hidden")
    assert main(["plot", "wide", "--data.root", "moved", "--figures.plane", "components"]) == 0
    assert Image.open(io.BytesIO(pictures(Run("wide"))["scatter"])).size == (640, 480)


def test_a_picture_that_cannot_be_drawn_is_one_warning_and_drawn_later(monkeypatch: Patch, capsys: Captured) -> None:
    names, advice = ("scatter", "accuracy"), "try again later with: python -m project plot "
    keep(monkeypatch, *names, "loss", "hidden")
    with monkeypatch.context() as patch:
        for name in names:
            patch.setattr(f"project.reports.plot.{name}_figure", lambda *_: 1 / 0)
        assert main(["fit", "--name", "run", "--data.root", "data", "--trainer.max_steps", "30"]) == 0
    stderr, run = capsys.readouterr().err, Run("run")
    expected = "".join(rf"warning: {name} was not drawn \(division by zero\); {advice}\S+\n" for name in names)
    assert re.fullmatch(expected, stderr)
    assert (run.checkpoint()["global_step"], run.table.rows, sorted(pictures(run))) == (30, 30, ["hidden", "loss"])
    assert (main(stderr.split()[-2:]), {*pictures(run)}) == (0, {*plot.FIGURES})
