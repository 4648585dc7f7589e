"""Checkpoints: damaged and hostile ones are refused, and equal contents become equal bytes."""

import copy
import errno
import io
import os
import random
import resource
import shutil
import socket
import time
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers.logger import DummyLogger

from project.__main__ import main
from project.checkpoint import DIGEST_BYTES, DigestCheckpointIO, canonical, load
from project.data import NpyDataModule
from project.errors import InputError
from project.export import load_classifier
from project.model import BinaryClassifier
from project.run import Run
from tests.campaigns import checkpoints
from tests.campaigns.checkpoints import HOSTILE, RANGES, TRAINING, Original, Summary, commands, complaint, seal

Captured = pytest.CaptureFixture[str]
COMMANDS = tuple(commands(Path()))
SAMPLE = sorted(random.Random(0).sample(sorted(HOSTILE), 20))  # noqa: S311 (for the campaign leaves none out)


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


def error_of(capsys: Captured, arguments: list[str]) -> str:
    """Run a command that must be refused, and return its line."""
    assert main(arguments) == 2
    line = capsys.readouterr().err
    assert line.startswith("error: ")
    assert line.count("\n") == 1
    return line


def test_every_truncation_near_a_boundary_and_a_sample_of_all_damage_is_refused(
    original: Original, tmp_path: Path
) -> None:
    data = original.data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        heads = [record.header_offset for record in archive.infolist()]
    ends = [len(data), len(data) - DIGEST_BYTES, data.rindex(b"PK\x05\x06"), data.index(b"PK\x01\x02")]
    boundaries = {length for near in (*heads, *ends) for length in range(near - 2, near + 3)}
    lengths = list(checkpoints.length_changes(data))
    rng = random.Random(0)  # noqa: S311 (nothing to keep secret)
    changes = [change for change in lengths if len(change[1]) in boundaries or len(change[1]) > len(data)]
    changes += rng.sample(lengths, 200)
    changes += rng.sample(list(islice(checkpoints.byte_changes(data), 3 * len(data))), 300)
    summary = Summary()
    checkpoints.examine(changes, data, tmp_path, time.monotonic() + 60, summary)
    assert summary.failures == []
    assert summary.refused + summary.harmless == len(changes) > 600


