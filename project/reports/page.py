"""One HTML file, report.html, of sections: texts, tables, figures."""

import base64
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from project.figures.style import encode_png, reduce_colours
from project.runs.disk import write_whole

FOUND, ABSENT, UNKNOWN = "found", "looked for, not found", "not looked for"
Pictures = Sequence[tuple[str, str, str]]  # the name of each, what it shows in words, and a PNG file in base64


class Section(NamedTuple):
    """A part of a report: texts, a table, figures, commands, files that are folded up, as far as it has them."""

    texts: Sequence[str] = ()
    header: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    figures: Pictures = ()
    commands: Sequence[str] = ()
    files: Mapping[str, str] = {}


def render(folder: Path, title: str, subtitle: str, sections: Mapping[str, Section]) -> Path:
    """Write sections by their titles as report.html into a folder; whatever names hold stays text."""
    loader = PackageLoader("project.reports", ".")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    libraries = [f"{name} {version(name)}" for name in ("torch", "lightning", "numpy", "matplotlib", "tensorboard")]
    facts = {"title": title, "subtitle": subtitle, "sections": sections, "marked": FOUND}
    versions, path = ", ".join([f"Python {platform.python_version()}", *libraries]), folder / "report.html"
    write_whole(path, environment.get_template("report.html").render(facts, versions=versions).encode())
    return path


def pictures(folder: Path, words: Mapping[str, str]) -> Pictures:
    """Return the PNG pictures in a folder by their names, with what they show in words, as far as they are there."""
    there = {name: folder / f"{name}.png" for name in words if (folder / f"{name}.png").exists()}
    files = {name: encode_png(reduce_colours(Image.open(path))) for name, path in there.items()}
    return [(name, words[name], base64.b64encode(file).decode()) for name, file in files.items()]
