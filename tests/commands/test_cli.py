"""The commands, as a user types them."""

import csv
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from project import Run
from project.__main__ import COMMANDS, main
from project.data import NpyDataModule, sample
from project.model import BCELoss
from project.runs.checkpoint import DigestCheckpointIO, load
from project.runs.disk import release
from tests.commands.test_interruption import signal_at

pytestmark = pytest.mark.process

CONFIGS = Path(__file__).parents[2] / "configs"
METRICS = ("loss", "accuracy", "bce", "mse")
Captured = pytest.CaptureFixture[str]
BOMB = "\n".join(
    f"{a}: &{a} [{', '.join([f'*{b}' if b else '1'] * 10)}]" for a, b in zip("abcdef", ["", *"abcde"], strict=True)
)
NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="the refusal of a missing GPU")


def printed_config(capsys: Captured, *arguments: str) -> dict[str, Any]:
    with pytest.raises(SystemExit, match="0"):
        main(["fit", *arguments, "--print_config"])
    config = yaml.safe_load(capsys.readouterr().out)
    assert isinstance(config, dict)
    return config


def test_fit_writes_the_run_folder(shipped: Path) -> None:
    bce, minibatch = (Run(shipped / "lightning_logs" / name) for name in ("bce", "minibatch"))
    assert {path.stem for path in bce.figures.glob("*.png")} >= {"scatter", "loss", "accuracy", "boundary"}
    assert len(list(bce.path.glob("events.out.tfevents.*"))) == 1
    with bce.table.path.open() as file:
        header, *rows = csv.reader(file)
    assert header == ["step", "train_loss", *(f"{subset}_{metric}" for subset in ("val", "test") for metric in METRICS)]
    assert [int(row[0]) for row in rows if row[1]] == list(range(1, 1001))
    for column in range(2, len(header)):
        assert [int(row[0]) for row in rows if row[column]] == list(range(20, 1001, 20))
    for run in bce, minibatch:
        assert load(run.best)["global_step"] == int(np.nanargmin(run.history()["val_loss"])) + 1
        assert load(run.last)["global_step"] == 1000


def test_fit_with_defaults_ends_with_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["fit"]) == 0
    out, err = capsys.readouterr()
    assert err == "", "a clean fit prints no warning and, without a terminal, no progress bar"
    counts, *_, result, figures = out.splitlines()
    assert "train 912, val 304, test 304 rows" in counts
    assert counts.endswith("copied into memory")
    history = Run("version_0").history()
    assert list(history) == ["step", "train_loss", *(f"val_{metric}" for metric in METRICS)], "test rows stay unseen"
    loss, accuracy = history["val_loss"][-1], history["val_accuracy"][-1]
    assert result == f"validation loss {loss:.4f}, accuracy {accuracy:.4f} after iteration 1000"
    assert figures == f"figures: {Path('lightning_logs/version_0/figures')}"
    assert accuracy >= 0.84


@pytest.mark.parametrize(
    ("config", "differences"),
    [
        ("bce", {}),
        ("mse", {"model": {"loss": "mse"}}),
        ("minibatch", {"data": {"batch_size": 32}}),
        ("notebook", {"model": {"hidden_features": 128, "lr": 0.01, "standardize": False}}),
        ("gpu", {"data": {"piece_rows": 2**20}, "trainer": {"accelerator": "gpu"}}),
        ("ddp", {"trainer": {"strategy": "ddp", "devices": 2}}),
    ],
)
def test_a_config_holds_what_differs_from_the_defaults(
    config: str, differences: dict[str, dict[str, object]], capsys: Captured
) -> None:
    expected = printed_config(capsys)
    for group, options in differences.items():
        assert all(expected[group][option] != value for option, value in options.items())
        expected[group] |= options
    assert printed_config(capsys, "--config", str(CONFIGS / f"{config}.yaml")) == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("batch_size", ["null", "100"])
def test_gpu_config_trains(batch_size: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "--config", str(CONFIGS / "gpu.yaml"), "--data.batch_size", batch_size]) == 0
    assert Run("version_0").history()["val_accuracy"][-1] >= 0.84


