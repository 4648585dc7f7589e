"""The README's links and commands, these by the wheel, from a folder where nothing else of the project is."""

import json
import os
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
LINES = [
    line.partition("#")[0] for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()
]
COMMANDS = [shlex.split(line)[3:] for line in ["python -m project fit", *LINES] if line.startswith("python -m project")]
SHORT = {"fit": ["--trainer.max_steps", "20"], "study": ["--trainer.max_steps", "20", "--splits", "2", "--seeds", "1"]}
ALL = """
import json, sys, project
from project.__main__ import main
assert project.__file__.startswith(sys.argv[1]), project.__file__
for command in json.loads(sys.argv[2]):
    assert main(command) == 0, command
"""


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.process
def test_every_command_succeeds_in_the_order_of_the_page(tmp_path: Path) -> None:
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
    assert len(COMMANDS) >= 8
    commands = json.dumps([[*command, *SHORT.get(command[0], [])] for command in COMMANDS])
    environment = os.environ | {"PYTHONPATH": str(site)}
    subprocess.run(
        [sys.executable, "-c", ALL, str(site), commands], cwd=place, env=environment, check=True, timeout=600
    )
    assert Run(place / "lightning_logs" / "version_0").table.rows == 20
    assert list(place.rglob("test.json"))
    assert (place / "comparison" / "comparison.png").exists()
    script = subprocess.check_output([Path(sys.executable).parent / "project", "--help"], text=True, timeout=60)
    assert script.startswith("usage: project COMMAND")
