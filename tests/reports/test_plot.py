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
from project.runs.checkpoint import snapshots
from tests.commands.test_interruption import signal_at
from tests.figures.drawing import ODD

NAMES = ("scatter", "loss", "accuracy", "boundary", "hidden")
pytestmark = [pytest.mark.process, pytest.mark.usefixtures("workplace")]


def pictures(run: Run, form: str = "png") -> dict[str, bytes]:
    return {name: (run.figures / f"{name}.{form}").read_bytes() for name in NAMES}


def test_plot_draws_the_bytes_that_fit_drew(capsys: pytest.CaptureFixture[str]) -> None:
    """So does Python; the settings of a user change no pixel."""
    drawn = pictures(run := Run("minibatch"))
    film = run.film.read_bytes()
    shutil.rmtree(run.figures)
    with mpl.rc_context(ODD):
        assert main(["plot", "minibatch"]) == 0
        for figure, data in drawn.items():
            assert to_file(run.figure(figure), "png") == data
    assert (pictures(run), run.film.read_bytes()) == (drawn, film)
    written = [*(run.figures / f"{name}.png" for name in NAMES), run.film, run.path / "report.html"]
    assert capsys.readouterr().out == "".join(f"written: {path}\n" for path in written)
    with pytest.raises(ValueError, match="no such figure; need one of scatter, loss"):
        run.figure("confusion")


def test_the_film_shows_the_models_of_shorter_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """After validations 1, 2, 4, 8, ...; its pictures differ. A network of very many parameters has no film."""
    shown, run = (0, 1, 2, 4, 8, 16, 32, 50), Run("bce")
    models = snapshots(run.checkpoint(), BinaryClassifier)
    assert list(models) == [20 * validation for validation in shown]
    torch.testing.assert_close(models[0].state_dict(), run.model(initial=True).state_dict(), rtol=0, atol=0)
    monkeypatch.setattr("project.callbacks.checkpoints.MOST", 128)
    for steps in 20, 40:
        assert main(["fit", "--name", str(steps), "--trainer.max_steps", str(steps)]) == 0
        torch.testing.assert_close(models[steps].state_dict(), Run(str(steps)).model().state_dict(), rtol=0, atol=0)
        assert not Run(str(steps)).film.exists()
    assert run.film.stat().st_size < 2_000_000
    with Image.open(run.film) as film:
        frames = [frame.convert("RGB").tobytes() for frame in ImageSequence.Iterator(film)]
        assert (film.size, len(set(frames))) == ((1280, 480), len(shown))


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_files_have_the_size_asked_for(form: str) -> None:
    """A figure keeps its shape, of which some have two panels; a point of an svg or pdf is a 72nd of an inch."""
    assert main(["plot", "--dpi", "50", "--width", "3.2", "--format", form]) == 0
    pattern = rb'width="([\d.]+)pt" height="([\d.]+)pt"' if form == "svg" else rb"MediaBox \[ 0 0 (\S+) (\S+) "
    for name, data in pictures(Run("bce"), form).items():
        inches = 3.2, 1.2 if name in ("boundary", "hidden") else 2.4
        if form == "png":
            assert Image.open(io.BytesIO(data)).size == tuple(round(50 * side) for side in inches)
        else:
            assert [float(side) / 72 for side in re.findall(pattern, data)[0]] == pytest.approx(inches)
        assert len(data) < 1_000_000


