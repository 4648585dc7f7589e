"""What a study leaves follows from its networks, however often it was stopped and in however many processes it ran."""

import csv
import json
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
from tests.commands.test_interruption import signal_at

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


def read(folder: Path, table: str) -> dict[str, Any]:
    """Return the columns of a table, numbers as far as they are some."""
    names, *rows = csv.reader((folder / f"{table}.csv").read_text().splitlines())
    columns = dict(zip(names, np.transpose(rows), strict=True))
    return {name: cells.astype(float) if cells[0][0].isdecimal() else cells for name, cells in columns.items()}


@pytest.mark.parametrize("at", ["last", "best"])
def test_what_it_leaves_follows_from_what_it_measured(at: str, data: str, capsys: Captured) -> None:
    """Each network is told at the end, or where its validation loss is lowest."""
    folder, places = Path("lightning_logs/whole"), np.arange(36)
    if at == "best":
        run("study --ckpt_path last --at best --margin 0.3")
    said, report = capsys.readouterr().out, json.loads((folder / "study.json").read_text())
    networks, curves = read(folder, "networks"), read(folder, "curves")
    assert list(networks)[:6] == ["split", "seed", "loss", "lr", "activation", "hidden_features"]
    contents = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    measured = torch.stack(contents["measured"]["curves"]).numpy()  # (2, 2, metrics, 36)
    metrics = {
        **{name: number for number, name in enumerate(METRICS)},
        "loss": np.where(networks["loss"] == "mse", 2, 1),
    }
    best = measured[:, VAL, metrics["loss"], places].argmin(0)
    assert set(best) == {0, 1}
    np.testing.assert_array_equal(networks["best_step"], 20 + 20 * best)
    for name, metric in metrics.items():
        for part, when, subset in ("val", -1, VAL), ("test", -1, TEST), ("best_test", best, TEST):
            np.testing.assert_allclose(networks[f"{part}_{name}"], measured[when, subset, metric, places], rtol=1e-6)
    when, every = best if at == "best" else -1, np.arange(3)
    # By split, by loss or baseline, and by rate, the means over seeds on either subset in each metric.
    means = measured[when, :, :, places].reshape(3, 3, 2, 2, 2, 3).mean(3)
    chosen = means[:, every, :, VAL, [1, 2, 1]].argmin(2).T  # (splits, losses)
    told = means[every[:, None], every, chosen, TEST]  # (splits, losses, metrics)
    assert (report["compare"], report["choose"], report["step"], report["at"]) == ("model.loss", "model.lr", 40, at)
    rates = [*report["chosen"].values(), report["baselines"]["identity"]["lr"]]
    np.testing.assert_array_equal(rates, np.array(RATES, float)[chosen].T)
    expected = told[:, :2, 0].mean(0), np.median(told[:, :2, 0], 0)
    np.testing.assert_allclose([*report["test_accuracy"].values()], expected[0])
    np.testing.assert_allclose([curves[f"test_accuracy_{name}"][1::2] for name in ("mean", "p50")], expected, rtol=1e-6)
    kinds = {"bce": 0, "mse": 1, "identity": 2}
    assert len(report["differences"]) == len(report["sentences"]) == 6
    for row in report["differences"]:
        each = (told[:, kinds[row["value"]]] - told[:, kinds[row["against"]]])[:, metrics[row["metric"]]]
        half = stats.t.ppf(1 - 0.025 / 6, 2) * np.std(each, ddof=1) * np.sqrt([1 / 3 + 1 / 3, 1 / 3])
        assert (row["splits"], row["level"]) == (3, pytest.approx(1 - 0.05 / 6))
        ends = np.array([row["interval"], row["naive_interval"]])
        np.testing.assert_allclose(ends.T, each.mean() + np.array([-half, half]), atol=1e-8)
    adjusted = multipletests([row["p"] for row in report["differences"]], method="holm")[1]
    np.testing.assert_allclose([row["holm_p"] for row in report["differences"]], adjusted)
    if at == "best":
        assert "the difference in test accuracy between mse and bce is no larger than " in said
        assert f"mse: test accuracy {expected[0][1]:.3f} at the lowest validation loss, after " in said
    page = " ".join(re.sub("<[^>]*>", " ", (folder / "report.html").read_text()).split())
    facts = "splits 3 seeds 2 compare model.loss choose model.lr", "model.hidden_features 4 model.lr 0.1, 1.0"
    assert all(words in page for words in (*facts, data.removeprefix("--")))
    names = ["boundary", "choice", "curves", "differences", "slopes"]
    assert sorted(path.stem for path in (folder / "figures").glob("*.png")) == names


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


def test_interrupted_and_resumed_it_ends_with_the_same_bytes(data: str, capsys: Captured) -> None:
    """With all its iterations, it only says and draws what it found."""
    with signal_at(30, number=signal.SIGINT, kind=Classifiers):
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
