"""One HTML file, report.html, of a run, a study or a comparison."""

import base64
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

import torch
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from project.data import NpyDataModule
from project.errors import InputError, name_columns
from project.evaluation.estimate import digits
from project.figures.style import encode_png, pick_evenly, reduce_colours
from project.options import flatten
from project.reports.plot import FIGURES, PLANE, TEST_FIGURES
from project.runs.disk import write_whole
from project.runs.predictions import tested_checkpoint
from project.runs.run import RunFolder

MOST_BYTES = 400_000  # of a film: with it, a report shall stay below 1 MB
LIBRARIES = ("torch", "lightning", "numpy", "matplotlib", "tensorboard")
FOUND, ABSENT, UNKNOWN = "found", "looked for, not found", "not looked for"


Pictures = Sequence[tuple[str, str]]  # what each shows in words, and a PNG file in base64


class Section(NamedTuple):
    """A part of a report: texts, a table, a film that a slider moves, figures, commands, as far as it has them."""

    title: str
    texts: Sequence[str] = ()
    header: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    film: Pictures = ()
    figures: Pictures = ()
    commands: Sequence[str] = ()


def write_report(run: RunFolder) -> Path:
    """Write report.html into a run's folder from what that holds, say there what is missing, and return its path."""
    sections = [data_section(run), options_section(run), training_section(run)]
    sections += [*(test_section(run, test) for test in run.tests), leaks_section(run), commands_section(run)]
    return render(run.path, f"Run {run.path.name}", f"{run.table.rows} iterations of a binary classifier", sections)


def render(folder: Path, title: str, subtitle: str, sections: Sequence[Section]) -> Path:
    """Write sections as report.html into a folder; whatever names hold stays text."""
    loader = PackageLoader("project.reports", ".")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    versions = ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in LIBRARIES)])
    text = environment.get_template("report.html").render(
        title=title, subtitle=subtitle, sections=sections, marked=FOUND, versions=f"Written with {versions}."
    )
    write_whole(folder / "report.html", text.encode())
    return folder / "report.html"


def data_section(run: RunFolder) -> Section:
    try:
        data = run.data()
    except InputError as error:
        return Section("Data", [f"The data are not where they were: {error}"])
    classes = data.classes
    rows = [("folder", str(data.root.absolute()))]
    for name, file, digest in zip(data.class_names, classes.files, classes.fingerprint["sha256"], strict=True):
        rows.append((f"{name} ({file.name})", digest))
    rows.append(("features", ", ".join(data.feature_names)))
    rows += [(f"rows in {name}", str(count)) for name, count in classes.rows.items()]
    if classes.groups is not None:
        rows.append(("split by", data.split))
    texts = [f"Noticed: {each}." for each in oddities(data)] or ["Nothing odd was noticed about the data."]
    return Section("Data", texts, rows=rows, figures=pictures(run.figures, {"scatter": FIGURES["scatter"].words}))


def oddities(data: NpyDataModule) -> list[str]:
    """Return in words what is odd about the data: rows that occur twice, constant columns."""
    overlap, (_, std), found = data.classes.overlap, data.statistics, list[str]()
    if overlap is None:
        found.append("there are too many rows to look for equal ones")
    elif overlap.both_classes:
        found.append(f"{overlap.both_classes} feature vectors occur in both classes, which nothing can tell apart")
    if constant := torch.nonzero(std == 0)[:, 0].tolist():
        found.append(f"{name_columns(constant)} constant in the training subset")
    return found


def options_section(run: RunFolder) -> Section:
    options = run.options()
    trainer = options.get("trainer") or {}
    shown = flatten({group: options.get(group) or {} for group in ("data", "model")})
    shown |= {f"trainer.{name}": trainer.get(name) for name in ("max_steps", "val_check_interval", "accelerator")}
    shown["seed_everything"] = options.get("seed_everything")
    return Section("Options", rows=list(shown.items()))


