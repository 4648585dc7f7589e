"""What a study leaves follows from its networks, however often it was stopped and in however many processes it ran."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from project.__main__ import main
from project.study.classifiers import Classifiers
from tests.conftest import Write

pytestmark = pytest.mark.process

Captured = pytest.CaptureFixture[str]
SMALL = "study --splits 3 --seeds 2 --trainer.max_steps 40 --model.hidden_features 4 --model.lr [0.1,1]"
SMALLER = "study --splits 2 --seeds 1 --trainer.max_steps 20 --model.hidden_features 4"
CUT = Path("lightning_logs/cut/checkpoints/last.ckpt")
REPEATED = ("networks.csv", "curves.csv", "study.json", "checkpoints/last.ckpt", "figures/boundary.png")


def run(arguments: str, status: int = 0) -> None:
    assert main(arguments.split()) == status


def assert_same(one: str, other: str, *names: str) -> None:
    for name in names:
        assert Path("lightning_logs", one, name).read_bytes() == Path("lightning_logs", other, name).read_bytes(), name


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and a study "whole" of them."""
    folder, rng = tmp_path_factory.mktemp("studied"), np.random.default_rng(0)
    (folder / "data").mkdir()
    for label in (0, 1):
        np.save(folder / "data" / f"class_{label}.npy", rng.normal(2 * label - 1, 1, (50, 2)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run(f"{SMALL} --data.root data --name whole")
    return folder


@pytest.fixture
def workplace(studied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A copy of it that becomes the working directory, and the option that names the data."""
    shutil.copytree(studied / "lightning_logs", tmp_path / "lightning_logs")
    monkeypatch.chdir(tmp_path)
    return f"--data.root {studied / 'data'}"


def test_what_it_leaves_follows_from_its_networks(studied: Path) -> None:
    folder = studied / "lightning_logs" / "whole"
    report: dict[str, Any] = json.loads((folder / "study.json").read_text())
    networks = rows_of(folder / "networks.csv")
    assert (report["compare"], report["choose"], report["step"]) == ("model.loss", "model.lr", 40)
    assert list(networks[0])[:5] == ["split", "seed", "loss", "lr", "activation"]
    assert len(networks) == 3 * (2 * 2 * 2 + 2), "splits x (losses x rates x seeds, and a baseline a rate)"
    assert {row["diverged"] for row in networks} == {"false"}
    accuracy = {}
    for loss in "bce", "mse":
        own = [row for row in networks if row["loss"] == loss and row["activation"] == "tanh"]
        means = {
            rate: np.mean([float(row["val_loss"]) for row in own if row["lr"] == rate])
            for rate in {row["lr"] for row in own}
        }
        best = min(means, key=lambda rate: means[rate])
        assert report["chosen"][loss] == float(best)
        at_best = [row for row in own if row["lr"] == best]
        accuracy[loss] = [
            np.mean([float(row["test_accuracy"]) for row in at_best if row["split"] == str(split)])
            for split in range(3)
        ]
        assert report["test_accuracy"][loss] == pytest.approx(np.mean(accuracy[loss]))
    each = np.subtract(accuracy["mse"], accuracy["bce"])
    (found,) = [row for row in report["differences"] if row["metric"] == "accuracy"]
    half = stats.t.ppf(0.975, 2) * np.std(each, ddof=1) * np.array([np.sqrt(1 / 3 + 1 / 3), np.sqrt(1 / 3)])
    assert (found["value"], found["against"], found["splits"]) == ("mse", "bce", 3)
    assert found["mean"] == pytest.approx(each.mean())
    np.testing.assert_allclose(found["interval"], each.mean() + np.array([-1, 1]) * half[0], atol=1e-9)
    np.testing.assert_allclose(found["naive_interval"], each.mean() + np.array([-1, 1]) * half[1], atol=1e-9)
    last = [row for row in rows_of(folder / "curves.csv") if row["step"] == "40"]
    assert [row["loss"] for row in last] == ["bce", "mse"]
    for row in last:
        assert float(row["test_accuracy_mean"]) == pytest.approx(np.mean(accuracy[row["loss"]]))
        assert float(row["test_accuracy_p50"]) == pytest.approx(np.median(accuracy[row["loss"]]))
    names = ["boundary", "choice", "curves", "differences", "slopes"]
    assert sorted(path.stem for path in (folder / "figures").glob("*.png")) == names


@pytest.mark.usefixtures("workplace")
def test_it_is_no_run_and_begins_again_from_its_config(capsys: Captured) -> None:
    run("study --config lightning_logs/whole/config.yaml --name again")
    assert json.loads(Path("lightning_logs/again/study.json").read_text())["sentence"] in capsys.readouterr().out
    assert_same("whole", "again", *REPEATED, "config.yaml")
    run("test", status=2)
    assert "no run was trained here yet; run fit first\n" in capsys.readouterr().err
    run("test whole", status=2)
    assert "whole is a study of many networks; name a run" in capsys.readouterr().err


def fail() -> None:
    raise OSError("no more")


@pytest.mark.parametrize(
    ("stop", "status", "words"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGINT), 130, f"resume with: python -m project study --ckpt_path {CUT}"),
        (fail, 1, "no more"),
    ],
    ids=["by a signal", "by an error"],
)
def test_stopped_and_resumed_it_ends_with_the_same_bytes(
    workplace: str,
    stop: Callable[[], None],
    status: int,
    words: str,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train = Classifiers.training_step

    def step(self: Classifiers, batch: int, batch_idx: int) -> torch.Tensor:
        if batch == 30:
            stop()
        return train(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Classifiers, "training_step", step)
        run(f"{SMALL} {workplace} --name cut", status)
    assert words in capsys.readouterr().err
    run("study --ckpt_path last --threads 1")
    assert_same("whole", "cut", *REPEATED)


def test_with_all_its_iterations_it_only_says_and_draws_what_it_found(workplace: str, capsys: Captured) -> None:
    before = Path("lightning_logs/whole").rename("lightning_logs/before")
    shutil.copytree(before, "lightning_logs/whole")
    Path("lightning_logs/whole/figures/boundary.png").unlink()
    run(f"study --ckpt_path last {workplace}")
    assert_same("before", "whole", *REPEATED)
    capsys.readouterr()
    run("study --ckpt_path last --splits 4", status=2)
    assert "--splits: 4 conflicts with the checkpoint's 3" in capsys.readouterr().err


@pytest.mark.parametrize("options", ["", "--splits 1 --data.batch_size 16"], ids=["", "one of them without a split"])
def test_two_processes_that_share_the_splits_leave_the_bytes_of_one(workplace: str, options: str) -> None:
    if options:
        run(f"{SMALL} {workplace} {options} --name alone")
    command = f"-m project {SMALL} {workplace} {options} --trainer.devices 2 --name shared"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command.split()], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr, done.stdout.count("written: ")) == (0, "", 1)
    assert_same("alone" if options else "whole", "shared", *REPEATED)


@pytest.mark.parametrize("features", [1, 5])
def test_activations_are_compared_for_any_number_of_features(
    write_classes: Write, features: int, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    root = write_classes(rng.normal(-1, 1, (40, features)), rng.normal(1, 1, (40, features)))
    monkeypatch.chdir(root.parent)
    run(f"{SMALLER} --data.root {root} --compare activation --model.activation [tanh,relu,identity]")
    report = json.loads(Path("lightning_logs/study_0/study.json").read_text())
    assert list(report["chosen"]) == ["tanh", "relu", "identity"]
    assert list(report["baselines"]) == ["majority"], "identity is studied itself"
    assert {row["against"] for row in report["differences"]} == {"tanh"}
    assert all(row["holm_p"] >= row["p"] for row in report["differences"] if row["p"] is not None)
    assert "Holm" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--splits 0", "--splits: 0; need at least 1"),
        ("--model.lr [1,-1]", "--model.lr: -1.0; need a number above 0"),
        ("--model.loss [bce,nope]", "--model.loss: nope; need one of bce, mse"),
        ("--model.hidden_features [3,4]", "a list is for the option to --compare or to --choose"),
        ("--optimizer Adam", "--optimizer: no such option"),
        ("--data.batch_size 61", "--data.batch_size: 61; need 1 to 60"),
    ],
)
def test_what_cannot_be_studied_is_one_line_and_leaves_nothing(
    workplace: str, options: str, words: str, capsys: Captured
) -> None:
    before = sorted(Path("lightning_logs").iterdir())
    run(f"study {workplace} {options}", status=2)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert words in line
    assert sorted(Path("lightning_logs").iterdir()) == before
