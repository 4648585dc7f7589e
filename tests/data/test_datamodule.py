"""Two files in; balanced, disjoint subsets out, or one line that says what is wrong."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch import Trainer, seed_everything

from project.data import NpyDataModule, arrays
from project.data.batches import Subset
from project.errors import InputError, InputWarning

Write = Callable[..., Path]


def loaded(root: Path | None, **options: Any) -> NpyDataModule:
    data = NpyDataModule(root, **options)
    data.setup("fit")
    return data


def subsets(data: NpyDataModule) -> list[Subset]:
    return [data.train, data.val, data.test]


def distinct(rows: int, columns: int, first: int = 0) -> npt.NDArray[np.float64]:
    """Return rows of different integers, so that each row can be told from every other."""
    return np.arange(first, first + rows * columns, dtype=np.float64).reshape(rows, columns)


def assert_equal(left: NpyDataModule, right: NpyDataModule) -> None:
    for a, b in zip(subsets(left), subsets(right), strict=True):
        assert torch.equal(a.features, b.features)
        assert torch.equal(a.labels, b.labels)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for two class files, shared by all examples."""
    return tmp_path_factory.mktemp("data")


@given(rows=st.integers(5, 40), columns=st.integers(1, 4), seed=st.integers(0, 2**32), chunk_rows=st.integers(1, 50))
@settings(deadline=None, max_examples=50)
def test_every_row_is_in_one_subset_and_each_subset_is_balanced(
    folder: Path, rows: int, columns: int, seed: int, chunk_rows: int
) -> None:
    tables = [distinct(rows, columns), distinct(rows, columns, 10_000)]
    for label, table in enumerate(tables):
        np.save(folder / f"class_{label}.npy", table)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "CHUNK_ROWS", chunk_rows)
        data = loaded(folder, seed=seed)
        subsets(data)  # read now, in chunks of that size
    k = rows // 5
    for subset, size in zip(subsets(data), [rows - 2 * k, k, k], strict=True):
        assert subset.features.shape == (2 * size, columns)
        assert subset.features.dtype == subset.labels.dtype == torch.float32
        assert subset.labels.tolist() == [[0.0]] * size + [[1.0]] * size
    for label, table in enumerate(tables):
        taken = [row for s in subsets(data) for row in s.features[s.labels[:, 0] == label].tolist()]
        assert sorted(taken) == table.tolist()
    train = data.train.features.double().numpy()
    np.testing.assert_allclose(data.statistics.mean, train.mean(0), rtol=1e-12)
    np.testing.assert_allclose(data.statistics.std, train.std(0), rtol=1e-12)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    "dtype", ["<f2", ">f2", "<f4", ">f4", ">f8", "i1", "u1", "<i2", ">i2", "<i4", ">u4", "<i8", ">i8", "<u8"]
)
def test_the_same_values_give_the_same_tensors_in_any_type(write_classes: Write, dtype: str, order: str) -> None:
    tables = [distinct(20, 3), distinct(20, 3, 60)]
    plain = loaded(write_classes(*tables, name="plain"))
    assert_equal(loaded(write_classes(*(table.astype(dtype, order) for table in tables), name="other")), plain)


def test_the_split_depends_on_its_own_seed_alone(blobs: Path) -> None:
    seed_everything(1, verbose=False)
    first = loaded(blobs)
    seed_everything(2, verbose=False)
    assert_equal(loaded(blobs, batch_size=7, piece_rows=3, track_test=True), first)
    assert not torch.equal(loaded(blobs, seed=1).test.features, first.test.features)


def test_loading_leaves_the_global_seeds_alone(blobs: Path) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    loaded(blobs)
    assert torch.equal(torch.rand(3), expected)


def test_the_dtype_is_float32_whatever_the_default(blobs: Path) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        data = loaded(blobs)
    finally:
        torch.set_default_dtype(torch.float32)
    assert data.train.features.dtype == data.train.labels.dtype == torch.float32


def test_setup_loads_once(blobs: Path) -> None:
    data = loaded(blobs)
    train = data.train
    for stage in ("fit", "validate", "test"):
        data.setup(stage)
    assert data.train is train


def test_the_sample_is_912_304_304(recwarn: pytest.WarningsRecorder) -> None:
    data = loaded(None)
    assert [subset.rows for subset in subsets(data)] == [912, 304, 304]
    assert [int(subset.labels.sum()) for subset in subsets(data)] == [456, 152, 152]
    assert data.num_features == 2
    assert data.feature_names == ["F1 (Hz)", "F2 (Hz)"]
    assert data.class_names == ["peripheral vowel", "central vowel"]
    assert "train 912, val 304, test 304 rows of 2 features" in data.describe(Trainer(accelerator="cpu", logger=False))
    assert not recwarn.list


