"""The commands, as a user types them."""

import csv
import json
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from project.__main__ import COMMANDS, main
from project.checkpoint import load
from project.data import NpyDataModule, sample
from project.export import load_classifier
from project.run import Run

CONFIGS = Path(__file__).parent.parent / "configs"
Captured = pytest.CaptureFixture[str]


def printed_config(capsys: Captured, *arguments: str) -> dict[str, object]:
    with pytest.raises(SystemExit) as exit_info:
        main(["fit", *arguments, "--print_config"])
    assert exit_info.value.code == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert isinstance(config, dict)
    return config


def error_of(capsys: Captured, *arguments: str) -> str:
    """Run a command that must fail as bad input does, and return its one line."""
    before = sorted(Path.cwd().rglob("*"))
    assert main(arguments) == 2
    assert sorted(Path.cwd().rglob("*")) == before, "nothing may be written"
    line = capsys.readouterr().err
    assert line.startswith("error: ")
    assert line.count("\n") == 1
    return line


def test_fit_writes_the_run_folder(shipped: Path) -> None:
    run = Run(shipped / "lightning_logs" / "bce")
    assert {path.name for path in run.figures.iterdir()} == {
        "scatter.png",
        "loss.png",
        "accuracy.png",
        "boundary.png",
    }
    assert run.last.exists()
    assert run.best.exists()
    assert len(list(run.path.glob("events.out.tfevents.*"))) == 1
    with run.history.path.open() as file:
        header, *rows = csv.reader(file)
    assert header == ["step", "train_loss", "val_loss", "val_accuracy", "test_loss", "test_accuracy"]
    assert [int(row[0]) for row in rows] == list(range(1, 1001))
    assert [int(row[0]) for row in rows if row[2]] == list(range(20, 1001, 20))
    assert all(row[1] for row in rows)


def test_fit_with_defaults_ends_with_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["fit"]) == 0
    out, err = capsys.readouterr()
    assert err == "", "a clean fit prints no warning and, without a terminal, no progress bar"
    counts, result, figures = out.splitlines()
    assert "train 912, val 304, test 304 rows" in counts
    history = Run(tmp_path / "lightning_logs" / "version_0").history.read()
    loss, accuracy = history["val_loss"][-1], history["val_accuracy"][-1]
    assert result == f"validation loss {loss:.4f}, accuracy {accuracy:.4f} after iteration 1000"
    assert figures == f"figures: {Path('lightning_logs/version_0/figures')}"
    assert accuracy >= 0.84


def test_best_checkpoint_has_the_lowest_validation_loss(shipped: Path) -> None:
    for name in ("bce", "minibatch"):
        run = Run(shipped / "lightning_logs" / name)
        losses = run.history.read()["val_loss"]
        assert load(run.best)["global_step"] == int(np.nanargmin(losses)) + 1
        assert load(run.last)["global_step"] == 1000


def test_bce_config_equals_the_defaults(capsys: Captured) -> None:
    assert printed_config(capsys, "--config", str(CONFIGS / "bce.yaml")) == printed_config(capsys)


@pytest.mark.parametrize(
    ("config", "differences"),
    [
        ("gpu", {"data": {"piece_rows": 2**20}, "trainer": {"accelerator": "gpu"}}),
        ("ddp", {"trainer": {"strategy": "ddp", "devices": 2}}),
    ],
)
def test_config_differs_from_the_defaults_in_what_it_is_about(
    config: str, differences: dict[str, dict[str, object]], capsys: Captured
) -> None:
    expected = printed_config(capsys)
    for group, options in differences.items():
        defaults = expected[group]
        assert isinstance(defaults, dict)
        defaults.update(options)
    assert printed_config(capsys, "--config", str(CONFIGS / f"{config}.yaml")) == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="the refusal of a missing GPU")
