"""Checkpoints: damaged and hostile ones are refused, and equal contents become equal bytes."""

import copy
import errno
import io
import os
import random
import resource
import shutil
import socket
import sys
import zipfile
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
from tests.campaigns.checkpoints import HOSTILE, TRAINING, UNFIT, UNTESTABLE, Original, commands, complaint, edited

pytestmark = pytest.mark.process

COMMANDS = tuple(commands(Path()))
RNG = random.Random(0)  # noqa: S311 (nothing to keep secret)
SAMPLE = sorted(RNG.sample(sorted(HOSTILE), 6))  # The campaign leaves none out.
NOWHERE = Path("canary")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return checkpoints.train(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def run(trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A copy of the trained run, under the working directory, and rows to classify."""
    shutil.copytree(trained.path, tmp_path / "lightning_logs" / "victim")
    np.save(tmp_path / "rows.npy", np.zeros((3, 2)))
    monkeypatch.chdir(tmp_path)
    return Run(Path("lightning_logs") / "victim")


@pytest.fixture
def original(trained: Run, tmp_path: Path) -> Original:
    return Original(trained.last.read_bytes(), tmp_path / "canary")


def test_every_truncation_near_a_boundary_and_a_sample_of_all_damage_is_refused(
    original: Original, tmp_path: Path
) -> None:
    data = original.data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        heads = [record.header_offset for record in archive.infolist()]
    ends = [len(data), len(data) - DIGEST_BYTES, data.rindex(b"PK\x05\x06"), data.index(b"PK\x01\x02")]
    boundaries = {length for near in (*heads, *ends) for length in range(near - 2, near + 3)}
    lengths = list(checkpoints.length_changes(data))
    changes = [change for change in lengths if len(change[1]) in boundaries or len(change[1]) > len(data)]
    changes += RNG.sample(lengths, 200)
    changes += RNG.sample(list(islice(checkpoints.byte_changes(data), 3 * len(data))), 300)
    summary = checkpoints.Summary("")
    checkpoints.examine(changes, data, tmp_path, 60, summary)
    assert summary.failures == []
    assert summary.counts.total() == len(changes) > 600


@pytest.mark.parametrize("command", COMMANDS)
def test_a_damaged_checkpoint_is_refused_and_the_other_one_named(
    run: Run, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    data = run.last.read_bytes()
    for damaged, remedy in (data[:999] + bytes([data[999] ^ 1]) + data[1000:], run.best), (data[:-9], "another one"):
        run.last.write_bytes(damaged)
        assert complaint(commands(run.last)[command], NOWHERE) is None
        assert main(commands(run.last)[command]) == 2
        assert f"use {remedy}" in capsys.readouterr().err
        run.best.unlink(missing_ok=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_no_file_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("the network was asked"))
    os.mkfifo("fifo.ckpt")
    Path("empty.ckpt").touch()
    for place in (
        run.path,
        "fifo.ckpt",
        "empty.ckpt",
        "/dev/zero",
        "nowhere",
        "http://localhost/last.ckpt",
        "s3://a/b",
    ):
        arguments = [str(place) if argument == "." else argument for argument in commands(Path())[command]]
        assert complaint(arguments, NOWHERE) is None, place


def test_a_good_checkpoint_is_accepted(run: Run, original: Original) -> None:
    """Otherwise the refusals below would prove nothing: sealed again as the hostile ones are, it is as good as new."""
    body = original.data[:-DIGEST_BYTES]
    assert checkpoints.seal(body[:-2] + bytes(2)) == original.data
    run.last.write_bytes(checkpoints.saved(canonical(original.contents)))
    assert checkpoints.same(load(run.last), original.contents)
    assert [main(commands(run.last)[command]) for command in ("test", "predict", "resume")] == [0, 0, 0]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_checkpoint_is_refused(name: str, original: Original, tmp_path: Path) -> None:
    path = tmp_path / "hostile.ckpt"
    path.write_bytes(HOSTILE[name](original))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="not a checkpoint of this project") as refused:
        load(path)
    assert str(refused.value).isprintable()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kilobytes, where Linux counts"
    assert not original.canary.exists()


@pytest.mark.parametrize(
    ("command", "name"),
    [(c, n) for n in SAMPLE for c in COMMANDS] + [(c, n) for n in UNTESTABLE for c in ("resume", "test")],
)
def test_no_command_believes_a_hostile_checkpoint(name: str, command: str, run: Run, original: Original) -> None:
    build = HOSTILE[name] if name in HOSTILE else checkpoints.with_edit(UNTESTABLE[name])
    run.best.write_bytes(build(original))
    assert complaint(commands(run.best)[command], original.canary) is None


def test_a_hostile_training_state_is_refused_before_anything_is_restored(run: Run, original: Original) -> None:
    wrong = checkpoints.wrong_states(original.contents)
    assert len(wrong) > 300
    for name, edit in {**TRAINING, **{name: wrong[name] for name in RNG.sample(sorted(wrong), 20)}}.items():
        run.best.write_bytes(checkpoints.saved(edited(original.contents, edit)))
        assert complaint(commands(run.best)["resume"], original.canary) is None, name


def test_what_load_would_refuse_is_not_saved(original: Original, tmp_path: Path) -> None:
    for edit in UNFIT.values():
        with pytest.raises((ArithmeticError, LookupError, AttributeError, RuntimeError, TypeError, ValueError)):
            DigestCheckpointIO().save_checkpoint(edited(original.contents, edit), tmp_path / "x.ckpt")
    for value in (np.float64(1), np.int64(1), np.zeros(2), Path(), errno, {1}):
        with pytest.raises(TypeError, match="cannot be kept in a checkpoint; need plain numbers, text or tensors"):
            DigestCheckpointIO().save_checkpoint({**original.contents, "callbacks": {"C": value}}, tmp_path / "x.ckpt")
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_not_finite_are_not_saved_and_the_last_good_ones_named(run: Run, original: Original) -> None:
    contents = edited({**original.contents, "global_step": 40}, ("state_dict/net.output.bias", torch.tensor([np.nan])))
    words = rf"net.output.bias is not finite at step 40 \(lr=0.8\); last good checkpoint {run.last} \(step 20\); try"
    best = run.best.read_bytes()
    with pytest.raises(DivergedError, match=words):
        DigestCheckpointIO().save_checkpoint(contents, run.best)
    assert run.best.read_bytes() == best


def named(where: str, what: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": f"{where}.{what}", "init_args": arguments}


PYTORCH, LAUNCHER, ELSEWHERE = "lightning.pytorch", "torch.distributed.launcher.api", {"save_dir": "elsewhere"}
LAUNCH = named(LAUNCHER, "LaunchConfig", min_nodes=1, max_nodes=1, nproc_per_node=1, rdzv_backend="c10d")
ELASTIC = named(LAUNCHER, "elastic_launch", config=LAUNCH, entrypoint="./canary.sh")
RECEIVED = {
    "callbacks": [
        *(named(PYTORCH, "callbacks.LambdaCallback", setup=ELASTIC, on_exception=ELASTIC), named("canary", "Callback")),
        named(PYTORCH, "callbacks.ModelCheckpoint", dirpath="elsewhere"),
    ],
    "profiler": named(PYTORCH, "profilers.AdvancedProfiler", dirpath="elsewhere", filename="canary"),
    "logger": [named(PYTORCH, f"loggers.{name}", **ELSEWHERE) for name in ("CSVLogger", "TensorBoardLogger")],
    "plugins": [named(PYTORCH, "plugins.io.AsyncCheckpointIO"), named("canary", "Plugin")],
    "strategy": named("canary", "Strategy"),
    "default_root_dir": "elsewhere",
}
SCHEDULER = named("torch.optim.lr_scheduler", "LambdaLR", lr_lambda="canary.leave")


@pytest.mark.parametrize("command", [*COMMANDS[:3], "validate"])
@pytest.mark.parametrize("more", [{}, {"optimizer": named("canary", "SGD")}, {"lr_scheduler": SCHEDULER}])
def test_what_a_received_config_names_is_neither_imported_nor_run_nor_written_to(
    run: Run, command: str, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path.cwd())
    Path("canary.py").write_text("open('elsewhere', 'w')\n")
    Path("canary.sh").write_text("#!/bin/sh\ntouch elsewhere\n")
    Path("canary.sh").chmod(0o755)
    config = run.options()
    config["trainer"] |= RECEIVED
    run.config.write_text(yaml.safe_dump({**config, **more, "name": "../elsewhere", "ckpt_path": "elsewhere"}))
    arguments = [command, *commands(run.last).get(command, commands(run.last)["test"])[1:]]
    arguments[0] = {"resume": "fit"}.get(command, command)
    if more and command == "resume":
        assert complaint(arguments, Path("elsewhere")) is None
    else:
        assert main(arguments) == 0
    assert not Path("elsewhere").exists()
    assert not Path("../elsewhere").exists()
    assert "canary" not in sys.modules


def apart(value: Any) -> Any:
    """Copy contents so that no two equal parts are one object."""
    if isinstance(value, str):
        return "".join(list(value))
    if isinstance(value, dict):
        return {apart(key): apart(item) for key, item in value.items()}
    return [apart(item) for item in value] if isinstance(value, list) else copy.deepcopy(value)


def test_equal_contents_become_equal_bytes_that_are_believed(original: Original, tmp_path: Path) -> None:
    part = ["shared", {"a": "shared"}]
    shared = {**original.contents, "callbacks": {"x": part, "y": part, "z": "shared"}}
    assert canonical(shared["callbacks"]) == shared["callbacks"]
    written = []
    for contents in (original.contents, apart(original.contents), shared, apart(shared)):
        DigestCheckpointIO().save_checkpoint(contents, tmp_path / "x.ckpt")
        written.append((tmp_path / "x.ckpt").read_bytes())
        assert checkpoints.same(load(tmp_path / "x.ckpt"), contents)
    assert written[:2] == [original.data] * 2
    assert written[2] == written[3]


def test_plain_torch_reads_a_checkpoint_and_no_path_is_in_it(trained: Run) -> None:
    folders = {str(folder) for folder in (trained.path, Path.cwd(), Path.home()) if len(folder.parts) > 1}
    folders |= {part for folder in (trained.path, Path(__file__).parent) for part in folder.parts if len(part) > 5}
    for path in (trained.last, trained.best):
        contents, data = torch.load(path, weights_only=True), path.read_bytes()
        assert checkpoints.same(contents, load(path))
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            assert len(archive.comment) == DIGEST_BYTES
        assert not [folder for folder in folders if folder.encode() in data]
        texts = [text for place, text in checkpoints.walk(contents, "") if isinstance(text, str)]
        assert [text for text in texts if text.startswith(("/", "~")) or "\\" in text] == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_a_failing_save_keeps_the_previous_checkpoint(
    trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = Path(shutil.copy(trained.last, tmp_path))
    contents = load(path)

    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match=os.strerror(number)):
            DigestCheckpointIO().save_checkpoint({**contents, "global_step": 0}, path)
    assert checkpoints.same(load(path), contents)
    assert list(tmp_path.iterdir()) == [path]


class RenamedDataModule(NpyDataModule):
    """Lightning hands a datamodule's state back only to a class of the same name."""


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks:UserWarning")
@pytest.mark.parametrize("kind", [NpyDataModule, RenamedDataModule])
@pytest.mark.parametrize("command", ["fit", "validate", "test"])
def test_rows_that_were_trained_on_are_never_tested_on(
    trained: Run, blobs: Path, tmp_path: Path, kind: type[NpyDataModule], command: str
) -> None:
    none = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    places = {"default_root_dir": tmp_path, "plugins": [DigestCheckpointIO()]}
    trainer = Trainer(accelerator="cpu", max_steps=40, max_epochs=-1, **none, **places)
    model = BinaryClassifier(num_features=2, hidden_features=8)
    begin = getattr(trainer, command)
    with pytest.raises(InputError, match=r"split seed 0 .*, not 1"):
        begin(model, datamodule=kind(seed=1), ckpt_path=trained.last)
    with pytest.raises(InputError, match="trained on other data"):
        begin(model, datamodule=kind(blobs), ckpt_path=trained.last)
    if command != "fit":  # The right data are let through.
        (result,) = begin(model, datamodule=kind(), ckpt_path=trained.last, verbose=False)
        assert 0.5 < result[f"{command[:3]}/accuracy".replace("tes/", "test/")] <= 1