def test_what_cannot_be_drawn_is_one_line(blobs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Options out of range, other data than those of the run, and a file that is gone."""
    run = Run("bce")
    for option, value in ("--dpi", "9"), ("--width", "0"), ("--format", "gif"):
        assert_refused(option, capsys, option, value)
    config = run.config.read_text()
    run.config.write_text(config.replace("root: null", f"root: {blobs}"))
    assert_refused(str(blobs), capsys)
    run.config.write_text(config)
    for file in run.table.path, run.last, run.config:
        file.unlink()
        assert_refused(file.name, capsys)


def assert_refused(named: str, capsys: pytest.CaptureFixture[str], *options: str) -> None:
    assert main(["plot", "bce", *options]) == 2
    assert re.fullmatch(f"error: .*{re.escape(named)}.*\n", capsys.readouterr().err)


def test_an_interrupted_run_is_drawn() -> None:
    with signal_at(13):
        assert main(["fit", "--name", "run"]) == 143
    run = Run("run")
    assert [file.name for file in run.figures.iterdir()] == ["scatter.png"]
    assert (main(["plot"]), len(pictures(run))) == (0, len(NAMES))
    assert list(run.figure("loss").axes[0].lines[0].get_xdata()) == list(range(1, 14))
    assert [ax.get_title() for ax in run.figure("boundary").axes[:2]] == ["before training", "after 13 iterations"]


@pytest.mark.parametrize("most", [classes.MOST_DOTS, 10])
def test_pictures_show_all_rows_or_some_at_random(most: int, blobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in its class and subset; and the title says so."""
    monkeypatch.setattr(classes, "MOST_DOTS", most)
    (data := NpyDataModule(blobs)).setup("fit")
    for name, parts in data.classes.dots.items():
        for rows, expected in zip(parts, rows_by_class(data, name), strict=True):
            assert set(map(tuple, rows.astype(np.float32))) <= set(map(tuple, expected))
    counts = [sum(map(len, parts)) for parts in data.classes.dots.values()]
    assert sum(counts) == min(most, 100)
    run = Run("bce", data=data)
    some = "10 of 100 datapoints, at random", f"{sum(counts[:2])} of 80 datapoints, at random"
    titles = run.figure("scatter").axes[0].get_title(), run.figure("boundary").get_suptitle()
    assert titles == (some if most == 10 else ("All datapoints", ""))


def rows_by_class(data: NpyDataModule, name: str) -> list[Numbers]:
    subset = getattr(data, name)
    return [subset.features.numpy()[subset.labels[:, 0].numpy() == label] for label in (0, 1)]


def test_only_the_figure_of_a_test_shows_test_rows(blobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the pictures of the boundary, of hidden units and of the film that fit draws; they have all other rows."""
    drawn = list[tuple[Numbers, Mapping[str, Classes]]]()

    def lay(train: Numbers, shown: Mapping[str, Classes], *others: Any) -> Scene:
        drawn.append((train, shown))
        return lay_scene(train, shown, *others)

    monkeypatch.setattr("project.reports.view.lay_scene", lay)
    assert main(["fit", "--name", "run", "--data.root", str(blobs), "--trainer.max_steps", "80"]) == 0
    assert (len(drawn), main(["test"]), len(drawn)) == (3, 0, 4)
    data, both = Run("run").data(), {"training": "train", "validation": "val"}
    for (train, shown), subsets in zip(drawn, (both, {"training": "train"}, both, {"test": "test"}), strict=True):
        np.testing.assert_array_equal(train.astype(np.float32), np.concatenate(rows_by_class(data, "train")))
        assert list(shown) == list(subsets)
        for name, parts in shown.items():
            for rows, expected in zip(parts, rows_by_class(data, subsets[name]), strict=True):
                np.testing.assert_array_equal(rows.astype(np.float32), expected)


def test_a_test_leaves_figures_that_plot_draws_again() -> None:
    """Of each checkpoint that was tested; not the boundary of a checkpoint that has changed since."""
    run, tests = Run("run"), ("test", "test-boundary", "test-early", "test-early-boundary")
    early = run.last.with_name("early.ckpt")
    assert main(["fit", "--name", "run", "--trainer.max_steps", "20"]) == 0
    shutil.copy(run.last, early)
    assert main(["fit", "--name", "run", "--ckpt_path", "last", "--trainer.max_steps", "40"]) == 0
    assert run.figure_names() == [*NAMES]
    assert main(["test"]) == main(["test", "--ckpt_path", str(early)]) == 0
    assert run.figure_names() == [*NAMES, *tests]
    drawn = {name: (run.figures / f"{name}.png").read_bytes() for name in tests}
    shutil.rmtree(run.figures)
    assert main(["plot", "--name", "run"]) == 0
    assert {name: (run.figures / f"{name}.png").read_bytes() for name in tests} == drawn
    for name, step in ("test-boundary", 40), ("test-early-boundary", 20):
        assert run.figure(name).axes[0].get_title() == f"after {step} iterations"
        assert run.figure(name.removesuffix("-boundary")).get_suptitle().endswith(f".ckpt after {step} iterations")
    shutil.copy(early, run.last)
    with pytest.raises(InputError, match="its test is of iteration 40; test the checkpoint of 20"):
        run.figure("test-boundary")


def test_a_picture_that_cannot_be_drawn_is_one_warning_and_drawn_later(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names, advice = ("scatter", "accuracy"), "try again later with: python -m project plot "
    with monkeypatch.context() as patch:
        for name in names:
            patch.setattr(f"project.reports.plot.{name}_figure", lambda *_: 1 / 0)
        assert main(["fit", "--name", "run", "--trainer.max_steps", "30"]) == 0
    stderr, run = capsys.readouterr().err, Run("run")
    expected = "".join(rf"warning: {name} was not drawn \(division by zero\); {advice}\S+\n" for name in names)
    assert re.fullmatch(expected, stderr)
    assert (run.checkpoint()["global_step"], run.table.rows) == (30, 30)
    assert {file.stem for file in run.figures.glob("*.png")} == {*NAMES} - {*names}
    assert (main(stderr.split()[-2:]), len(pictures(run))) == (0, len(NAMES))
