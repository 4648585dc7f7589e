"""The README's links and commands, these by the wheel, from a folder where nothing else of the project is."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from project import Run
from project.data import sample

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()
BLOCKS = "".join(re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL))
COMMANDS = [shlex.split(line, comments=True) for line in re.findall(r"^python -m project (.*)", BLOCKS, re.MULTILINE)]
SHORT = {"fit": ["--trainer.max_steps", "20"], "study": ["--trainer.max_steps", "20", "--splits", "2", "--seeds", "1"]}
ALL = """
import json, sys, project
from project.__main__ import main
assert project.__file__.startswith(sys.path[1]), project.__file__
for command in json.loads(sys.argv[1]):
    assert main(command) == 0, command
"""


def test_every_link_leads_somewhere() -> None:
    assert [link for link in re.findall(r"\]\(([^)#:]+)\)", TEXT) if not (ROOT / link).exists()] == []


def test_the_whole_coursework_is_read_in_an_hour() -> None:
    section = TEXT.partition("## Read it")[2].partition("\n## ")[0]
    files = re.findall(r"\]\((project/\w+/\w+\.py)\)", section)
    assert len(files) == len(set(files)) <= 14
    assert sum((ROOT / file).read_text().count("\n") for file in files) <= 2500


@pytest.mark.process
def test_every_command_succeeds_in_the_order_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter than they are written; a first "fit" does what "make fit" does."""
    source, site, place = (tmp_path / name for name in ("source", "site", "place"))
    shutil.copytree(ROOT / "project", source / "project", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    build = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    subprocess.run([sys.executable, *build, str(source)], check=True, timeout=240)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    place.mkdir()
    (place / "configs").symlink_to(ROOT / "configs")
    (place / "DIR").symlink_to(sample.ROOT)
    np.save(place / "NEW.npy", np.load(sample.ROOT / "class_0.npy"))
    commands = json.dumps([[*command, *SHORT.get(command[0], [])] for command in [["fit"], *COMMANDS]])
    monkeypatch.chdir(place)
    monkeypatch.setenv("PYTHONPATH", str(site))
    subprocess.run([sys.executable, "-c", ALL, commands], check=True, timeout=600)
    assert Run("version_0").table.rows == 20
    assert list(place.rglob("test.json"))
    script = subprocess.check_output([Path(sys.executable).parent / "project", "--help"], text=True, timeout=60)
    assert script.startswith("usage: project COMMAND")
