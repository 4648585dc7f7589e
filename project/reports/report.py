"""What a run, a study or a comparison tells in one file: report.html, made from what its folder holds."""

import base64
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from project.data import NpyDataModule
from project.errors import InputError, name_columns
from project.evaluation.estimate import digits
from project.figures.style import encoded, reduced, spread
from project.options import flatten
from project.reports.plot import FIGURES, PLANE, TEST_FIGURES
from project.runs.disk import write_whole
from project.runs.predictions import tested_checkpoint
from project.runs.run import RunFolder

MOST_BYTES = 400_000  # of a film: with it, a report shall stay below 1 MB
LIBRARIES = ("torch", "lightning", "numpy", "matplotlib", "tensorboard")
FOUND, ABSENT, UNKNOWN = "found", "looked for, not found", "not looked for"


@dataclass
class Picture:
    """A PNG picture of a report, base64, and what it shows in words."""

    name: str
    words: str
    data: str
    width: int
    height: int


@dataclass
class Section:
    """A part of a report: texts, a table, a film that a slider moves, figures, commands, as far as it has them."""

    title: str
    texts: Sequence[str] = ()
    header: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    film: Sequence[Picture] = ()
    figures: Sequence[Picture] = ()
    commands: Sequence[str] = ()


def write_report(run: RunFolder) -> Path:
    """Write report.html into a run's folder, from what the folder holds, and return its path.

    What is missing, as data that have moved, is said to be so.
    """
    name, step = run.path.name, run.table.rows
    sections = [of_data(run), of_options(run), of_training(run), *(of_test(run, test) for test in run.tests)]
    sections += [leaks(run), again(run)]
    return render(run.path, f"Run {name}", f"{step} iterations of a binary classifier", sections)


def render(folder: Path, title: str, subtitle: str, sections: Sequence[Section]) -> Path:
    """Write sections as report.html into a folder; whatever names hold stays text."""
    environment = Environment(
        loader=PackageLoader("project.reports", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    versions = ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in LIBRARIES)])
    text = environment.get_template("report.html").render(
        title=title, subtitle=subtitle, sections=sections, marked=FOUND, versions=f"Written with {versions}."
    )
    write_whole(folder / "report.html", text.encode())
    return folder / "report.html"


def of_data(run: RunFolder) -> Section:
    try:
        data = run.data()
    except InputError as error:
        return Section("Data", [f"The data are not where they were: {error}"])
    classes = data.classes
    rows: list[Sequence[Any]] = [
        ("folder", str(data.root.absolute())),
        *(
            (f"{name} ({file.name})", digest)
            for name, file, digest in zip(data.class_names, classes.files, classes.fingerprint["sha256"], strict=True)
        ),
        ("features", ", ".join(data.feature_names)),
        *((f"rows in {name}", count) for name, count in classes.rows.items()),
    ]
    if classes.groups is not None:
        rows.append(("split by", data.split))
    texts = [f"Noticed: {each}." for each in noticed(data)] or ["Nothing odd was noticed about the data."]
    return Section("Data", texts, rows=rows, figures=pictures(run.figures, {"scatter": FIGURES["scatter"].words}))


def noticed(data: NpyDataModule) -> list[str]:
    """Return in words what is odd about the data: rows that occur twice, constant columns."""
    overlap, (_, std), found = data.classes.overlap, data.statistics, list[str]()
    if overlap is None:
        found.append("there are too many rows to look for equal ones")
    elif overlap.both_classes:
        found.append(f"{overlap.both_classes} feature vectors occur in both classes, which nothing can tell apart")
    if constant := torch.nonzero(std == 0)[:, 0].tolist():
        found.append(f"{name_columns(constant)} constant in the training subset")
    return found


def of_options(run: RunFolder) -> Section:
    options = flatten({group: run.options().get(group) or {} for group in ("data", "model")})
    trainer = run.options().get("trainer") or {}
    kept = {f"trainer.{name}": trainer.get(name) for name in ("max_steps", "val_check_interval", "accelerator")}
    seed = {"seed_everything": run.options().get("seed_everything")}
    return Section("Options", rows=[(name, str(value)) for name, value in {**options, **kept, **seed}.items()])