def test_unequal_classes_are_refused_with_the_remedy(write_classes: Write) -> None:
    root = write_classes(distinct(150, 2), distinct(100, 2, 1000))
    words = r"class_0\.npy has 150 rows, class_1\.npy 100; use --data\.balance downsample to drop 50"
    with pytest.raises(InputError, match=words):
        loaded(root)


@pytest.mark.parametrize(("rows", "larger"), [((150, 102), 0), ((102, 150), 1)])
def test_downsample_drops_rows_of_the_larger_class_and_says_so(
    write_classes: Write, rows: tuple[int, int], larger: int
) -> None:
    tables = [distinct(rows[0], 2), distinct(rows[1], 2, 1000)]
    root = write_classes(*tables)
    with pytest.warns(InputWarning, match=rf"dropped 48 of 150 rows of class_{larger}\.npy"):
        data = loaded(root, balance="downsample")
    assert [subset.rows for subset in subsets(data)] == [2 * 62, 2 * 20, 2 * 20]
    for label, table in enumerate(tables):
        taken = [tuple(row) for s in subsets(data) for row in s.features[s.labels[:, 0] == label].tolist()]
        assert len(set(taken)) == len(taken) == 102
        assert set(taken) <= {tuple(row) for row in table.tolist()}


def test_downsample_changes_nothing_for_equal_classes(blobs: Path) -> None:
    assert_equal(loaded(blobs, balance="downsample"), loaded(blobs))


@pytest.mark.parametrize("rows", [1, 4])
def test_fewer_than_5_rows_are_refused(write_classes: Write, rows: int) -> None:
    root = write_classes(distinct(rows, 2), distinct(rows, 2, 1000))
    with pytest.raises(InputError, match=f"{rows} rows per class; need at least 5 for a 60/20/20 split"):
        loaded(root)


def test_fewer_than_5_rows_are_refused_after_dropping(write_classes: Write) -> None:
    root = write_classes(distinct(20, 2), distinct(4, 2, 1000))
    with (
        pytest.warns(InputWarning, match="dropped 16 of 20 rows"),
        pytest.raises(InputError, match="4 rows per class; need at least 5"),
    ):
        loaded(root, balance="downsample")


def test_different_numbers_of_columns_are_refused(write_classes: Write) -> None:
    root = write_classes(distinct(10, 3), distinct(10, 2))
    with pytest.raises(InputError, match=r"class_0\.npy has 3 columns, .*class_1\.npy has 2"):
        loaded(root)


def test_the_same_rows_in_both_files_are_refused(write_classes: Write) -> None:
    root = write_classes(distinct(10, 2), distinct(10, 2)[::-1])
    with pytest.raises(InputError, match=r"class_0\.npy and class_1\.npy hold the same rows"):
        loaded(root)


def test_rows_in_both_classes_warn(write_classes: Write) -> None:
    class_0, class_1 = distinct(10, 2), distinct(10, 2, 1000)
    class_1[:3] = class_0[:3]
    words = "3 feature vectors occur in both classes; [0-3] test rows also occur in train"
    with pytest.warns(InputWarning, match=words):
        loaded(write_classes(class_0, class_1))


def test_test_rows_that_occur_in_train_warn_with_their_number(write_classes: Write) -> None:
    """Of class 0 all rows are equal, so that its two test rows are among its six training rows."""
    root = write_classes(np.ones((10, 2)), distinct(10, 2, 1000))
    with pytest.warns(InputWarning, match="0 feature vectors occur in both classes; 2 test rows also occur in train"):
        loaded(root)


@pytest.mark.parametrize("missing", [["class_0.npy"], ["class_1.npy"], ["class_0.npy", "class_1.npy"]])
def test_a_missing_file_is_named_with_the_option(blobs: Path, missing: list[str]) -> None:
    for name in missing:
        (blobs / name).unlink()
    words = rf"^{re.escape(str(blobs))}: {' and '.join(missing)} missing; --data\.root names the folder"
    with pytest.raises(InputError, match=words):
        loaded(blobs)


@pytest.mark.parametrize("name", ["nowhere", "x" * 300])
def test_a_missing_root_is_named_with_the_option(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"class_0\.npy and class_1\.npy missing; --data\.root names the folder"):
        loaded(tmp_path / name)


def test_a_file_as_root_is_refused(blobs: Path) -> None:
    with pytest.raises(InputError, match=r"--data\.root names the folder"):
        loaded(blobs / "class_0.npy")