def training_section(run: RunFolder) -> Section:
    try:
        rows = [(name, digits(value)) for name, value in run.final().items()]
    except InputError as error:
        return Section("Training", [f"What was recorded of it is not there: {error}"])
    texts = []
    if (lowest := run.lowest(run.table.rows)) is not None:
        texts.append(f"The validation loss was lower, {digits(lowest[1])}, after iteration {lowest[0]}: best.ckpt.")
    film = film_pictures(run.film)
    left_out = {"scatter", "boundary"} if film else {"scatter"}
    shown = {name: figure.words for name, figure in FIGURES.items() if name not in left_out}
    return Section("Training", texts, ("", "at the end"), rows, film, pictures(run.figures, shown))


def test_section(run: RunFolder, test: str) -> Section:
    numbers = run.numbers(tested_checkpoint(test))
    names = [name for name in numbers if f"{name}_interval" in numbers]
    rows = [(name, *map(digits, (numbers[name], *numbers[f"{name}_interval"]))) for name in names]
    texts = [f"{numbers['rows']} test rows, {numbers['checkpoint']} after {numbers['step']} iterations."]
    if "claim" in numbers:
        texts.append(f"An estimate for {numbers['claim']}.")
    shown = {f"{test}{name}": figure.words for name, figure in TEST_FIGURES.items()}
    header = ("", "value", "95 % from", "to")
    return Section(test.capitalize(), texts, header, rows, figures=pictures(run.figures, shown))


def leaks_section(run: RunFolder) -> Section:
    """Tell which of the eight types of leakage of Kapoor and Narayanan (2023) were looked for, and what was found.

    "Leakage and the reproducibility crisis in machine-learning-based science", Patterns 4, 100804.
    """
    try:
        data = run.data()
    except InputError:
        data = None
    duplicates, groups = (UNKNOWN, "the rows could not be compared"), (UNKNOWN, "there are no group files")
    if data and data.classes.overlap is not None:
        count = data.classes.overlap.test_in_train
        duplicates = (FOUND if count else ABSENT, f"{count} test rows also occur in train")
    if data and data.classes.groups is not None and data.split == "rows":
        groups = (FOUND, "groups have rows in several subsets: the test speaks of new rows of these groups")
    elif data and data.classes.groups is not None:
        groups = (ABSENT, "no group has rows in two subsets")
    rows = [
        ("no test set", ABSENT, "a fifth of the rows is tested on, and nothing else"),
        ("preprocessing on training and test set", ABSENT, "features are scaled by the training subset alone"),
        ("feature selection on training and test set", ABSENT, "no feature is selected"),
        ("duplicates", *duplicates),
        ("illegitimate features", UNKNOWN, "only who knows the features can tell"),
        ("temporal leakage", UNKNOWN, "rows have no time here"),
        ("dependence between training and test rows", *groups),
        ("sampling bias in the test set", UNKNOWN, "each class is half of it, whatever its share where rows come from"),
    ]
    return Section("Leaks", header=("type", "was", "because"), rows=rows)


def commands_section(run: RunFolder) -> Section:
    config, last, more = quote(str(run.config)), quote(str(run.last)), 2 * max(run.table.rows, 1)
    commands = (
        f"fit --config {config}",
        f"fit --ckpt_path {last} --trainer.max_steps {more}",
        f"test --ckpt_path {last}",
        f"predict --ckpt_path {last} --data.predict NEW.npy",
    )
    texts = ["The same run under another name; the run for longer; its test; and the classes of new rows:"]
    return Section("Again", texts, commands=[f"python -m project {command}" for command in commands])


def pictures(folder: Path, words: Mapping[str, str]) -> Pictures:
    """Return the PNG pictures in a folder by their names, with what they show in words, as far as they are there."""
    found = []
    for name, text in words.items():
        if (path := folder / f"{name}.png").exists():
            with Image.open(path) as image:
                found.append((f"{name}: {text}", encode(image)))
    return found


def film_pictures(path: Path) -> Pictures:
    """Return the pictures of a GIF file, or as many of them as have room in a report."""
    if not path.exists():
        return []
    with Image.open(path) as image:
        count: int = image.n_frames  # type: ignore[attr-defined]
        found = []
        for place in pick_evenly(count, max(2, count * MOST_BYTES // path.stat().st_size)):
            image.seek(place)
            found.append((f"boundary: {PLANE}, in the course of training, and the losses", encode(image)))
    return found


def encode(image: Image.Image) -> str:
    return base64.b64encode(encode_png(reduce_colours(image))).decode()