def test_gpu_config_is_refused_without_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.chdir(tmp_path)
    assert "gpu" in error_of(capsys, "fit", "--config", str(CONFIGS / "gpu.yaml"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("batch_size", ["null", "100"])
def test_gpu_config_trains(batch_size: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--config", str(CONFIGS / "gpu.yaml"), "--name", "gpu", "--data.batch_size", batch_size]
    assert main(["fit", *options]) == 0
    assert Run(tmp_path / "lightning_logs" / "gpu").history.read()["val_accuracy"][-1] >= 0.84


def test_printed_and_saved_configs_train_again_to_the_same_history(
    workplace: Path, capsys: Captured, tmp_path: Path
) -> None:
    saved = Run(workplace / "lightning_logs" / "mse")
    printed = tmp_path / "printed.yaml"
    printed.write_text(yaml.safe_dump(printed_config(capsys, "--config", str(saved.config))))
    for name, config in {"saved": saved.config, "printed": printed}.items():
        assert main(["fit", "--config", str(config), "--name", name]) == 0
        again = Run(workplace / "lightning_logs" / name)
        assert again.history.path.read_bytes() == saved.history.path.read_bytes()
        assert again.last.read_bytes() == saved.last.read_bytes()


@pytest.mark.parametrize("config", ["bce", "mse", "minibatch", "notebook"])
def test_test_prints_a_table_and_writes_json(workplace: Path, capsys: Captured, config: str) -> None:
    run = Run(workplace / "lightning_logs" / config)
    runs = sorted(path.name for path in (workplace / "lightning_logs").iterdir())
    assert main(["test", "--name", config]) == 0
    table = capsys.readouterr().out
    result = json.loads((run.path / "test.json").read_text())
    history = run.history.read()
    assert result["loss"] == pytest.approx(history["test_loss"][-1], rel=1e-6)
    assert result["accuracy"] == pytest.approx(history["test_accuracy"][-1], rel=1e-6)
    assert str(result["accuracy"]) in table
    assert "test/loss" in table
    assert sorted(path.name for path in (workplace / "lightning_logs").iterdir()) == runs
    assert result["accuracy"] >= {"bce": 0.84, "mse": 0.84, "minibatch": 0.84, "notebook": 0.7}[config]


def test_test_agrees_with_arithmetic_by_hand(workplace: Path) -> None:
    assert main(["test"]) == 0
    state = load(Run(workplace / "lightning_logs" / "bce").last)["state_dict"]
    data = NpyDataModule()
    data.setup("test")
    hidden = torch.tanh(
        (data.test.features.double() - state["mean"]) * state["scale"] @ state["net.0.weight"].double().T
        + state["net.0.bias"]
    )
    p = torch.sigmoid(hidden @ state["net.2.weight"].double().T + state["net.2.bias"])
    y = data.test.labels.double()
    result = json.loads((workplace / "lightning_logs" / "bce" / "test.json").read_text())
    assert result["loss"] == pytest.approx(float(-(y * p.log() + (1 - y) * (1 - p).log()).mean()), rel=1e-5)
    assert result["accuracy"] == pytest.approx(float(((p > 0.5) == (y == 1)).double().mean()))


def test_validate_uses_the_newest_trained_run_and_leaves_no_folder(workplace: Path, capsys: Captured) -> None:
    (workplace / "lightning_logs" / "version_7" / "checkpoints").mkdir(parents=True)
    before = sorted(workplace.rglob("*"))
    assert main(["validate"]) == 0
    accuracy = Run(workplace / "lightning_logs" / "bce").history.read()["val_accuracy"][-1]
    assert f"{accuracy:.7f}"[:7] in capsys.readouterr().out
    assert sorted(workplace.rglob("*")) == before


def test_best_and_last_and_a_file_name_a_checkpoint(workplace: Path) -> None:
    run = Run(workplace / "lightning_logs" / "bce")
    steps = []
    for checkpoint in ("best", "last", str(run.best)):
        assert main(["test", "--ckpt_path", checkpoint]) == 0
        steps.append(json.loads((run.path / "test.json").read_text())["step"])
    assert steps == [load(run.best)["global_step"], 1000, load(run.best)["global_step"]]


def test_predict_writes_a_probability_a_row(workplace: Path) -> None:
    features = np.load(sample.ROOT / "class_1.npy")
    np.save(workplace / "new.npy", features)
    assert main(["predict", "--data.predict", "new.npy"]) == 0
    run = Run(workplace / "lightning_logs" / "bce")
    with (run.path / "predictions.csv").open() as file:
        header, *rows = csv.reader(file)
    assert header == ["row", "probability", "label"]
    assert [int(row[0]) for row in rows] == list(range(len(features)))
    with torch.no_grad():
        expected = load_classifier(run.last)(torch.from_numpy(features).float())[:, 0]
    np.testing.assert_allclose([float(row[1]) for row in rows], expected, rtol=1e-6)
    assert [int(row[2]) for row in rows] == [int(p >= 0.5) for p in expected]


@pytest.mark.parametrize("first", [50, 60], ids=["between validations", "after a validation"])
@pytest.mark.parametrize("options", [[], ["--data.batch_size", "50"]], ids=["full batch", "mini-batch"])
def test_resuming_equals_one_whole_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], first: int
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "--name", "whole", "--trainer.max_steps", "130", *options]) == 0
    assert main(["fit", "--name", "parts", "--trainer.max_steps", str(first), *options]) == 0
    assert main(["fit", "--ckpt_path", "last", "--trainer.max_steps", "130"]) == 0, "only the new end needs to be said"
    whole, parts = (Run(tmp_path / "lightning_logs" / name) for name in ("whole", "parts"))
    for file in ("history.csv", "losses.csv", "figures/boundary.png", "figures/loss.png", "config.yaml"):
        assert (parts.path / file).read_bytes() == (whole.path / file).read_bytes(), file
    for checkpoint in ("last.ckpt", "best.ckpt"):
        a, b = (load(run.path / "checkpoints" / checkpoint) for run in (whole, parts))
        assert all(torch.equal(a["state_dict"][key], b["state_dict"][key]) for key in a["state_dict"])
        assert a["callbacks"]["Checkpoints"] == b["callbacks"]["Checkpoints"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "--model.lr", "fast"], ["--model.lr", "fast", "float"]),
        (["fit", "--model.lr", "nan"], ["--model.lr", "nan"]),
        (["fit", "--model.learning_rate", "1"], ["--model.learning_rate"]),
        (["fit", "--data.batch_size", "913"], ["--data.batch_size", "913", "1 to 912"]),
        (["fit", "--data.root", "nowhere"], ["nowhere", "--data.root"]),
        (["fit", "--name", "bce"], ["--name", "bce", "--ckpt_path"]),
        (["fit", "--ckpt_path", "last"], ["1000 steps", "--trainer.max_steps"]),
        (["fit", "--ckpt_path", "last", "--trainer.max_steps", "900"], ["1000 steps"]),
        (["test", "--model.lr", "0.01"], ["--model.lr 0.01 conflicts with the checkpoint's 1.0"]),
        (["test", "--data.seed", "1"], ["--data.seed 1 conflicts with the checkpoint's 0"]),
        (["test", "--ckpt_path", "gone.ckpt"], ["gone.ckpt"]),
        (["test", "--name", "gone"], ["gone"]),
        (
            ["fit", "--ckpt_path", "last", "--seed_everything", "1", "--trainer.max_steps", "1001"],
            ["--seed_everything 1"],
        ),
        (["predict"], ["--data.predict"]),
        (["compare", "bce"], ["two"]),
        (["compare", "bce", "gone"], ["gone"]),
        (["export", "--model.lr", "1"], ["--model.lr"]),
        (["train"], ["train", "fit"]),
    ],
)
@pytest.mark.usefixtures("workplace")
def test_a_mistake_gets_one_line(capsys: Captured, arguments: list[str], words: list[str]) -> None:
    line = error_of(capsys, *arguments)
    assert all(word in line for word in words), line