def test_printed_and_saved_configs_train_again_to_the_same_history(workplace: Path, capsys: Captured) -> None:
    saved, printed = Run("mse"), workplace / "printed.yaml"
    printed.write_text(yaml.safe_dump(printed_config(capsys, "--config", str(saved.config))))
    for name, config in {"saved": saved.config, "printed": printed}.items():
        assert main(["fit", "--config", str(config), "--name", name]) == 0
        assert Run(name).table.path.read_bytes() == saved.table.path.read_bytes()
        assert Run(name).last.read_bytes() == saved.last.read_bytes()


@pytest.mark.parametrize("config", ["bce", "mse", "minibatch", "notebook"])
def test_test_writes_what_arithmetic_by_hand_finds(workplace: Path, capsys: Captured, config: str) -> None:
    run, before = Run(config), set(workplace.rglob("*"))
    again = ["--config", str(CONFIGS / f"{config}.yaml"), "--data.seed", "0", "--seed_everything", "0"]
    assert main(["test", "--name", config, *again]) == 0, "what agrees with the checkpoint may be said again"
    table, result = capsys.readouterr().out, json.loads((run.path / "test.json").read_text())
    left = "test.json", "test_predictions.csv", "figures/test.png", "figures/test-boundary.png"
    written = {path for path in set(workplace.rglob("*")) - before if "tfevents" not in path.name}
    assert written == {workplace / run.path / file for file in left}
    state, data = load(run.last)["state_dict"], NpyDataModule()
    data.setup("test")
    x, y = (
        (data.test.features.double() - state["standardization.mean"]) * state["standardization.scale"],
        data.test.labels.double(),
    )
    hidden = torch.tanh(x @ state["net.hidden.weight"].double().T + state["net.hidden.bias"])
    p = torch.sigmoid(hidden @ state["net.output.weight"].double().T + state["net.output.bias"])
    bce, mse = float(-(y * p.log() + (1 - y) * (1 - p).log()).mean()), float((p - y).square().mean())
    accuracy = float(((p > 0.5) == (y == 1)).double().mean())
    for metric, by_hand in zip(METRICS, (mse if config == "mse" else bce, accuracy, bce, mse), strict=True):
        assert result[metric] == pytest.approx(by_hand, rel=1e-5)
        assert result[metric] == pytest.approx(run.history()[f"test_{metric}"][-1], rel=1e-6)
        assert f" {result[metric]:.4f} " in table
    assert (result["checkpoint"], result["rows"], result["step"]) == ("last.ckpt", 304, 1000)
    assert result["accuracy"] >= (0.7 if config == "notebook" else 0.84)


