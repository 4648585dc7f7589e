"""What the tests share: small data, and figures and logs that leave no trace."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from filelock import FileLock
from hypothesis import settings
from matplotlib.backends.backend_agg import FigureCanvasAgg

from project import Run
from project.__main__ import main
from project.callbacks import CALLBACKS
from project.callbacks.figures import Figures

settings.register_profile("any machine", deadline=None, max_examples=50)  # One may take long where others are at work.
settings.load_profile("any machine")
torch.set_num_threads(1)  # small steps lose more by waiting for each other than they gain

CONFIGS = Path(__file__).parent.parent / "configs"
FIT = ["fit", "--data.track_test", "true", "--config"]  # and a file of these
PAINT = FigureCanvasAgg.draw
Write = Callable[..., Path]


@pytest.fixture
def write_classes(tmp_path: Path) -> Write:
    """Return a function that writes class_0.npy and class_1.npy into a folder, and returns the folder."""

    def write(class_0: npt.NDArray[np.generic], class_1: npt.NDArray[np.generic], name: str = "data") -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        np.save(folder / "class_0.npy", class_0)
        np.save(folder / "class_1.npy", class_1)
        return folder

    return write


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for a class file, which all examples of a property write anew."""
    return tmp_path_factory.mktemp("files") / "class_0.npy"


def wait_for_rows(run: Run, rows: int = 1) -> None:
    """Wait until the run is in the midst of training."""
    end = time.monotonic() + 120
    while run.table.rows < rows:
        assert time.monotonic() < end, "training did not start"
        time.sleep(0.01)


@pytest.fixture
def blobs(write_classes: Write) -> Path:
    """Two overlapping clouds of 50 rows and 2 features each."""
    rng = np.random.default_rng(0)
    return write_classes(rng.normal(-1, 1, (50, 2)), rng.normal(1, 1, (50, 2)))


@contextmanager
def drawing(figures: bool) -> Iterator[None]:
    """Have a fit draw its figures; or none, and leave others blank: their paint takes most of a short command."""
    with pytest.MonkeyPatch.context() as patch:
        kinds = tuple(kind for kind in CALLBACKS if figures or kind is not Figures)
        patch.setattr("project.commands.network.CALLBACKS", kinds)
        patch.setattr(FigureCanvasAgg, "draw", PAINT if figures else FigureCanvasAgg.get_renderer)
        yield


@pytest.fixture(scope="module")
def undrawn() -> Iterator[None]:
    """Draw nothing, where a test looks at no figure."""
    with drawing(figures=False):
        yield


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the shipped configs that need no GPU, bce to its end with figures, once for all processes of a test run."""
    several = "PYTEST_XDIST_WORKER" in os.environ
    folder = (tmp_path_factory.getbasetemp().parent if several else tmp_path_factory.mktemp("alone")) / "shipped"
    with FileLock(f"{folder}.lock"), pytest.MonkeyPatch.context() as patch:
        if folder.exists():
            return folder
        folder.mkdir()
        patch.chdir(folder)
        for name in "bce", "mse", "minibatch", "notebook":
            is_whole = name == "bce"
            steps = "1000" if is_whole else "200"
            with drawing(figures=is_whole):
                assert main([*FIT, str(CONFIGS / f"{name}.yaml"), "--name", name, "--trainer.max_steps", steps]) == 0
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def workplace(shipped: Path, here: Path) -> Path:
    """A working directory with copies of the shipped configs' runs, "bce" the newest."""
    shutil.copytree(shipped / "lightning_logs", here / "lightning_logs")
    (here / "lightning_logs" / "runs.txt").write_text("mse\nminibatch\nnotebook\nbce\n")
    return here