def of_training(run: RunFolder) -> Section:
    try:
        rows = [(name, digits(value)) for name, value in run.final().items()]
    except InputError as error:
        return Section("Training", [f"What was recorded of it is not there: {error}"])
    texts = []
    if (lowest := run.lowest(run.table.rows)) is not None:
        texts.append(f"The validation loss was lower, {digits(lowest[1])}, after iteration {lowest[0]}: best.ckpt.")
    moving = film(run.film, f"{PLANE}, in the course of training, and the losses")
    left_out = {"scatter", "boundary"} if moving else {"scatter"}
    shown = {name: figure.words for name, figure in FIGURES.items() if name not in left_out}
    return Section("Training", texts, ("", "at the end"), rows, moving, pictures(run.figures, shown))


def of_test(run: RunFolder, test: str) -> Section:
    numbers = run.numbers(tested_checkpoint(test))
    names = [name for name in numbers if f"{name}_interval" in numbers]
    rows = [(name, digits(numbers[name]), *map(digits, numbers[f"{name}_interval"])) for name in names]
    about = f"{numbers['rows']} test rows, {numbers['checkpoint']} after {numbers['step']} iterations."
    claims = [f"An estimate for {numbers['claim']}."] if "claim" in numbers else []
    header = ("", "value", "95 % from", "to")
    shown = {f"{test}{name}": figure.words for name, figure in TEST_FIGURES.items()}
    return Section(test.capitalize(), [about, *claims], header, rows, figures=pictures(run.figures, shown))


def leaks(run: RunFolder) -> Section:
    """Tell which of the eight types of leakage of Kapoor and Narayanan (2023) were looked for, and what was found.

    "Leakage and the reproducibility crisis in machine-learning-based science", Patterns 4, 100804.
    """
    try:
        data = run.data()
    except InputError:
        data = None
    overlap = data.classes.overlap if data else None
    duplicates, groups = (UNKNOWN, "the rows could not be compared"), (UNKNOWN, "there are no group files")
    if overlap is not None:
        count = overlap.test_in_train
        duplicates = (FOUND if count else ABSENT, f"{count} test rows also occur in train")
    if data and data.classes.groups is not None:
        groups = (ABSENT, "no group has rows in two subsets")
        if data.split == "rows":
            groups = (FOUND, "groups have rows in several subsets: the test speaks of new rows of these groups")
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


def again(run: RunFolder) -> Section:
    config, last, more = quote(str(run.config)), quote(str(run.last)), 2 * max(run.table.rows, 1)
    commands = (
        f"fit --config {config}",
        f"fit --ckpt_path {last} --trainer.max_steps {more}",
        f"test --ckpt_path {last}",
        f"predict --ckpt_path {last} --data.predict NEW.npy",
    )
    texts = ["The same run under another name; the run for longer; its test; and the classes of new rows:"]
    return Section("Again", texts, commands=[f"python -m project {command}" for command in commands])


def pictures(folder: Path, words: Mapping[str, str]) -> list[Picture]:
    """Return the PNG pictures in a folder by their names, with what they show in words, as far as they are there."""
    found = []
    for name, text in words.items():
        if (path := folder / f"{name}.png").exists():
            with Image.open(path) as image:
                found.append(picture(name, text, image))
    return found


def picture(name: str, words: str, image: Image.Image) -> Picture:
    return Picture(name, words, base64.b64encode(encoded(reduced(image))).decode(), *image.size)


def film(path: Path, words: str) -> list[Picture]:
    """Return the pictures of a GIF file, or as many of them as have room in a report."""
    if not path.exists():
        return []
    found = list[Picture]()
    with Image.open(path) as image:
        count: int = image.n_frames  # type: ignore[attr-defined]
        for place in spread(range(count), max(2, count * MOST_BYTES // path.stat().st_size)):
            image.seek(place)
            found.append(picture(f"picture {place + 1} of {count}", words, image))
    return found
