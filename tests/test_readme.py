"""The README's links and commands, and the wheel that holds all that they need."""

import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from project import Run
from project.__main__ import main

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()
BLOCKS = "".join(re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL))
COMMANDS = [shlex.split(line, comments=True) for line in re.findall(r"^python -m project (.*)", BLOCKS, re.MULTILINE)]
SHORT = {"fit": ["--trainer.max_steps", "20"], "study": ["--trainer.max_steps", "20", "--splits", "2", "--seeds", "1"]}


def test_every_link_leads_somewhere() -> None:
    assert [link for link in re.findall(r"\]\(([^)#:]+)\)", TEXT) if not (ROOT / link).exists()] == []


def test_the_whole_coursework_is_read_in_an_hour() -> None:
    section = TEXT.partition("## The coursework")[2].partition("\n## ")[0]
    files = re.findall(r"\]\((project/\w+/\w+\.py)\)", section)
    assert len(files) == len(set(files)) <= 14
    assert sum((ROOT / file).read_text().count("\n") for file in files) <= 2500


@pytest.mark.process
@pytest.mark.usefixtures("undrawn")
def test_every_command_succeeds_in_the_order_of_the_page(blobs: Path, here: Path) -> None:
    """Shorter than they are written; a first "fit" does what "make fit" does, and Python's lines come last."""
    (here / "configs").symlink_to(ROOT / "configs")
    (here / "DIR").symlink_to(blobs)
    np.save("NEW.npy", np.load(blobs / "class_0.npy"))
    for command in [["fit"], *COMMANDS]:
        assert main([*command, *SHORT.get(command[0], [])]) == 0, command
    assert Run("version_0").table.rows == 20
    assert Run("my-bce").numbers()["rows"] == 304
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(example, names := dict[str, Any]())  # noqa: S102
    assert names["run"].table.rows == 100


@pytest.mark.process
def test_the_wheel_holds_every_file_and_the_console_script(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOT / "project", source / "project", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    files = {path.relative_to(source).as_posix() for path in source.glob("project/**/*") if path.is_file()}
    build = f"from setuptools.build_meta import build_wheel; build_wheel({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", build], check=True, cwd=source, capture_output=True, timeout=240)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        assert files - set(wheel.namelist()) == set()
    script = subprocess.check_output([Path(sys.executable).parent / "project", "--help"], text=True, timeout=60)
    assert script.startswith("usage: project COMMAND")