def test_rows_of_another_width_are_not_predicted(workplace: Path, capsys: Captured) -> None:
    np.save(workplace / "wide.npy", np.ones((5, 3)))
    assert "wide.npy has 3 columns, the checkpoint's model takes 2" in error_of(
        capsys, "predict", "--data.predict", "wide.npy"
    )


def test_a_run_is_tested_from_another_folder(blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(blobs.parent)
    assert main(["fit", "--name", "a", "--data.root", blobs.name, "--trainer.max_steps", "20"]) == 0
    run = Run(tmp_path / "lightning_logs" / "a")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["test", "--ckpt_path", str(run.last)]) == 0
    assert (run.path / "test.json").exists()


@pytest.mark.usefixtures("workplace")
def test_other_data_than_the_checkpoint_saw_is_refused(blobs: Path, capsys: Captured) -> None:
    assert "other data (sha256" in error_of(capsys, "test", "--data.root", str(blobs))


def test_help_lists_the_commands_at_once(tmp_path: Path) -> None:
    begin = time.perf_counter()
    text = subprocess.check_output([sys.executable, "-m", "project", "--help"], text=True, cwd=tmp_path)
    assert time.perf_counter() - begin < 0.5
    for command in COMMANDS:
        assert sum(line.split()[:1] == [command] for line in text.splitlines()) == 1


# Takes five blocks of 2 MiB and releases them, as the tensors of a piece, and counts the pages that the system gave
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
    for block in blocks:
        ctypes.memset(block, 1, 2**21)
    for block in blocks:
        libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_the_memory_of_an_iteration_is_used_again(tmp_path: Path) -> None:
    def pages(process: str) -> int:
        return int(subprocess.check_output([sys.executable, "-c", PAGES, process], text=True, cwd=tmp_path))

    assert pages("as the commands do") < 10
    assert pages("as it comes") > 2000, "load_commands need not teach what is known"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_ours_says_what_it_means(command: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = capsys.readouterr().out
    options = [part for part in text.split("\n  --")[1:] if part.startswith(("model.", "data.", "name", "output"))]
    assert all("(type:" in option and len(option.split("(type:")[0].split()) > 4 for option in options), text
    assert options