@pytest.mark.parametrize("label", [0, 1])
def test_a_bad_value_in_either_file_is_refused(blobs: Path, label: int) -> None:
    file = blobs / f"class_{label}.npy"
    table = np.load(file)
    table[49, 1] = np.nan
    np.save(file, table)
    with pytest.raises(InputError, match=rf"^{re.escape(str(file))}: 1 value is NaN or infinite.*row 49, column 1"):
        loaded(blobs)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 0}, r"--data\.batch_size: 0; need at least 1"),
        ({"batch_size": -1}, r"--data\.batch_size: -1; need at least 1"),
        ({"batch_size": 61}, r"--data\.batch_size: 61; need 1 to 60"),
        ({"piece_rows": 0}, r"--data\.piece_rows: 0; need at least 1"),
        ({"seed": -1}, r"--data\.seed: -1; need an integer of at least 0"),
    ],
)
def test_an_option_out_of_range_is_named_with_its_range(blobs: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        loaded(blobs, **options)


def test_data_refused_once_are_refused_again(blobs: Path) -> None:
    data = NpyDataModule(blobs, batch_size=61)
    for _ in range(2):
        with pytest.raises(InputError, match=r"--data\.batch_size: 61"):
            data.setup("fit")


def test_a_batch_may_be_the_whole_training_set(blobs: Path) -> None:
    assert loaded(blobs, batch_size=60).train.rows == 60


def test_predict_loads_its_rows_in_order(blobs: Path, tmp_path: Path) -> None:
    rows = distinct(7, 3)
    np.save(tmp_path / "rows.npy", rows.astype(">i2", order="F"))
    data = NpyDataModule(blobs, predict=tmp_path / "rows.npy")
    data.setup("predict")
    assert data.to_predict.dtype == torch.float32
    assert data.to_predict.tolist() == rows.tolist()
    assert data.num_features == 3
    assert not hasattr(data, "train")


def test_rows_to_predict_have_no_effect_on_training_and_are_refused(blobs: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", distinct(7, 2))
    with pytest.raises(InputError, match=r"--data\.predict: .*rows\.npy has no effect"):
        loaded(blobs, predict=tmp_path / "rows.npy")


def test_predict_without_a_file_names_the_option(blobs: Path) -> None:
    with pytest.raises(InputError, match=r"--data\.predict: missing"):
        NpyDataModule(blobs).setup("predict")


def test_a_bad_file_to_predict_is_refused(blobs: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.npy"
    data = NpyDataModule(blobs, predict=file)
    with pytest.raises(InputError, match="No such file"):
        data.setup("predict")
    np.save(file, np.array([[1, np.inf]]))
    with pytest.raises(InputError, match="first: inf at row 0, column 1"):
        data.setup("predict")


def test_names_default_to_numbers(write_classes: Write) -> None:
    data = NpyDataModule(write_classes(distinct(5, 3), distinct(5, 3, 100)))
    assert data.num_features == 3
    assert data.feature_names == ["feature 1", "feature 2", "feature 3"]
    assert data.class_names == ["class 0", "class 1"]


def test_names_are_taken_as_given(blobs: Path) -> None:
    data = NpyDataModule(blobs, feature_names=["x (m)", "y (m)"], class_names=["left", "right"])
    assert data.feature_names == ["x (m)", "y (m)"]
    assert data.class_names == ["left", "right"]


@pytest.mark.parametrize("stage", ["fit", "validate", "test"])
@pytest.mark.parametrize(
    ("option", "names", "words"),
    [
        ("feature_names", ["x"], r"1 names given; need 2"),
        ("feature_names", ["x", "y", "z"], r"3 names given; need 2"),
        ("class_names", ["a"], r"1 names given; need 2"),
        ("class_names", ["a", "b", "c"], r"3 names given; need 2"),
    ],
)
def test_a_wrong_number_of_names_is_refused(blobs: Path, stage: str, option: str, names: Any, words: str) -> None:
    with pytest.raises(InputError, match=rf"^--data\.{option}: {words}"):
        NpyDataModule(blobs, **{option: names}).setup(stage)


def test_num_features_needs_the_header_alone(blobs: Path) -> None:
    file = blobs / "class_0.npy"
    np.save(file, np.full((3, 5), np.nan))
    assert NpyDataModule(blobs).num_features == 5


def test_the_fingerprint_is_of_both_files_and_the_split(blobs: Path) -> None:
    data = loaded(blobs)
    files = [blobs / "class_0.npy", blobs / "class_1.npy"]
    assert data.fingerprint["sha256"] == [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    assert data.fingerprint["seed"] == 0
    assert data.fingerprint["rows"] == {"train": 60, "val": 20, "test": 20}
    assert json.loads(json.dumps(data.fingerprint)) == data.fingerprint


def test_the_same_data_elsewhere_are_accepted(blobs: Path, tmp_path: Path) -> None:
    trained_on = loaded(blobs).fingerprint
    moved = Path(shutil.copytree(blobs, tmp_path / "moved"))
    loaded(moved, batch_size=7, balance="downsample").check_fingerprint(trained_on)


@pytest.mark.parametrize("label", [0, 1])
def test_other_data_are_refused(blobs: Path, tmp_path: Path, label: int) -> None:
    trained_on = loaded(blobs).fingerprint
    other = Path(shutil.copytree(blobs, tmp_path / "other"))
    file = other / f"class_{label}.npy"
    table = np.load(file)
    table[0, 0] = np.nextafter(table[0, 0], np.inf)
    np.save(file, table)
    words = f"the checkpoint was trained on other data .sha256 {trained_on['sha256'][0][:12]}"
    with pytest.raises(InputError, match=words):
        loaded(other).check_fingerprint(trained_on)


def test_swapped_files_are_other_data(blobs: Path, tmp_path: Path) -> None:
    trained_on = loaded(blobs).fingerprint
    other = tmp_path / "swapped"
    other.mkdir()
    for label in range(2):
        shutil.copy(blobs / f"class_{label}.npy", other / f"class_{1 - label}.npy")
    with pytest.raises(InputError, match="trained on other data"):
        loaded(other).check_fingerprint(trained_on)


def test_another_split_is_refused(blobs: Path) -> None:
    trained_on = loaded(blobs).fingerprint
    with pytest.raises(InputError, match=r"--data\.seed: the checkpoint was trained on split seed 0 .*not 1"):
        loaded(blobs, seed=1).check_fingerprint(trained_on)


@pytest.fixture
def trainer() -> Trainer:
    return Trainer(
        accelerator="cpu",
        max_steps=7,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def attached(root: Path, trainer: Trainer, **options: Any) -> NpyDataModule:
    data = loaded(root, **options)
    data.trainer = trainer
    return data


@pytest.mark.parametrize(("batch_size", "sizes"), [(None, [60]), (60, [60]), (25, [25, 25, 10])])
def test_training_takes_as_many_batches_as_the_trainer_steps(
    blobs: Path, trainer: Trainer, batch_size: int | None, sizes: list[int]
) -> None:
    trainer.fit_loop.max_epochs = -1
    loader = attached(blobs, trainer, batch_size=batch_size).train_dataloader()
    assert len(loader) == 7
    assert [sum(len(piece.labels) for piece in batch) for batch in loader] == (sizes * 7)[:7]


@pytest.mark.parametrize(("batch_size", "sizes"), [(None, [60]), (60, [60]), (25, [25, 25, 10])])
def test_a_trainer_that_counts_epochs_gets_one_a_pass(
    blobs: Path, trainer: Trainer, batch_size: int | None, sizes: list[int]
) -> None:
    trainer.fit_loop.max_epochs = 2
    loader = attached(blobs, trainer, batch_size=batch_size).train_dataloader()
    assert len(loader) == len(sizes)
    for _ in range(2):
        batches = list(loader)
        assert [sum(len(piece.labels) for piece in batch) for batch in batches] == sizes
        features = torch.cat([piece.features for batch in batches for piece in batch])
        assert len(features.unique(dim=0)) == 60


def test_the_batch_order_follows_the_global_seed(blobs: Path, trainer: Trainer) -> None:
    data = attached(blobs, trainer, batch_size=25)
    orders = []
    for seed in (0, 0, 1):
        seed_everything(seed, verbose=False)
        orders.append(data.train_dataloader().rows(1).tolist())
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize("piece_rows", [3, 20, 1000])
def test_evaluation_takes_each_subset_whole(blobs: Path, trainer: Trainer, piece_rows: int) -> None:
    data = attached(blobs, trainer, piece_rows=piece_rows, track_test=True)
    loaders = [*data.val_dataloader(), data.test_dataloader()]
    for loader, subset in zip(loaders, [data.val, data.test, data.test], strict=True):
        (batch,) = loader
        assert max(len(piece.labels) for piece in batch) <= piece_rows
        assert torch.equal(torch.cat([piece.features for piece in batch]), subset.features)
        assert torch.equal(torch.cat([piece.labels for piece in batch]), subset.labels)


def test_the_test_subset_is_not_evaluated_unless_asked(blobs: Path, trainer: Trainer) -> None:
    data = attached(blobs, trainer)
    (loader,) = data.val_dataloader()
    ((piece,),) = loader
    assert torch.equal(piece.features, data.val.features)


def test_prediction_goes_through_the_rows_in_pieces(blobs: Path, tmp_path: Path, trainer: Trainer) -> None:
    rows = distinct(10, 2)
    np.save(tmp_path / "rows.npy", rows)
    data = NpyDataModule(blobs, predict=tmp_path / "rows.npy", piece_rows=4)
    data.setup("predict")
    data.trainer = trainer
    pieces = list(data.predict_dataloader())
    assert [len(piece) for piece in pieces] == [4, 4, 2]
    assert torch.cat(pieces).tolist() == rows.tolist()
