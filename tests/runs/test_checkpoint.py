"""Checkpoints: damaged, forged and foreign ones are refused, and nothing that came with one is executed."""

import copy
import os
import random
import shutil
import sys
import zipfile
from collections.abc import Iterator
from functools import reduce
from itertools import islice
from operator import getitem
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
from project.runs.checkpoint import DigestCheckpointIO
from tests.campaigns import checkpoints

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("undrawn")]
NAN, GONE = float("nan"), object()
HIDDEN, ONES = "net.hidden.weight", torch.ones(8, 2)
# By the path of an entry: what it cannot be, for the classifier that the options describe.
UNFIT: dict[str, list[Any]] = {
    **{key: [GONE] for key in ("global_step", "fingerprint", "loops", "optimizer_states")},
    **{key: [GONE, {}, []] for key in ("state_dict", "initial", "snapshots", "hyper_parameters")},
    f"state_dict/{HIDDEN}": [GONE, 5, ONES.T, ONES.double(), NAN * ONES, ONES.to("meta"), torch.nn.Parameter(ONES)],
    f"initial/{HIDDEN}": [GONE, torch.ones(3), NAN * ONES, torch.ones(1).expand(8, 2)],
    f"snapshots/{HIDDEN}": [GONE, ONES, torch.ones(1).expand(1, 8, 2)],
    "snapshot_steps": [GONE, [], [20, 40]],
    "hyper_parameters/class_path": ["os.system"],
    "hyper_parameters/hidden_features": [GONE, -8, 9, 10**9, "8"],
    "hyper_parameters/lr": [GONE, NAN, -1.0, "1.0"],
    "hyper_parameters/activation": [5, "evil", "__class__"],
}
AWAY = {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": "away"}}
# What a config.yaml names that somebody has put into a run folder.
RECEIVED = {"callbacks": [{"class_path": "canary.Callback"}], "logger": [AWAY], "default_root_dir": "away"}
RECEIVED |= {"profiler": {"class_path": "canary.Profiler"}, "strategy": "canary.Strategy"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return checkpoints.train(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def run(trained: Run, here: Path) -> Run:
    shutil.copytree(trained.path, here / "lightning_logs" / "victim")
    return Run("victim")


def unfit(contents: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield copies of contents with one entry that is another, or gone, and what that is."""
    for path, values in UNFIT.items():
        *folders, name = path.split("/")
        for value in values:
            inner = reduce(getitem, folders, wrong := copy.deepcopy(contents))
            inner[name] = value
            if value is GONE:
                del inner[name]
            yield f"{path}: {value}", wrong


def test_damaged_and_forged_ones_are_refused_and_nothing_is_executed(trained: Run, tmp_path: Path) -> None:
    data, contents, path, canary = trained.last.read_bytes(), trained.checkpoint(), tmp_path / "x", tmp_path / "canary"
    assert checkpoints.saved(contents) == checkpoints.saved(torch.load(trained.last, weights_only=True))
    assert zipfile.ZipFile(trained.last).testzip() is None
    assert not [part for part in trained.path.parts if len(part) > 5 and part.encode() in data]
    cases = [*checkpoints.forged(contents, canary)]
    cases += islice(checkpoints.damages(data, random.Random(0)), 600)  # noqa: S311 (nothing to keep secret)
    cases += [(f"{length} bytes", data[:length]) for near in (0, len(data)) for length in range(near - 90, near)]
    cases += [(name, checkpoints.saved(wrong)) for name, wrong in unfit(contents)]
    cases += [(str(what), checkpoints.saved(what)) for what in ([1, 2], torch.ones(3), None, {})]
    assert [wrong for case in cases if (wrong := checkpoints.failure(case, path, canary))] == []


def test_what_load_would_refuse_is_not_saved(trained: Run, tmp_path: Path) -> None:
    contents, path = trained.checkpoint(), tmp_path / "x.ckpt"
    for _, wrong in unfit(contents):
        with pytest.raises((ArithmeticError, LookupError, AttributeError, RuntimeError, TypeError, ValueError)):
            DigestCheckpointIO().save_checkpoint(wrong, path)
    for value in (np.float64(1), np.zeros(2), Path(), os, {1}):
        with pytest.raises(TypeError, match="cannot be kept in a checkpoint; need plain numbers, text or tensors"):
            DigestCheckpointIO().save_checkpoint({**contents, "callbacks": {"C": value}}, path)
    contents["state_dict"]["net.output.bias"][0] = np.nan
    words = rf"bias is not finite at step 20 \(lr=0.8\); last good checkpoint {trained.last} \(step 20\); try"
    with pytest.raises(DivergedError, match=words):
        DigestCheckpointIO().save_checkpoint(contents, trained.last.with_name("x.ckpt"))
    assert [*trained.path.rglob("x.ckpt"), *tmp_path.iterdir()] == []


def test_what_is_no_good_checkpoint_is_one_line(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """It names the other one, if that is there; nothing is written."""
    os.mkfifo("fifo.ckpt")
    Path("empty.ckpt").touch()
    before = {path: path.stat().st_mtime_ns for path in Path.cwd().rglob("*")}
    for command in ["fit", "--trainer.max_steps", "40"], ["test"]:
        for place in str(run.path), "fifo.ckpt", "empty.ckpt", "/dev/zero", "nowhere", "http://localhost/a":
            assert main([*command, "--ckpt_path", place]) == 2, place
            stderr = capsys.readouterr().err
            assert (stderr.partition(" ")[0], stderr.count("\n")) == ("error:", 1)
    assert {path: path.stat().st_mtime_ns for path in Path.cwd().rglob("*")} == before
    for remedy in f"use {run.best}", "use another one":
        run.last.write_bytes(b"x")
        assert main(["test", "--ckpt_path", str(run.last)]) == 2
        assert remedy in capsys.readouterr().err
        run.best.unlink(missing_ok=True)


def test_what_a_received_config_names_is_neither_imported_nor_run_nor_written_to(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path.cwd())
    Path("canary.py").write_text("open('away', 'w')\n")
    config = {**run.options(), "name": "../away", "ckpt_path": "away"}
    config["trainer"] |= RECEIVED
    fit, foreign = ["fit", "--trainer.max_steps", "40"], {"optimizer": {"class_path": "canary.SGD"}}
    for command, more, status in (fit, foreign, 2), (["test"], {}, 0), (fit, {}, 0):
        run.config.write_text(yaml.safe_dump({**config, **more}))
        assert main([*command, "--ckpt_path", str(run.last)]) == status
        assert not any(Path(place).exists() for place in ("away", "../away"))
        assert "canary" not in sys.modules


class RenamedDataModule(NpyDataModule):
    """Lightning hands a datamodule's state back only to a class of the same name."""


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks:UserWarning")
def test_rows_that_were_trained_on_are_never_tested_on(trained: Run, tmp_path: Path) -> None:
    none = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    places = {"default_root_dir": tmp_path, "plugins": [DigestCheckpointIO()]}
    trainer = Trainer(accelerator="cpu", max_steps=40, max_epochs=-1, **none, **places)
    model = BinaryClassifier(num_features=2, hidden_features=8)
    for begin in trainer.fit, trainer.validate, trainer.test:
        for kind in NpyDataModule, RenamedDataModule:
            with pytest.raises(InputError, match=r"split seed 0 .*, not 1"):
                begin(model, datamodule=kind(seed=1), ckpt_path=trained.last)
    (result,) = trainer.test(model, datamodule=NpyDataModule(), ckpt_path=trained.last, verbose=False)
    assert 0.5 < result["test/accuracy"] <= 1
