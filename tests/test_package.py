"""The README's commands, run as they are written by the wheel, installed where nothing else of the project is."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest

from project import Run
from project.data import sample

pytestmark = pytest.mark.process
ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
LINES = [line.partition("#")[0] for block in BLOCKS for line in block.splitlines()]
COMMANDS = [line for line in LINES if line.startswith("python -m project")]


def install(folder: Path) -> Path:
    """Build the wheel and install it into an environment of its own; return the environment's folder of programs."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    source = folder / "source"  # It is a copy, because the build leaves its own files beside the source.
    shutil.copytree(ROOT / "project", source / "project", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    wheel_options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*pip, "wheel", *wheel_options, str(source)], check=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    target = ["--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*pip, "install", *target, str(wheel)], check=True, timeout=120)
    # The dependencies come from this environment; a path file inside that folder, which makes the project importable
    # here, is not followed.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "venv" / "bin"


def test_every_command_succeeds_in_the_order_of_the_page(tmp_path: Path) -> None:
    programs, place = install(tmp_path), tmp_path / "place"
    place.mkdir()
    (place / "configs").symlink_to(ROOT / "configs")
    (place / "DIR").symlink_to(sample.ROOT)
    np.save(place / "NEW.npy", np.load(sample.ROOT / "class_0.npy"))
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}
    where = [str(programs / "python"), "-c", "import project; print(project.__file__)"]
    assert subprocess.check_output(where, text=True, cwd=place).startswith(str(tmp_path / "venv"))
    assert len(COMMANDS) >= 7
    for command in ["python -m project fit", *COMMANDS]:  # The first is what "make fit" does.
        subprocess.run(shlex.split(command), cwd=place, env=environment, check=True, timeout=240)
    assert Run(place / "lightning_logs" / "version_0").table.rows == 1000
    assert list(place.rglob("test.json"))
    assert (place / "comparison" / "comparison.png").exists()


def test_the_console_script_runs(tmp_path: Path) -> None:
    script = [str(Path(sys.executable).parent / "project"), "--help"]
    text = subprocess.check_output(script, text=True, cwd=tmp_path, timeout=60)
    assert text.startswith("usage: project COMMAND")
