"""What a study leaves follows from its networks, however often it was stopped and in however many processes it ran."""

import csv
import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from statsmodels.stats.multitest import multipletests

from project.__main__ import main
from project.data import NpyDataModule
from project.data.split import SUBSETS
from project.model.loss import METRICS
from project.study.classifiers import Classifiers
from project.study.stack import TEST, VAL
from tests.campaigns.summary import start_ranks

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("undrawn")]

Captured = pytest.CaptureFixture[str]
RATES = ("0.1", "1.0")
SMALL = f"study --trainer.max_steps 40 --model.hidden_features 4 --model.lr [{','.join(RATES)}]"
WHOLE = f"{SMALL} --splits 3 --seeds 2"


def run(arguments: str, status: int = 0) -> None:
    assert main(arguments.split()) == status


def assert_same(one: str, other: str) -> None:
    for name in "networks.csv", "curves.csv", "study.json", "checkpoints/last.ckpt":
        assert Path("lightning_logs", one, name).read_bytes() == Path("lightning_logs", other, name).read_bytes(), name


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data of 5 features, and a study "whole" of them."""
    folder, rng = tmp_path_factory.mktemp("studied"), np.random.default_rng(0)
    for label in (0, 1):
        np.save(folder / f"class_{label}.npy", rng.normal(label - 0.5, 1, (50, 5)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run(f"{WHOLE} --data.root . --name whole")
    return folder


@pytest.fixture
def data(studied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The option that names the data; the working directory has a copy of their study."""
    shutil.copytree(studied / "lightning_logs", tmp_path / "lightning_logs")
    monkeypatch.chdir(tmp_path)
    return f"--data.root {studied}"


def read(folder: Path, table: str) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / f"{table}.csv").read_text().splitlines()))


def test_what_it_leaves_follows_from_its_networks(studied: Path) -> None:
    folder = studied / "lightning_logs" / "whole"
    report: dict[str, Any] = json.loads((folder / "study.json").read_text())
    networks, told = read(folder, "networks"), {}
    assert (report["compare"], report["choose"], report["step"]) == ("model.loss", "model.lr", 40)
    assert list(networks[0])[:5] == ["split", "seed", "loss", "lr", "activation"]
    assert len(networks) == 3 * (2 + 1) * 2 * 2, "splits x (losses, and a baseline) x rates x seeds"
    assert {row["diverged"] for row in networks} == {"false"}
    for name, kind in {"bce": ("bce", "tanh"), "mse": ("mse", "tanh"), "identity": ("bce", "identity")}.items():
        own = [each for each in networks if (each["loss"], each["activation"]) == kind]
        # Rows are in the order of splits, then of rates, and then of seeds.
        means = {
            column: np.reshape([float(each[column]) for each in own], (3, 2, 2)).mean(2)
            for column in ("val_loss", *(f"test_{metric}" for metric in METRICS))
        }
        best = means["val_loss"].argmin(1)
        told |= {(name, metric): means[f"test_{metric}"][range(3), best] for metric in METRICS}
        chosen = report["chosen"][name] if name in report["chosen"] else report["baselines"][name]["lr"]
        assert chosen == [float(RATES[number]) for number in best]
    for loss, row in zip(("bce", "mse"), read(folder, "curves")[1::2], strict=True):
        measured = told[loss, "accuracy"]
        found = report["test_accuracy"][loss], float(row["test_accuracy_mean"]), float(row["test_accuracy_p50"])
        assert (row["step"], found) == ("40", pytest.approx((measured.mean(), measured.mean(), np.median(measured))))
    assert len(report["differences"]) == len(report["sentences"]) == 6
    for row in report["differences"]:
        each = told[row["value"], row["metric"]] - told[row["against"], row["metric"]]
        half = stats.t.ppf(1 - 0.025 / 6, 2) * np.std(each, ddof=1) * np.sqrt([1 / 3 + 1 / 3, 1 / 3])
        assert (row["splits"], row["level"]) == (3, pytest.approx(1 - 0.05 / 6))
        ends = np.array([row["interval"], row["naive_interval"]])
        np.testing.assert_allclose(ends.T, each.mean() + np.array([-half, half]), atol=1e-8)
    adjusted = multipletests([row["p"] for row in report["differences"]], method="holm")[1]
    np.testing.assert_allclose([row["holm_p"] for row in report["differences"]], adjusted)
    page = " ".join(re.sub("<[^>]*>", " ", (folder / "report.html").read_text()).split())
    options = "splits 3 seeds 2 compare model.loss choose model.lr model.hidden_features 4 model.lr 0.1, 1.0"
    assert f"{options} trainer.max_steps 40 data.root {studied} config.yaml" in page
    names = ["boundary", "choice", "curves", "differences", "slopes"]
    assert sorted(path.stem for path in (folder / "figures").glob("*.png")) == names