@pytest.mark.parametrize("command", COMMANDS)
def test_a_damaged_checkpoint_is_refused_and_the_other_one_named(run: Run, capsys: Captured, command: str) -> None:
    data = run.last.read_bytes()
    run.last.write_bytes(data[:999] + bytes([data[999] ^ 1]) + data[1000:])
    assert complaint(commands(run.last)[command], Path("canary")) is None
    assert f"use {run.best}" in error_of(capsys, commands(run.last)[command])
    run.best.unlink()
    run.last.write_bytes(data[: len(data) // 2])
    assert "use another one" in error_of(capsys, commands(run.last)[command])


PLACES = ["http://localhost/last.ckpt", "file:///last.ckpt", "s3://a/b", "nowhere"]


@pytest.mark.parametrize(("command", "place"), list(zip(COMMANDS, PLACES, strict=True)))
@pytest.mark.usefixtures("run")
def test_a_place_that_is_no_file_is_refused(monkeypatch: pytest.MonkeyPatch, command: str, place: str) -> None:
    def no_network(*_: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    arguments = commands(Path())[command]
    arguments[arguments.index("--ckpt_path") + 1] = place
    assert complaint(arguments, Path("canary")) is None


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_a_fifo_and_an_empty_file_are_refused(run: Run, command: str) -> None:
    os.mkfifo("fifo.ckpt")
    Path("empty.ckpt").touch()
    for place in (run.path, Path("fifo.ckpt"), Path("empty.ckpt"), Path("/dev/zero")):
        assert complaint(commands(place)[command], Path("canary")) is None


def test_a_good_checkpoint_is_accepted(run: Run, original: Original) -> None:
    """Otherwise the refusals below would prove nothing: sealed again as the hostile ones are, it is as good as new."""
    run.last.write_bytes(checkpoints.saved(canonical(original.contents)))
    assert checkpoints.same(load(run.last), original.contents)
    assert main(["test", "--ckpt_path", str(run.last)]) == 0
    assert main(commands(run.last)["predict"]) == 0
    assert main(commands(run.last)["resume"]) == 0


@pytest.mark.parametrize("name", [*HOSTILE, *TRAINING])
def test_a_hostile_checkpoint_is_refused(name: str, original: Original, tmp_path: Path) -> None:
    path = tmp_path / "hostile.ckpt"
    path.write_bytes({**HOSTILE, **TRAINING}[name](original))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="not a checkpoint of this project") as refused:
        load(path)
    assert str(refused.value).isprintable()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kilobytes, where Linux counts"
    assert not original.canary.exists()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", SAMPLE)
def test_no_command_believes_a_hostile_checkpoint(name: str, command: str, run: Run, original: Original) -> None:
    path = run.last.with_name("hostile.ckpt")
    path.write_bytes(HOSTILE[name](original))
    assert complaint(commands(path)[command], original.canary) is None


@pytest.mark.parametrize("name", RANGES)
def test_a_checkpoint_beyond_the_range_of_an_option_is_refused(name: str, run: Run, original: Original) -> None:
    path = run.last.with_name("hostile.ckpt")
    path.write_bytes(RANGES[name](original))
    assert complaint(commands(path)["test"], original.canary) is None


def test_a_seal_is_what_the_project_writes(original: Original) -> None:
    body = original.data[:-DIGEST_BYTES]
    assert seal(body[:-2] + bytes(2)) == original.data


def apart(value: Any) -> Any:
    """Copy contents so that no two equal parts are one object."""
    if isinstance(value, str):
        return "".join(list(value))
    if isinstance(value, dict):
        return {apart(key): apart(item) for key, item in value.items()}
    if isinstance(value, list):
        return [apart(item) for item in value]
    return copy.deepcopy(value)


def test_equal_contents_become_equal_bytes(original: Original, tmp_path: Path) -> None:
    for number, contents in enumerate((original.contents, apart(original.contents), apart(original.contents))):
        path = tmp_path / f"{number}.ckpt"
        DigestCheckpointIO().save_checkpoint(contents, path)
        assert path.read_bytes() == original.data


def test_shared_parts_do_not_show(tmp_path: Path) -> None:
    shared = "".join(["sha", "red"])
    part = [shared, {"a": shared}]
    twice = {"x": part, "y": part, "z": "shared"}
    assert canonical(twice) == twice
    written = []
    for contents in (twice, apart(twice)):
        DigestCheckpointIO().save_checkpoint(contents, tmp_path / "x.ckpt")
        written.append((tmp_path / "x.ckpt").read_bytes())
    assert written[0] == written[1]


def test_plain_torch_reads_a_checkpoint(trained: Run) -> None:
    for path in (trained.last, trained.best):
        contents = torch.load(path, weights_only=True)
        assert checkpoints.same(contents, load(path))
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            assert len(archive.comment) == DIGEST_BYTES


def test_no_path_is_in_a_checkpoint(trained: Run) -> None:
    folders = {str(folder) for folder in (trained.path, Path.cwd(), Path.home()) if len(folder.parts) > 1}
    folders |= {part for folder in (trained.path, Path(__file__).parent) for part in folder.parts if len(part) > 5}
    for path in (trained.last, trained.best):
        data = path.read_bytes()
        assert not [folder for folder in folders if folder.encode() in data]

        def strings(value: Any) -> Iterator[str]:
            if isinstance(value, (dict, list, tuple)):
                for item in [*value, *(value.values() if isinstance(value, dict) else ())]:
                    yield from strings(item)
            elif isinstance(value, str):
                yield value

        assert [text for text in strings(load(path)) if text.startswith(("/", "~")) or "\\" in text] == []


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
            DigestCheckpointIO().save_checkpoint({"global_step": 0}, path)
    assert checkpoints.same(load(path), contents)
    assert list(tmp_path.iterdir()) == [path]


class RenamedDataModule(NpyDataModule):
    """Lightning hands a datamodule's state back only to a class of the same name."""


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    return Trainer(
        accelerator="cpu",
        max_steps=40,
        max_epochs=-1,
        logger=DummyLogger(),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        plugins=[DigestCheckpointIO()],
    )


WITHOUT_CALLBACKS = pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks:UserWarning")


@WITHOUT_CALLBACKS
@pytest.mark.parametrize("kind", [NpyDataModule, RenamedDataModule])
@pytest.mark.parametrize("command", ["fit", "validate", "test"])
def test_rows_that_were_trained_on_are_never_tested_on(
    trained: Run, blobs: Path, trainer: Trainer, kind: type[NpyDataModule], command: str
) -> None:
    model = load_classifier(trained.last)
    begin = getattr(trainer, command)
    with pytest.raises(InputError, match=r"split seed 0 .*, not 1"):
        begin(model, datamodule=kind(seed=1), ckpt_path=trained.last)
    with pytest.raises(InputError, match="trained on other data"):
        begin(model, datamodule=kind(blobs), ckpt_path=trained.last)


@WITHOUT_CALLBACKS
def test_the_guard_lets_the_right_data_through(trained: Run, trainer: Trainer) -> None:
    model = BinaryClassifier(num_features=2, hidden_features=8)
    (result,) = trainer.test(model, datamodule=RenamedDataModule(), ckpt_path=trained.last, verbose=False)
    assert 0.5 < result["test/accuracy"] <= 1
