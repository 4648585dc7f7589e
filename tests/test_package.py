"""The wheel, installed where nothing else of the project is."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from project.run import Run

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and install it into an environment of its own; return the environment's bin folder."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    source = folder / "source"  # a copy, because the build leaves its own files beside the source
    shutil.copytree(ROOT / "project", source / "project", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    wheel_options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*pip, "wheel", *wheel_options, str(source)], check=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", str(site), str(wheel)], check=True)
    # the dependencies come from this environment; a path file inside that folder, which makes the project importable
    # here, is not followed
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "venv" / "bin"


def test_the_wheel_trains_and_tests_from_any_folder(installed: Path, tmp_path: Path) -> None:
    for command in (["fit", "--name", "a"], ["test"]):
        subprocess.run([str(installed / "python"), "-m", "project", *command], cwd=tmp_path, check=True)
    where = subprocess.check_output(
        [str(installed / "python"), "-c", "import project; print(project.__file__)"], text=True, cwd=tmp_path
    )
    assert where.startswith(str(installed.parent))
    run = Run(tmp_path / "lightning_logs" / "a")
    assert run.history.rows == 1000
    assert (run.path / "test.json").exists()


def test_the_console_script_runs(tmp_path: Path) -> None:
    script = Path(sys.executable).parent / "project"
    text = subprocess.check_output([str(script), "--help"], text=True, cwd=tmp_path)
    assert text.startswith("usage: project COMMAND")