@pytest.mark.usefixtures("data")
def test_each_network_may_be_told_where_its_validation_loss_is_lowest(capsys: Captured) -> None:
    run("study --ckpt_path last --at best --margin 0.3")
    said, folder = capsys.readouterr().out, Path("lightning_logs/whole")
    networks, numbers = read(folder, "networks"), {name: number for number, name in enumerate(METRICS)}
    curves = torch.stack(torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["measured"]["curves"])
    own = [numbers[row["loss"]] for row in networks]
    losses = curves[:, VAL, own, range(len(own))].numpy()
    best, places = losses.argmin(0), np.arange(len(own))
    told = curves[best, TEST, 0, places].numpy()
    expected = {"best_step": 20 + 20 * best, "best_test_accuracy": told}
    expected["best_test_loss"] = curves[best, TEST, own, places].numpy()
    for column, values in expected.items():
        np.testing.assert_allclose([float(row[column]) for row in networks], values, rtol=1e-6)
    assert set(best) == {0, 1}
    chosen = losses.min(0).reshape(3, 3, 2, 2).mean(3).argmin(2)  # by split and loss, or baseline
    accuracies = np.take_along_axis(told.reshape(3, 3, 2, 2).mean(3), chosen[..., None], 2)[..., 0].mean(0)
    report = json.loads((folder / "study.json").read_text())
    assert (report["at"], report["margin"]) == ("best", 0.3)
    assert [*report["test_accuracy"].values()] == pytest.approx(accuracies[:2])
    assert "the difference in test accuracy between mse and bce is no larger than " in said
    assert f"mse: test accuracy {accuracies[1]:.3f} at the lowest validation loss, after " in said


def test_splits_by_groups_differ_in_their_rows(capsys: Captured, tmp_path: Path, studied: Path) -> None:
    root, groups = shutil.copytree(studied, tmp_path / "grouped"), np.random.default_rng(1).integers(0, 12, 50)
    for label in (0, 1):
        np.save(root / f"group_{label}.npy", groups)
    run(f"{SMALL} --data.root {root} --trainer.default_root_dir {tmp_path} --splits 3 --seeds 1")
    said, folder = capsys.readouterr().out, tmp_path / "lightning_logs" / "study_0"
    counts = [NpyDataModule(root, seed=seed).classes.rows for seed in range(3)]
    ranges = (sorted(of[name] for of in counts) for name in SUBSETS)
    shown = ", ".join(f"{name} {least} to {most}" for name, (least, _, most) in zip(SUBSETS, ranges, strict=True))
    assert f"splits 3, each {shown} rows of 5 features, half of each class 0, no group in two of them\n" in said
    assert "\nan estimate for new groups: no group has rows in two subsets of a split\n" in said
    report = json.loads((folder / "study.json").read_text())
    (low, high), (least, most) = (report["differences"][0][f"{kind}interval"] for kind in ("", "naive_"))
    ratio = np.mean([of["test"] / of["train"] for of in counts])
    assert (high - low) / (most - least) == pytest.approx(np.sqrt(1 + 3 * ratio))


