"""Small runs that the tests of reports share."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from project.__main__ import main
from project.callbacks import CALLBACKS, Checkpoints, History
from project.data import NpyDataModule

FEW = (History, Checkpoints)  # callbacks of a fit that is quick
NASTY = "<script>alert(1)</script>"
FAR = [[3e38, -3e38], [-3e38, 3e38]]  # so far from rows around 1e-30 that these are infinite, and their sum is NaN
ADAM = ["--optimizer", "Adam", "--optimizer.lr", "0.01"]
RUNS = {
    # Of mini-batches, and of a loss that has risen again
    "<b>one": ["--trainer.max_steps", "101", "--data.batch_size", "20", "--model.loss", "mse", "--model.lr", "2"],
    "two": ["--trainer.max_steps", "60", "--seed_everything", "1"],
    "other": ["--trainer.max_steps", "20", "--seed_everything", "1", "--data.seed", "1", *ADAM],
    "tiny": ["--trainer.max_steps", "20", "--data.root", "tiny"],
}


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and runs; the first one has figures, and tests of both checkpoints."""
    folder, rng = tmp_path_factory.mktemp("trained"), np.random.default_rng(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, scale in ("data", 1.0), ("tiny", 1e-30):
            Path(name).mkdir()
            for label in (0, 1):
                np.save(f"{name}/class_{label}.npy", rng.normal(2 * label - 1, 1, (50, 2)) * scale)
        (module := NpyDataModule("tiny")).setup("test")
        for label, rows in enumerate(module.classes.row_numbers("test")):
            np.load(f"tiny/class_{label}.npy", mmap_mode="r+")[rows[label]] = FAR[label]
        for name, options in RUNS.items():
            patch.setattr("project.commands.network.CALLBACKS", CALLBACKS if name == "<b>one" else FEW)
            usual = ["--data.root", "data", "--data.class_names", f"{NASTY},dogs & cats"]
            assert main(["fit", "--name", name, *usual, *options]) == 0
        for checkpoint in "last", "best":
            assert main(["test", "--name", "<b>one", "--ckpt_path", checkpoint]) == 0
    return folder


@pytest.fixture
def runs(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with copies of these runs."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    for config in tmp_path.rglob("config.yaml"):
        config.write_text(config.read_text().replace(str(trained), str(tmp_path)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let fit and test draw and log nothing, which takes most of their time."""
    monkeypatch.setattr("project.commands.network.CALLBACKS", FEW)
    monkeypatch.setattr("project.reports.results.TEST_FIGURES", {})