def test_validate_uses_the_newest_trained_run_and_leaves_no_folder(workplace: Path, capsys: Captured) -> None:
    before = sorted(workplace.rglob("*"))
    assert main(["validate"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{Run('bce').last}: after iteration 1000\nvalidation: 304 rows")
    assert f"accuracy           {Run('bce').history()['val_accuracy'][-1]:.4f} " in out
    assert sorted(workplace.rglob("*")) == before


def test_best_and_last_and_a_file_name_a_checkpoint(blobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace := blobs.parent)
    run, steps = Run("over"), list[int]()
    assert main(["fit", "--name", "over", "--data.root", "data", "--trainer.max_steps", "301"]) == 0
    for checkpoint in (["best", "--name", "over"], ["last"], [str(run.best)]):
        assert main(["test", "--ckpt_path", *checkpoint]) == 0
        (path,) = workplace.rglob("test*.json")
        steps.append(json.loads(path.read_text())["step"])
        assert path.name == ("test.json" if checkpoint == ["last"] else "test-best.json")
        path.unlink()
    best = load(run.best)["global_step"]
    assert steps == [best, 301, best]
    assert best <= 300, "or they could not be told apart"


def test_predict_writes_a_probability_a_row(workplace: Path) -> None:
    features = np.load(sample.ROOT / "class_1.npy")
    np.save(workplace / "new.npy", features)
    assert main(["predict", "--data.predict", "new.npy"]) == 0
    header, *rows = (Run("bce").path / "predictions.csv").read_text().splitlines()
    assert header == "row,probability,label"
    values = np.array([row.split(",") for row in rows], float)
    with torch.no_grad():
        p = Run("bce").model()(features)[:, 0].numpy()
    np.testing.assert_allclose(values, np.column_stack([np.arange(len(features)), p, p >= 0.5]), rtol=1e-6)


@pytest.mark.parametrize("first", ["50", "60"], ids=["between validations", "after a validation"])
@pytest.mark.parametrize("options", [[], ["--data.batch_size", "50"]], ids=["full batch", "mini-batch"])
def test_resuming_equals_one_whole_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], first: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "--name", "whole", "--trainer.max_steps", "130", *options]) == 0
    with signal_at(int(first)):
        assert main(["fit", "--name", "parts", "--trainer.max_steps", "130", *options]) == 143
    assert main(["fit", "--ckpt_path", "last"]) == 0, "nothing needs to be said again"
    for file in ("history.csv", "figures/boundary.png", "figures/loss.png", "config.yaml", "last.ckpt", "best.ckpt"):
        saved = []
        for run in Run("whole"), Run("parts"):
            saved.append(io.BytesIO(b"" if file.endswith("ckpt") else (run.path / file).read_bytes()))
            if file.endswith("ckpt"):  # The two that are left out count how often a fit has begun.
                torch.save({**load(run.path / "checkpoints" / file), "loops": None, "epoch": None}, saved[-1])
        assert saved[0].getvalue() == saved[1].getvalue(), file


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("fit --data.root nowhere", ["nowhere", "--data.root"]),
        ("fit --name bce", ["--name", "bce", "--ckpt_path"]),
        ("fit --ckpt_path last", ["1000 steps", "--trainer.max_steps"]),
        ("fit --ckpt_path last --trainer.max_steps 900", ["1000 steps"]),
        ("fit --ckpt_path last --trainer.max_steps 1001 --seed_everything 1", ["--seed_everything: 1 conflicts"]),
        pytest.param(f"fit --config {CONFIGS / 'gpu.yaml'}", ["--trainer.accelerator: gpu"], marks=NO_GPU),
        ("test --model.lr 0.01", ["--model.lr: 0.01 conflicts with the checkpoint's 0.8"]),
        ("test --data.seed 1", ["--data.seed: 1 conflicts with the checkpoint's 0"]),
        (f"test --config {CONFIGS / 'mse.yaml'}", ["--model.loss: mse conflicts with the checkpoint's bce"]),
        ("test --ckpt_path gone.ckpt", ["gone.ckpt"]),
        ("test --name gone", ["gone", "--name", "bce, begun, minibatch, mse and notebook"]),
        ("test --name mse --ckpt_path lightning_logs/bce/checkpoints/last.ckpt", ["--name: mse", "of another run"]),
        ("test --name begun", ["begun/checkpoints/last.ckpt: saved before the first iteration"]),
        ("fit --trainer.max_epochs 0", ["--trainer: it allows no further iteration"]),
        ("fit --trainer.max_time 00:00:00:00", ["--trainer: it allows no further iteration"]),
        ("fit --seed_everything false", ["--seed_everything: False; need 0 to 4294967295"]),
        ("fit --trainer.reload_dataloaders_every_n_epochs 1", ["--trainer.reload_dataloaders_every_n_epochs: 1"]),
        ("fit --trainer.plugins DoublePrecision", ["--trainer.plugins: precision 64-true is not supported"]),
        ("fit --trainer.callbacks EarlyStopping", ["--trainer.callbacks", "EarlyStopping", "required: monitor"]),
        ("fit --trainer.callbacks BatchSizeFinder", ["--trainer", "batch_size_scaling"]),
        ("fit --trainer.logger CSVLogger", ["--trainer.logger", "CSVLogger", "required: save_dir"]),
        ("fit --trainer.callbacks elsewhere.Own", ["elsewhere.Own", "is not allowed; --allow-import PACKAGE"]),
        ("fit --config bomb.yaml", ["more than 100000 values"]),
        ("fit --name a\tb", ["--name", "printable"]),
        ("export --output /dev/null", ["/dev/null: is no regular file, and is not replaced"]),
        ("predict", ["--data.predict"]),
        ("predict --data.predict wide.npy", ["wide.npy has 3 columns, the checkpoint's model takes 2"]),
        ("compare bce", ["two"]),
        ("compare bce gone", ["gone"]),
        ("export --model.lr 1", ["--model.lr"]),
        ("train", ["train", "fit"]),
    ],
)
def test_a_mistake_gets_one_line(workplace: Path, capsys: Captured, command: str, words: list[str]) -> None:
    np.save(workplace / "wide.npy", np.ones((5, 3)))
    (workplace / "bomb.yaml").write_text(BOMB)
    begun = Run("begun")
    shutil.copytree(Run("bce").path, begun.path)
    contents = begun.checkpoint() | {"global_step": 0}
    DigestCheckpointIO().save_checkpoint(contents, begun.last)
    before = sorted(workplace.rglob("*"))
    assert main(command.split(" ")) == (1 if "null" in command else 2)
    assert sorted(workplace.rglob("*")) == before, "nothing may be written"
    line = capsys.readouterr().err
    assert line.startswith("error: ")
    assert line.count("\n") == 1
    assert all(word in line for word in words), line


