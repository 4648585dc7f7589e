"""Checkpoints: damaged and forged ones are refused, and equal contents become equal bytes."""

import copy
import errno
import os
import random
import shutil
import sys
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch import Trainer

from project import Run
from project.__main__ import main
from project.data import NpyDataModule
from project.errors import DivergedError, InputError
from project.model import BinaryClassifier
from project.runs.checkpoint import DIGEST_BYTES, DigestCheckpointIO, canonical, load
from tests.campaigns import checkpoints

pytestmark = pytest.mark.process
NAN, INF, GONE = float("nan"), float("inf"), object()
HIDDEN = "net.hidden.weight"
# By the path of an entry: what it cannot be, for the classifier that the options describe.
UNFIT: dict[str, list[Any]] = {
    **{key: [GONE] for key in ("global_step", "fingerprint", "loops", "optimizer_states")},
    "state_dict": [GONE, [torch.ones(2)], {}],
    "state_dict/standardization.mean": [GONE],
    f"state_dict/{HIDDEN}": [
        *(GONE, 5, "1", torch.ones(8, 2).tolist(), torch.ones(2, 8), torch.ones(8, 2).double(), torch.ones(8, 2).int()),
        *(torch.full((8, 2), NAN), torch.full((8, 2), INF), torch.ones(2, 8).T, torch.ones(1).expand(8, 2)),
        *(torch.ones(8, 2).to_sparse(), torch.ones(8, 2, device="meta"), torch.nn.Parameter(torch.ones(8, 2))),
    ],
    "initial": [GONE, {}, []],
    f"initial/{HIDDEN}": [GONE, torch.ones(3), torch.full((8, 2), NAN), torch.ones(1).expand(8, 2)],
    "snapshots": [GONE, {}, []],
    f"snapshots/{HIDDEN}": [GONE, torch.ones(8, 2), torch.ones(1).expand(1, 8, 2)],
    "snapshot_steps": [GONE, [], [20, 40]],
    "hyper_parameters": [GONE, [2, 8], {}],
    "hyper_parameters/class_path": ["os.system"],
    "hyper_parameters/hidden_features": [GONE, -8, 0, 9, 10**9, "8", None],
    "hyper_parameters/lr": [GONE, NAN, INF, -1.0, "1.0"],
    "hyper_parameters/activation": [5, ["tanh"], "evil", "__class__"],
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return checkpoints.train(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def run(trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A copy of the trained run, under the working directory."""
    shutil.copytree(trained.path, tmp_path / "lightning_logs" / "victim")
    monkeypatch.chdir(tmp_path)
    return Run("victim")


def edited(contents: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy of nested contents with another value, or none, at a path."""
    inner = result = copy.deepcopy(contents)
    *folders, name = path.split("/")
    for folder in folders:
        inner = inner[folder]
    if value is GONE:
        del inner[name]
    else:
        inner[name] = value
    return result


def unfit(contents: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, values in UNFIT.items():
        for value in values:
            yield f"{path}: {'gone' if value is GONE else value}", edited(contents, path, value)


def test_damaged_and_forged_ones_are_refused_and_nothing_is_executed(trained: Run, tmp_path: Path) -> None:
    """As a good one, sealed as the forged ones are, is not."""
    data, contents, path, canary = trained.last.read_bytes(), trained.checkpoint(), tmp_path / "x", tmp_path / "canary"
    assert checkpoints.saved(canonical(contents)) == data
    path.write_bytes(data)
    assert checkpoints.same(load(path), contents)
    cases = [*checkpoints.forged(contents, canary)]
    cases += islice(checkpoints.damages(data, random.Random(0)), 600)  # noqa: S311 (nothing to keep secret)
    cases += [(f"{length} bytes", data[:length]) for near in (0, len(data)) for length in range(near - 90, near)]
    cases += [(name, checkpoints.saved(wrong)) for name, wrong in unfit(contents)]
    cases += [(str(what), checkpoints.saved(what)) for what in ([1, 2], torch.ones(3), None, {})]
    assert [wrong for case in cases if (wrong := checkpoints.failure(case, path, canary))] == []


def test_what_load_would_refuse_is_not_saved(trained: Run, tmp_path: Path) -> None:
    contents = trained.checkpoint()
    for _, wrong in unfit(contents):
        with pytest.raises((ArithmeticError, LookupError, AttributeError, RuntimeError, TypeError, ValueError)):
            DigestCheckpointIO().save_checkpoint(wrong, tmp_path / "x.ckpt")
    for value in (np.float64(1), np.zeros(2), Path(), errno, {1}):
        with pytest.raises(TypeError, match="cannot be kept in a checkpoint; need plain numbers, text or tensors"):
            DigestCheckpointIO().save_checkpoint({**contents, "callbacks": {"C": value}}, tmp_path / "x.ckpt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["fit --trainer.max_steps 40", "test"])
def test_what_is_no_good_checkpoint_is_one_line(run: Run, capsys: pytest.CaptureFixture[str], command: str) -> None:
    """It names the other one, if that is there; nothing is written."""
    os.mkfifo("fifo.ckpt")
    Path("empty.ckpt").touch()
    Path("damaged.ckpt").write_bytes(run.last.read_bytes()[:-9])
    before = {path: path.stat().st_mtime_ns for path in Path.cwd().rglob("*")}
    for place in str(run.path), "fifo.ckpt", "empty.ckpt", "damaged.ckpt", "/dev/zero", "nowhere", "http://localhost/a":
        assert main([*command.split(), "--ckpt_path", place]) == 2, place
        stderr = capsys.readouterr().err
        assert stderr.startswith("error: "), stderr
        assert stderr.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in Path.cwd().rglob("*")} == before
    for remedy in f"use {run.best}", "use another one":
        run.last.write_bytes(b"x")
        assert main([*command.split(), "--ckpt_path", str(run.last)]) == 2
        assert remedy in capsys.readouterr().err
        run.best.unlink(missing_ok=True)


def test_weights_that_are_not_finite_are_not_saved_and_the_last_good_ones_named(run: Run) -> None:
    contents = edited({**run.checkpoint(), "global_step": 40}, "state_dict/net.output.bias", torch.tensor([np.nan]))
    words = rf"net.output.bias is not finite at step 40 \(lr=0.8\); last good checkpoint {run.last} \(step 20\); try"
    best = run.best.read_bytes()
    with pytest.raises(DivergedError, match=words):
        DigestCheckpointIO().save_checkpoint(contents, run.best)
    assert run.best.read_bytes() == best


def named(where: str, what: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": f"{where}.{what}", "init_args": arguments}


RECEIVED = {
    "callbacks": [named("canary", "Callback"), named("lightning.pytorch.callbacks", "ModelCheckpoint", dirpath="away")],
    "profiler": named("lightning.pytorch.profilers", "AdvancedProfiler", dirpath="away", filename="canary"),
    "logger": [named("lightning.pytorch.loggers", "CSVLogger", save_dir="away")],
    "plugins": [named("canary", "Plugin")],
    "strategy": named("canary", "Strategy"),
    "default_root_dir": "away",
}
OPTIMIZER = {"optimizer": named("canary", "SGD")}


@pytest.mark.parametrize(("command", "more"), [("fit", {}), ("fit", OPTIMIZER), ("test", OPTIMIZER)])
def test_what_a_received_config_names_is_neither_imported_nor_run_nor_written_to(
    run: Run, command: str, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path.cwd())
    Path("canary.py").write_text("open('away', 'w')\n")
    config = run.options()
    config["trainer"] |= RECEIVED
    run.config.write_text(yaml.safe_dump({**config, **more, "name": "../away", "ckpt_path": "away"}))
    steps = ["--trainer.max_steps", "40"] if command == "fit" else []
    refused = 2 if command == "fit" and more else 0
    assert main([command, *steps, "--ckpt_path", str(run.last)]) == refused
    assert not Path("away").exists()
    assert not Path("../away").exists()
    assert "canary" not in sys.modules


def apart(value: Any) -> Any:
    """Copy contents so that no two equal parts are one object."""
    if isinstance(value, str):
        return "".join(list(value))
    if isinstance(value, dict):
        return {apart(key): apart(item) for key, item in value.items()}
    return [apart(item) for item in value] if isinstance(value, list) else copy.deepcopy(value)


def test_equal_contents_become_equal_bytes_that_are_believed(trained: Run, tmp_path: Path) -> None:
    contents, part, written = trained.checkpoint(), ["shared", {"a": "shared"}], []
    shared = {**contents, "callbacks": {"x": part, "y": part, "z": "shared"}}
    for each in (contents, apart(contents), shared, apart(shared)):
        DigestCheckpointIO().save_checkpoint(each, tmp_path / "x.ckpt")
        written.append((tmp_path / "x.ckpt").read_bytes())
        assert checkpoints.same(load(tmp_path / "x.ckpt"), each)
    assert written[:2] == [trained.last.read_bytes()] * 2
    assert written[2] == written[3]


def test_plain_torch_reads_a_checkpoint_and_no_path_is_in_it(trained: Run) -> None:
    folders = {part for folder in (trained.path, Path(__file__).parent) for part in folder.parts if len(part) > 5}
    for path in (trained.last, trained.best):
        assert checkpoints.same(torch.load(path, weights_only=True), load(path))
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            assert len(archive.comment) == DIGEST_BYTES
        assert not [folder for folder in folders if folder.encode() in path.read_bytes()]


class RenamedDataModule(NpyDataModule):
    """Lightning hands a datamodule's state back only to a class of the same name."""


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks:UserWarning")
@pytest.mark.parametrize("command", ["fit", "validate", "test"])
def test_rows_that_were_trained_on_are_never_tested_on(trained: Run, blobs: Path, tmp_path: Path, command: str) -> None:
    none = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    places = {"default_root_dir": tmp_path, "plugins": [DigestCheckpointIO()]}
    trainer = Trainer(accelerator="cpu", max_steps=40, max_epochs=-1, **none, **places)
    model, begin = BinaryClassifier(num_features=2, hidden_features=8), getattr(trainer, command)
    for kind in NpyDataModule, RenamedDataModule:
        with pytest.raises(InputError, match=r"split seed 0 .*, not 1"):
            begin(model, datamodule=kind(seed=1), ckpt_path=trained.last)
        with pytest.raises(InputError, match="trained on other data"):
            begin(model, datamodule=kind(blobs), ckpt_path=trained.last)
        if command != "fit":  # The right data are let through.
            (result,) = begin(model, datamodule=kind(), ckpt_path=trained.last, verbose=False)
            assert 0.5 < result[f"{'val' if command == 'validate' else 'test'}/accuracy"] <= 1
