"""The wheel, installed where nothing else of the project is."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from project.run import Run

pytestmark = pytest.mark.process
ROOT = Path(__file__).parent.parent


def install(folder: Path) -> Path:
    """Build the wheel and install it into an environment of its own; return the environment's Python."""
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
    return folder / "venv" / "bin" / "python"


def test_the_wheel_trains_and_tests_from_any_folder(tmp_path: Path) -> None:
    python, place = install(tmp_path), tmp_path / "place"
    place.mkdir()
    for command in (["-m", "project", "fit", "--name", "a"], ["-m", "project", "test"]):
        subprocess.run([str(python), *command], cwd=place, check=True, timeout=120)
    where = [str(python), "-c", "import project; print(project.__file__)"]
    assert subprocess.check_output(where, text=True, cwd=place).startswith(str(tmp_path / "venv"))
    run = Run(place / "lightning_logs" / "a")
    assert run.table.rows == 1000
    assert (run.path / "test.json").exists()


def test_the_console_script_runs(tmp_path: Path) -> None:
    script = [str(Path(sys.executable).parent / "project"), "--help"]
    text = subprocess.check_output(script, text=True, cwd=tmp_path, timeout=60)
    assert text.startswith("usage: project COMMAND")
