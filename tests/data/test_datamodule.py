"""What a trainer gets of two class files, and what it may ask for."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from torch.utils.data import TensorDataset

from project.data import NpyDataModule
from project.errors import InputError
from project.model import BinaryClassifier
from tests.data.test_classes import distinct


def loaded(root: Path | None, trainer: Trainer | None = None, **options: Any) -> NpyDataModule:
    data = NpyDataModule(root, **options)
    data.trainer = trainer
    data.setup()
    return data


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    trainer = Trainer(max_steps=7, accelerator="cpu", default_root_dir=tmp_path, logger=False)
    trainer.strategy.connect(BinaryClassifier(2))
    return trainer


def test_the_sample_is_912_304_304(recwarn: pytest.WarningsRecorder, trainer: Trainer) -> None:
    data = loaded(None)
    assert [int(subset.labels.sum()) for subset in (data.train, data.val, data.test)] == [456, 152, 152]
    assert (data.feature_names, data.class_names) == (["F1 (Hz)", "F2 (Hz)"], ["peripheral vowel", "central vowel"])
    assert "train 912, val 304, test 304 rows of 2 features" in data.describe(trainer)
    assert not recwarn.list


def test_the_split_depends_on_its_own_seed_alone_and_is_made_once(blobs: Path) -> None:
    before, data = torch.get_rng_state(), loaded(blobs)
    test = data.test
    data.setup("test")
    assert data.test is test
    assert torch.equal(torch.get_rng_state(), before), "the global seeds are left alone"
    seed_everything(2, verbose=False)
    torch.set_default_dtype(torch.float64)
    try:
        other = loaded(blobs, batch_size=7, piece_rows=3, track_test=True, balance="downsample")
        assert torch.equal(other.test.features, test.features)
    finally:
        torch.set_default_dtype(torch.float32)
    assert other.classes.fingerprint == data.classes.fingerprint
    assert not torch.equal(loaded(blobs, seed=1).test.features, test.features)


def test_an_option_out_of_range_is_named_with_its_range(blobs: Path) -> None:
    for option, value, words in [
        ("batch_size", 0, "0; need at least 1"),
        ("batch_size", 61, "61; need 1 to 60"),
        ("piece_rows", 0, "0; need at least 1"),
        ("seed", -1, "-1; need at least 0"),
        ("split", "files", "files; need rows or groups"),
        ("balance", "drop", "drop; need error or downsample"),
        ("feature_names", ["x"], "1 names given; need 2"),
        ("class_names", ["x", "y", "z"], "3 names given; need 2"),
        ("class_names", "x,x", "x, x; need different names"),
        ("predict", "rows.npy", r"rows\.npy has no effect here"),
    ]:
        for stage in ("fit", "test"):  # What is refused once is refused again.
            with pytest.raises(ValueError, match=rf"{option}: {words}"):
                NpyDataModule(blobs, **{option: value}).setup(stage)


def test_prediction_goes_through_its_rows_in_order(blobs: Path, tmp_path: Path) -> None:
    file, rows = tmp_path / "rows.npy", distinct(10, 3)
    data = NpyDataModule(blobs, predict=file, piece_rows=4)
    np.save(file, [[1, np.inf]])
    with pytest.raises(InputError, match="first: inf at row 0, column 1"):
        data.setup("predict")
    np.save(file, rows.astype(">i2", order="F"))
    data.setup("predict")
    pieces = list(data.predict_dataloader())
    assert [(len(piece), piece.dtype) for piece in pieces] == [(n, torch.float32) for n in (4, 4, 2)]
    assert torch.cat(pieces).tolist() == rows.tolist()
    assert (data.num_features, "classes" in vars(data)) == (3, False)
    with pytest.raises(InputError, match="predict: missing"):
        NpyDataModule(blobs).predict_dataloader()


def test_a_checkpoint_of_the_same_data_and_split_is_accepted_and_no_other(blobs: Path, tmp_path: Path) -> None:
    trained_on, moved = loaded(blobs).classes.fingerprint, Path(shutil.copytree(blobs, tmp_path / "moved"))
    digests = [hashlib.sha256((blobs / f"class_{label}.npy").read_bytes()).hexdigest() for label in (0, 1)]
    assert trained_on["sha256"] == digests
    loaded(moved, batch_size=7, balance="downsample").classes.check_same(trained_on)
    with pytest.raises(InputError, match=r"^--data.seed: the checkpoint was trained on split seed 0 .*not 1"):
        loaded(moved, seed=1).classes.check_same(trained_on)
    for label in (0, 1):
        rows = np.load(blobs / f"class_{label}.npy")
        np.save(moved / f"class_{label}.npy", np.concatenate([np.nextafter(rows[:1], np.inf), rows[1:]]))
        with pytest.raises(InputError, match=f"was trained on other data .sha256 {digests[0][:12]}"):
            loaded(moved).classes.check_same(trained_on)
        np.save(moved / f"class_{label}.npy", rows)


def test_a_pass_is_the_run_or_an_epoch_in_the_order_of_the_seed(blobs: Path, trainer: Trainer) -> None:
    for epochs, length in (-1, 7), (2, 3):
        trainer.fit_loop.max_epochs = epochs
        data, orders = loaded(blobs, trainer, batch_size=25), []
        for seed in (0, 0, 1):
            seed_everything(seed, verbose=False)
            loader = data.train_dataloader()
            orders.append(loader.rows(1).tolist())
        assert orders[0] == orders[1] != orders[2]
        taken = [sum(len(piece.labels) for piece in batch) for batch in (*loader, *loader)]
        assert taken == ([25, 25, 10] * 14)[: 2 * length]


def test_a_loop_of_ones_own_gets_x_and_y(blobs: Path) -> None:
    """Each row comes once a pass, in an order of its own; also as a dataset, and from loaders of the other subsets."""
    data, sizes = loaded(blobs, batch_size=25), (25, 25, 10)
    seed_everything(0, verbose=False)
    loader, passes = data.train_dataloader(), []
    for _ in range(2):
        batches = list(loader)
        assert [(tuple(x.shape), tuple(y.shape)) for x, y in batches] == [((n, 2), (n, 1)) for n in sizes]
        assert {part.dtype for batch in batches for part in batch} == {torch.float32}
        passes.append(
            [(*x.tolist(), *y.tolist()) for x, y in zip(*map(torch.cat, zip(*batches, strict=True)), strict=True)]
        )
    expected = [(*x.tolist(), *y.tolist()) for x, y in TensorDataset(*data.train)]
    assert sorted(passes[0]) == sorted(passes[1]) == sorted(expected)
    assert passes[0] != passes[1]
    for (loader,), subset in zip((data.val_dataloader(), [data.test_dataloader()]), (data.val, data.test), strict=True):
        ((x, y),) = loader
        assert torch.equal(x, subset.features)
        assert torch.equal(y, subset.labels)