@pytest.mark.usefixtures("workplace")
def test_a_config_that_cannot_be_read_is_one_line_in_every_command(capsys: Captured) -> None:
    """A byte order mark and Windows' line ends are no fault; nor is a history that a spreadsheet has saved."""
    run = Run("bce")
    config = run.config.read_text()
    commands = "test bce", "plot bce", "compare mse bce", "fit --ckpt_path last --trainer.max_steps 1001"
    for text in ("", "[1]", "{", "\x00\xff", BOMB, "data: 3", "figures: [1]", "1970-01-01"):
        run.config.write_bytes(text.encode("latin1"))
        for command in commands:
            assert main(command.split()) == 2, (text, command)
            assert re.fullmatch(rf"error: .*{run.config}: not a config.*\n", capsys.readouterr().err), (text, command)
    run.config.write_bytes(b"\xef\xbb\xbf" + config.replace("\n", "\r\n").encode())
    header, *rows = run.table.path.read_text().splitlines()
    run.table.path.write_bytes(
        "\r\n".join([f"\ufeff{header}", *(row.replace(",", ".0,", 1) for row in rows), ""]).encode()
    )
    assert [main(command.split()) for command in commands] == [0, 0, 0, 0]


def test_what_is_not_utf_8_is_refused_before_anything_is_written(
    blobs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(blobs.parent)
    folder = blobs.rename(os.fsdecode(b"caf\xe9"))
    for options in ["--data.root", str(folder)], ["--data.root", "other", "--data.class_names", os.fsdecode(b"\xe9,b")]:
        if options[1] == "other":
            folder.rename("other")
        assert main(["fit", *options, "--trainer.max_steps", "2"]) == 2
        assert "is not UTF-8, and no config can hold it; rename it" in capsys.readouterr().err
    assert not Path("lightning_logs").exists()


def test_a_fit_reports_the_weights_that_it_saves(
    blobs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """It validates after its last iteration, whatever the interval; going on, that is no validation of the grid."""
    monkeypatch.chdir(blobs.parent)
    for options in ["--trainer.max_steps", "50"], ["--trainer.max_epochs", "25", "--data.batch_size", "30"]:
        assert main(["fit", "--name", options[0][2:], "--data.root", "data", *options]) == 0
        run = Run(options[0][2:])
        (final,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("validation loss"))
        with torch.no_grad():
            answers, rows = run.model()(run.data().val.features), run.data().val
        loss, accuracy = BCELoss()(rows.labels, answers).item(), ((answers >= 0.5) == rows.labels).double().mean()
        assert final == f"validation loss {loss:.4f}, accuracy {accuracy:.4f} after iteration 50"
        assert np.flatnonzero(~np.isnan(run.history()["val_loss"])).tolist() == [19, 39, 49]
    assert main(["fit", "--name", "trainer.max_steps", "--ckpt_path", "last", "--trainer.max_steps", "60"]) == 0
    assert main(["fit", "--name", "whole", "--data.root", "data", "--trainer.max_steps", "60"]) == 0
    assert Run("trainer.max_steps").table.path.read_bytes() == Run("whole").table.path.read_bytes()


def interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


def test_going_on_from_best_brings_all_of_the_run_to_its_iteration(
    blobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed as soon as that has begun, it goes on from there: last.ckpt comes before the history is cut."""
    monkeypatch.chdir(blobs.parent)
    assert main(["fit", "--name", "over", "--data.root", "data", "--trainer.max_steps", "300"]) == 0
    run, step = Run("over"), load(Run("over").best)["global_step"]
    assert step < 280
    history, go_on = run.table.path.read_bytes(), ["fit", "--name", "over", "--trainer.max_steps", "300", "--ckpt_path"]
    with monkeypatch.context() as patch:
        patch.setattr(NpyDataModule, "describe", interrupted)
        assert main([*go_on, "best"]) == 130
    release(run.path)
    assert (load(run.last)["global_step"], run.table.path.read_bytes()) == (step, history)
    assert main([*go_on, "last"]) == 0
    assert run.table.path.read_bytes() == history
    assert load(run.last)["global_step"] == 300


def test_a_package_of_ones_own_is_imported_if_it_is_allowed(
    blobs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(blobs.parent)
    monkeypatch.syspath_prepend(str(blobs.parent))
    own = (
        "from lightning.pytorch import Callback\nclass Own(Callback):\n    def on_train_start(self, *_): print('own')\n"
    )
    Path("elsewhere.py").write_text(own)
    options = ["--data.root", "data", "--trainer.max_steps", "2", "--trainer.callbacks", "elsewhere.Own"]
    assert main(["fit", *options, "--allow-import", "elsewhere"]) == 0
    assert "own\n" in capsys.readouterr().out


def test_an_option_before_a_config_that_overrules_it_is_named(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "lr.yaml").write_text("model: {lr: 0.25, hidden_features: 3}")
    for order, told in (
        (["--model.lr", "0.5", "-c"], True),
        (["-c"], False),
        (["--model.hidden_features=3", "-c"], False),
    ):
        assert main(["fit", *order, str(tmp_path / "lr.yaml"), "--data.root", "nowhere"]) == 2
        *warned, _ = capsys.readouterr().err.splitlines()
        assert (
            warned == ["warning: --model.lr: 0.5 stands before the config, whose 0.25 is taken; put it behind"] * told
        )


def test_a_run_is_tested_from_another_folder(blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "--name", "a", "--data.root", blobs.name, "--trainer.max_steps", "20"]) == 0
    monkeypatch.chdir(blobs)
    assert main(["test", "--ckpt_path", "../lightning_logs/a/checkpoints/last.ckpt"]) == 0
    assert (tmp_path / "lightning_logs" / "a" / "test.json").exists()


@pytest.mark.process
def test_help_lists_the_commands_at_once(tmp_path: Path) -> None:
    seconds = []
    for _ in range(3):  # The quickest counts, because other processes may keep the machine busy.
        begin = time.perf_counter()
        text = subprocess.check_output([sys.executable, "-m", "project", "--help"], text=True, cwd=tmp_path, timeout=60)
        seconds.append(time.perf_counter() - begin)
    assert min(seconds) < 0.5
    assert set(COMMANDS) >= {"fit", "validate", "test", "predict", "compare", "plot", "export"}
    for command in COMMANDS:
        assert sum(line.split()[:1] == [command] for line in text.splitlines()) == 1


# Takes five blocks of 2 MiB and releases them, as the tensors of a piece, and counts the pages that the system gave.
PAGES = """
import ctypes, resource, sys
if sys.argv[1] == "as the commands do":
    from project.__main__ import load_commands
    load_commands()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [ctypes.c_void_p(libc.malloc(2**21)) for _ in range(5)]
    for use in (lambda block: ctypes.memset(block, 1, 2**21)), libc.free:
        list(map(use, blocks))
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.process
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_the_memory_of_an_iteration_is_used_again(tmp_path: Path) -> None:
    def pages(process: str) -> int:
        command = [sys.executable, "-c", PAGES, process]
        return int(subprocess.check_output(command, text=True, cwd=tmp_path, timeout=60))

    assert pages("as the commands do") < 10
    assert pages("as it comes") > 2000, "load_commands need not teach what is known"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_ours_says_what_it_means(command: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help.trainer" if command in ("fit", "validate", "test", "predict") else "--help"])
    parts = capsys.readouterr().out.split("\n  --")[1:]
    options = [part for part in parts if part.startswith(("model.", "data.", "name", "output", "format", "dpi"))]
    assert options
    assert [option for option in options if len(option.partition("(")[0].split()) <= 4] == []
    theirs = {name for name in ("optimizer", "lr_scheduler") if any(part.startswith(name) for part in parts)}
    assert theirs == ({"optimizer", "lr_scheduler"} if command in ("fit", "validate", "test", "predict") else set())
