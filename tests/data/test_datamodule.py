"""What a trainer gets of two class files, and what it may ask for."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer, seed_everything

from project.__main__ import main
from project.data import NpyDataModule, store
from project.data.batches import Batch, Loader, Subset
from project.errors import InputError
from project.run import Run
from tests.data.test_classes import distinct


def loaded(root: Path | None, **options: Any) -> NpyDataModule:
    data = NpyDataModule(root, **options)
    data.setup("fit")
    return data


def subsets(data: NpyDataModule) -> list[Subset]:
    return [data.train, data.val, data.test]


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    return Trainer(
        accelerator="cpu", max_steps=7, default_root_dir=tmp_path, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip


def attached(root: Path, trainer: Trainer, **options: Any) -> NpyDataModule:
    data = loaded(root, **options)
    data.trainer = trainer
    return data


def test_the_sample_is_912_304_304(recwarn: pytest.WarningsRecorder, trainer: Trainer) -> None:
    data = loaded(None)
    assert [(subset.rows, int(subset.labels.sum())) for subset in subsets(data)] == [(912, 456), (304, 152), (304, 152)]
    assert (data.num_features, data.feature_names) == (2, ["F1 (Hz)", "F2 (Hz)"])
    assert data.class_names == ["peripheral vowel", "central vowel"]
    assert "train 912, val 304, test 304 rows of 2 features" in data.describe(trainer)
    assert not recwarn.list


def test_the_split_depends_on_its_own_seed_alone_and_is_made_once(blobs: Path) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    first = loaded(blobs)
    assert torch.equal(torch.rand(3), expected), "the global seeds are left alone"
    seed_everything(2, verbose=False)
    torch.set_default_dtype(torch.float64)
    try:
        second = loaded(blobs, batch_size=7, piece_rows=3, track_test=True, balance="downsample")
        for one, other in zip(subsets(first), subsets(second), strict=True):
            assert torch.equal(one.features, other.features)
            assert one.features.dtype == other.features.dtype == one.labels.dtype == other.labels.dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)
    assert not torch.equal(loaded(blobs, seed=1).test.features, first.test.features)
    before = first.train, first.classes
    for stage in ("fit", "validate", "test"):
        first.setup(stage)
    assert (first.train, first.classes) == before
    mean, std = first.statistics
    torch.testing.assert_close(mean, first.train.features.double().mean(0))
    torch.testing.assert_close(std, first.train.features.double().std(0, correction=0))


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        *[("batch_size", 0, "0; need at least 1"), ("batch_size", -1, "-1; need at least 1")],
        *[("batch_size", 61, "61; need 1 to 60"), ("piece_rows", 0, "0; need at least 1")],
        *[("seed", -1, "-1; need at least 0"), ("balance", "drop", "drop; need error or downsample")],
        *[("feature_names", ["x"] * n, rf"{n} names given; need 2") for n in (1, 3)],
        *[("class_names", ["x"] * n, rf"{n} names given; need 2") for n in (1, 3)],
        ("predict", "rows.npy", r"rows\.npy has no effect here"),
    ],
)
def test_an_option_out_of_range_is_named_with_its_range(blobs: Path, option: str, value: Any, words: str) -> None:
    np.save(blobs / "rows.npy", distinct(7, 2))
    value = blobs / value if option == "predict" else value
    for stage in ("fit", "fit", "validate", "test"):  # What is refused once is refused again.
        with pytest.raises(ValueError, match=rf"{option}: .*{words}"):
            NpyDataModule(blobs, **{option: value}).setup(stage)


def test_names_are_numbers_unless_given_and_columns_need_the_header_alone(blobs: Path) -> None:
    data = NpyDataModule(blobs, feature_names=["x (m)", "y (m)"], class_names=["left", "right"])
    assert (data.feature_names, data.class_names) == (["x (m)", "y (m)"], ["left", "right"])
    np.save(blobs / "class_0.npy", np.full((3, 3), np.nan))
    data = NpyDataModule(blobs)
    assert data.num_features == 3
    assert data.feature_names == ["feature 1", "feature 2", "feature 3"]
    assert data.class_names == ["class 0", "class 1"]


def test_prediction_goes_through_its_rows_in_order(blobs: Path, tmp_path: Path, trainer: Trainer) -> None:
    file, rows = tmp_path / "rows.npy", distinct(10, 3)
    data = NpyDataModule(blobs, predict=file, piece_rows=4)
    for write, words in (
        (lambda: None, "No such file"),
        (lambda: np.save(file, [[1, np.inf]]), "inf at row 0, column 1"),
    ):
        write()
        with pytest.raises(InputError, match=words):
            data.setup("predict")
    np.save(file, rows.astype(">i2", order="F"))
    data.setup("predict")
    data.trainer = trainer
    pieces = list(data.predict_dataloader())
    assert [(len(piece), piece.dtype) for piece in pieces] == [(n, torch.float32) for n in (4, 4, 2)]
    assert torch.cat(pieces).tolist() == rows.tolist()
    assert data.num_features == 3
    assert not hasattr(data, "train")
    with pytest.raises(InputError, match="predict: missing"):
        NpyDataModule(blobs).setup("predict")


def test_a_checkpoint_of_the_same_data_and_split_is_accepted_and_no_other(blobs: Path, tmp_path: Path) -> None:
    trained_on = loaded(blobs).fingerprint
    assert (trained_on["seed"], trained_on["rows"]) == (0, {"train": 60, "val": 20, "test": 20})
    moved = Path(shutil.copytree(blobs, tmp_path / "moved"))
    loaded(moved, batch_size=7, balance="downsample").check_fingerprint(trained_on)
    with pytest.raises(InputError, match=r"data\.seed: the checkpoint was trained on split seed 0 .*not 1"):
        loaded(moved, seed=1).check_fingerprint(trained_on)
    both = [np.load(moved / f"class_{label}.npy") for label in (0, 1)]
    nearly = [table.copy() for table in both]
    for table in nearly:
        table[0, 0] = np.nextafter(table[0, 0], np.inf)
    for other in ([nearly[0], both[1]], [both[0], nearly[1]], both[::-1]):
        for label, table in enumerate(other):
            np.save(moved / f"class_{label}.npy", table)
        with pytest.raises(InputError, match=f"was trained on other data .sha256 {trained_on['sha256'][0][:12]}"):
            loaded(moved).check_fingerprint(trained_on)


def rows_of(batch: Batch) -> torch.Tensor:
    return torch.cat([torch.cat([piece.features, piece.labels], 1) for piece in batch])


@pytest.mark.parametrize("max_epochs", [-1, 2], ids=["steps", "epochs"])
@pytest.mark.parametrize(("batch_size", "sizes"), [(None, [60]), (60, [60]), (25, [25, 25, 10])])
def test_a_pass_is_the_whole_run_or_for_a_trainer_that_counts_epochs_an_epoch(
    blobs: Path, trainer: Trainer, batch_size: int | None, sizes: list[int], max_epochs: int
) -> None:
    trainer.fit_loop.max_epochs = max_epochs
    loader = attached(blobs, trainer, batch_size=batch_size).train_dataloader()
    expected = (sizes * 7)[:7] if max_epochs == -1 else sizes
    for _ in range(2):
        batches = [rows_of(batch) for batch in loader]
        assert [len(batch) for batch in batches] == expected
        assert len(loader) == len(expected)
        assert len(torch.cat(batches[: len(sizes)]).unique(dim=0)) == 60 or max_epochs == -1


def test_the_batch_order_follows_the_global_seed(blobs: Path, trainer: Trainer) -> None:
    data = attached(blobs, trainer, batch_size=25)
    orders = []
    for seed in (0, 0, 1):
        seed_everything(seed, verbose=False)
        orders.append(data.train_dataloader().rows(1).tolist())
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize("piece_rows", [3, 20, 1000])
@pytest.mark.parametrize("track_test", [False, True])
def test_evaluation_takes_each_subset_whole_and_the_test_subset_only_if_asked(
    blobs: Path, trainer: Trainer, piece_rows: int, track_test: bool
) -> None:
    data = attached(blobs, trainer, piece_rows=piece_rows, track_test=track_test)
    loaders: list[Loader[Batch]] = [*data.val_dataloader(), data.test_dataloader()]
    for loader, subset in zip(loaders, [data.val, *[data.test] * track_test, data.test], strict=True):
        (batch,) = loader
        assert max(len(piece.labels) for piece in batch) <= piece_rows
        assert torch.equal(rows_of(batch), torch.cat([subset.features, subset.labels], 1))


@pytest.mark.parametrize("options", [[], ["--data.batch_size", "16"]], ids=["full batch", "mini-batch"])
def test_training_from_scratch_files_gives_the_very_history_of_training_in_memory(
    blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["fit", "--data.root", str(blobs), "--trainer.max_steps", "60", "--data.piece_rows", "13", *options]
    assert main([*command, "--name", "memory"]) == 0
    assert "copied into memory" in capsys.readouterr().out
    monkeypatch.setattr(store, "free_memory", lambda: 0)
    assert main([*command, "--name", "files"]) == 0
    assert "a scratch file of " in capsys.readouterr().out
    memory, files = (Run(tmp_path / "lightning_logs" / name).history() for name in ("memory", "files"))
    assert memory.keys() == files.keys()
    for name, column in memory.items():
        np.testing.assert_array_equal(files[name], column)
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith("tmp")]
