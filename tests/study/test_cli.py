"""The study command: what it leaves follows from its networks, it resumes, and it refuses what it cannot study."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from project.__main__ import main
from tests.conftest import Write

pytestmark = pytest.mark.process

Captured = pytest.CaptureFixture[str]
T = 4.302652729911275  # scipy.stats.t.ppf(0.975, 2)
SMALL = "study --splits 3 --seeds 2 --trainer.max_steps 60 --model.hidden_features 4"


def run(arguments: str, status: int = 0) -> None:
    assert main(arguments.split()) == status


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.fixture
def workplace(blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return f"--data.root {blobs}"


def test_what_it_leaves_follows_from_its_networks(workplace: str, capsys: Captured) -> None:
    run(f"{SMALL} {workplace} --model.lr [0.01,0.1,1]")
    folder = Path("lightning_logs/study_0")
    report: dict[str, Any] = json.loads((folder / "study.json").read_text())
    networks = rows_of(folder / "networks.csv")
    assert (report["compare"], report["choose"], report["step"]) == ("model.loss", "model.lr", 60)
    assert list(networks[0])[:5] == ["split", "seed", "loss", "lr", "activation"]
    assert len(networks) == 3 * (2 * 3 * 2 + 3), "splits x (losses x rates x seeds, and a baseline a rate)"
    assert {row["diverged"] for row in networks} == {"false"}
    accuracy = {}
    for loss in "bce", "mse":
        own = [row for row in networks if row["loss"] == loss and row["activation"] == "tanh"]
        means = {
            rate: np.mean([float(row["val_loss"]) for row in own if row["lr"] == rate])
            for rate in {r["lr"] for r in own}
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
    half = T * np.std(each, ddof=1) * np.array([np.sqrt(1 / 3 + 1 / 3), np.sqrt(1 / 3)])
    assert (found["value"], found["against"], found["splits"]) == ("mse", "bce", 3)
    assert found["mean"] == pytest.approx(each.mean())
    np.testing.assert_allclose(found["interval"], each.mean() + np.array([-1, 1]) * half[0], atol=1e-9)
    np.testing.assert_allclose(found["naive_interval"], each.mean() + np.array([-1, 1]) * half[1], atol=1e-9)
    assert report["sentence"] in capsys.readouterr().out
    last = [row for row in rows_of(folder / "curves.csv") if row["step"] == "60"]
    assert [row["loss"] for row in last] == ["bce", "mse"]
    for row in last:
        assert float(row["test_accuracy_mean"]) == pytest.approx(np.mean(accuracy[row["loss"]]))
        assert float(row["test_accuracy_p50"]) == pytest.approx(np.median(accuracy[row["loss"]]))
    names = ["boundary", "choice", "curves", "differences", "slopes"]
    assert sorted(path.stem for path in (folder / "figures").glob("*.png")) == names


def test_it_is_no_run_and_begins_again_from_its_config(workplace: str, capsys: Captured) -> None:
    run(f"{SMALL} {workplace} --name s --splits 1 --seeds 1 --model.lr 1")
    run("study --config lightning_logs/s/config.yaml --name again")
    for name in "networks.csv", "curves.csv", "study.json", "checkpoints/last.ckpt", "config.yaml":
        assert Path("lightning_logs/s", name).read_bytes() == Path("lightning_logs/again", name).read_bytes()
    capsys.readouterr()
    run("test", status=2)
    assert "no run was trained here yet; run fit first\n" in capsys.readouterr().err
    run("test s", status=2)
    assert "s is a study of many networks; name a run" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_stopped_and_resumed_it_ends_with_the_same_bytes(
    workplace: str, number: signal.Signals, capsys: Captured
) -> None:
    options = f"{SMALL} {workplace} --trainer.max_steps 400"
    run(f"{options} --name whole")
    command = [sys.executable, "-m", "project", *options.split(), "--name", "cut"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    last, end = Path("lightning_logs/cut/checkpoints/last.ckpt"), time.monotonic() + 60
    while not last.exists():
        assert time.monotonic() < end, "training did not start"
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(number)
    error = process.communicate()[1].decode()
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    if number == signal.SIGINT:
        assert f"resume with: python -m project study --ckpt_path {last}" in error
    run("study --ckpt_path last --threads 1")
    for name in "networks.csv", "curves.csv", "study.json", "checkpoints/last.ckpt":
        assert Path("lightning_logs/whole", name).read_bytes() == Path("lightning_logs/cut", name).read_bytes()
    Path("lightning_logs/cut/figures/boundary.png").unlink()
    run("study --ckpt_path last")  # It has all its iterations, and only says and draws what it found.
    for name in "study.json", "checkpoints/last.ckpt", "figures/boundary.png":
        assert Path("lightning_logs/whole", name).read_bytes() == Path("lightning_logs/cut", name).read_bytes()
    capsys.readouterr()
    run("study --ckpt_path last --splits 4", status=2)
    assert "--splits: 4 conflicts with the checkpoint's 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("launcher", "options"),
    [
        ([], "--trainer.devices 2"),
        (["torch.distributed.run", "--nproc-per-node", "2", "-m"], "--splits 1 --data.batch_size 16"),
    ],
    ids=["devices", "torchrun, with a process that has no split"],
)
def test_two_processes_that_share_the_splits_leave_the_bytes_of_one(
    workplace: str, launcher: list[str], options: str
) -> None:
    run(f"{SMALL} {workplace} {options} --trainer.devices 1 --name alone")
    command = f"project {SMALL} {workplace} {options} --trainer.devices 2 --name shared"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *launcher, *command.split()],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("written: ") == 1
    for name in "networks.csv", "curves.csv", "study.json", "checkpoints/last.ckpt", "figures/boundary.png":
        assert Path("lightning_logs/alone", name).read_bytes() == Path("lightning_logs/shared", name).read_bytes()


@pytest.mark.parametrize("features", [1, 5])
def test_activations_are_compared_for_any_number_of_features(
    write_classes: Write, features: int, capsys: Captured
) -> None:
    rng = np.random.default_rng(0)
    root = write_classes(rng.normal(-1, 1, (40, features)), rng.normal(1, 1, (40, features)))
    names = "[tanh,relu,identity]"
    run(
        f"{SMALL} --data.root {root} --compare activation --model.activation {names} --name {root.parent / 'x'}",
        status=2,
    )
    os.chdir(root.parent)
    run(f"{SMALL} --data.root {root} --compare activation --model.activation {names}")
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
        ("--seeds 0", "--seeds: 0; need at least 1"),
        ("--compare nothing", "--compare: nothing; need one of model.hidden_features, "),
        ("--choose model.loss", "--choose: model.loss; it is compared already, need another option"),
        ("--model.lr [1,1]", "--model.lr: [1.0, 1.0]; need different values"),
        ("--model.lr []", "--model.lr: []; need different values"),
        ("--model.lr [1,-1]", "--model.lr: -1.0; need a number above 0"),
        ("--model.loss [bce,nope]", "--model.loss: nope; need one of bce, mse"),
        ("--model.hidden_features [3,4]", "a list is for the option to --compare or to --choose"),
        ("--optimizer Adam", "--optimizer: no such option"),
        ("--data.batch_size 61", "--data.batch_size: 61; need 1 to 60"),
        ("--trainer.max_steps 0", "--trainer.max_steps: 0; need at least 1"),
    ],
)
def test_what_cannot_be_studied_is_one_line_and_leaves_nothing(
    workplace: str, options: str, words: str, capsys: Captured
) -> None:
    run(f"study {workplace} {options}", status=2)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert words in line
    assert not Path("lightning_logs").exists()