def test_interrupted_and_resumed_it_ends_with_the_same_bytes(
    data: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all its iterations, it only says and draws what it found."""
    train = Classifiers.training_step

    def step(self: Classifiers, batch: int, batch_idx: int) -> torch.Tensor:
        if batch == 30:
            os.kill(os.getpid(), signal.SIGINT)
        return train(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Classifiers, "training_step", step)
        run(f"{WHOLE} {data} --name cut", 130)
    assert "resume with: python -m project study" in capsys.readouterr().err
    run("study --ckpt_path last --threads 1")
    assert_same("whole", "cut")
    (report := Path("lightning_logs/cut/report.html")).unlink()
    run("study --ckpt_path last")
    assert report.exists()
    assert_same("whole", "cut")


@pytest.mark.usefixtures("data")
def test_two_processes_that_share_the_splits_leave_the_bytes_of_one(tmp_path: Path) -> None:
    """It begins again from its config."""
    command = "study --config lightning_logs/whole/config.yaml --trainer.devices 2 --name shared"
    for process in (processes := start_ranks(command.split(), tmp_path)):
        process.join(120)
    said = [tmp_path.with_name(f"{tmp_path.name}.{name}").read_text() for name in ("out0", "out1", "err0", "err1")]
    assert ([process.exitcode for process in processes], said[1:]) == ([0, 0], [""] * 3)
    assert said[0].count("written: ") == 1
    assert_same("whole", "shared")


def test_several_values_are_each_compared_with_the_first(data: str, capsys: Captured) -> None:
    """A number is said with the option that it is of."""
    run(f"{SMALL} --splits 2 --seeds 1 {data} --compare hidden_features --model.hidden_features [2,4,8]")
    report = json.loads(Path("lightning_logs/study_0/study.json").read_text())
    assert list(report["chosen"]) == ["2", "4", "8"]
    assert list(report["baselines"]) == ["majority", "identity"]
    rows = [(row["metric"], row["value"], row["against"]) for row in report["differences"]]
    assert rows == [(metric, *pair) for metric in METRICS for pair in ("42", "82", ("2", "identity"))]
    said = capsys.readouterr().out
    for words in "hidden_features 8 and 2", ": hidden_features 8 - 2 = ", "hidden_features 8: test accuracy ":
        assert words in said
    assert "\n".join(report["sentences"]) in said


def test_what_cannot_be_studied_is_one_line_and_leaves_nothing(data: str, capsys: Captured) -> None:
    before = sorted(Path("lightning_logs").iterdir())
    for command, words in {
        f"study {data} --model.lr [1,-1]": "--model.lr: -1.0; need a number above 0",
        f"study {data} --model.lr [1,1.0]": "--model.lr: [1.0, 1.0]; need different values",
        f"study {data} --model.lr []": "--model.lr: []; need different values",
        f"study {data} --model.loss [bce,nope]": "--model.loss: nope; need one of bce, mse",
        f"study {data} --model.network [a,b]": "--model.network: ['a', 'b']; a list is for the option to --compare",
        f"study {data} --compare nothing": "--compare: nothing; need one of model.hidden_features, ",
        f"study {data} --choose loss": "--choose: model.loss; it is compared already, need another option",
        f"study {data} --splits 0": "--splits: 0; need at least 1",
        f"study {data} --seeds 0": "--seeds: 0; need at least 1",
        f"study {data} --margin 0": "--margin: 0.0; need a number above 0, at most 1",
        f"study {data} --optimizer Adam": "--optimizer: no such option",
        f"study {data} --data.batch_size 61": "--data.batch_size: 61; need 1 to 60",
        "study --ckpt_path last --splits 4": "--splits: 4 conflicts with the checkpoint's 3",
        "test": "no run was trained here yet; run fit first",
        **dict.fromkeys(
            ["test whole", "plot whole", "compare whole lightning_logs/whole", "export --name whole --output x.onnx"],
            "lightning_logs/whole is a study of many networks; name a run",
        ),
    }.items():
        run(command, 2)
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        assert words in line
    assert sorted(Path("lightning_logs").iterdir()) == before
