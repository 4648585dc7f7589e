"""Two class files give balanced, disjoint subsets, whole or in shares, or one line that says what is wrong."""

import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from project.data import arrays, checks, classes
from project.data.batches import Batch, Piece, TrainingBatches
from project.data.classes import SUBSETS, ClassFiles
from project.data.store import Store
from project.errors import InputError, InputWarning
from tests.conftest import Write

MEMORY = Store(torch.device("cpu"))


def distinct(rows: int, columns: int, first: int = 0) -> npt.NDArray[np.float64]:
    """Return rows of different integers, so that each row can be told from every other."""
    return np.arange(first, first + rows * columns, dtype=np.float64).reshape(rows, columns)


def halved(features: Tensor) -> Tensor:
    return features / 2


def gathered(files: ClassFiles, store: Store = MEMORY) -> list[Tensor]:
    subsets = [files.gather(name, store, halved) for name in SUBSETS]
    return [tensor for subset in subsets for tensor in (subset.features, subset.labels)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for two class files, shared by all examples."""
    return tmp_path_factory.mktemp("data")


def load(folder: Path, rows: tuple[int, int], columns: int, seed: int) -> tuple[ClassFiles, list[list[list[float]]]]:
    """Return class files of so many rows, the larger downsampled, and their rows."""
    tables = [distinct(rows[0], columns), distinct(rows[1], columns, 10_000)]
    for label, table in enumerate(tables):
        np.save(folder / f"class_{label}.npy", table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # one that says how many rows were dropped
        return ClassFiles(folder, seed, "downsample"), [table.tolist() for table in tables]


@given(
    st.tuples(st.integers(5, 40), st.integers(5, 40)), st.booleans(), st.integers(1, 4), st.integers(0, 2**32), st.integers(1, 50)
)  # fmt: skip  # noqa: E501
@settings(deadline=None, max_examples=60)
def test_every_row_is_in_one_subset_and_each_subset_is_balanced(
    folder: Path, rows: tuple[int, int], equal: bool, columns: int, seed: int, chunk_rows: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "CHUNK_ROWS", chunk_rows)
        files, tables = load(folder, rows[:1] * 2 if equal else rows, columns, seed)
        subsets = [files.gather(name, MEMORY, halved) for name in SUBSETS]
    keep = min(map(len, tables))
    for subset, size in zip(subsets, [keep - 2 * (keep // 5), keep // 5, keep // 5], strict=True):
        assert subset.features.shape == (2 * size, columns)
        assert subset.features.dtype == subset.labels.dtype == torch.float32
        assert subset.labels.tolist() == [[0.0]] * size + [[1.0]] * size
    for label, table in enumerate(tables):
        taken = [tuple(row) for s in subsets for row in (2 * s.features[s.labels[:, 0] == label]).tolist()]
        assert len(set(taken)) == len(taken) == keep
        assert set(taken) <= set(map(tuple, table))
    train = 2 * subsets[0].features.double().numpy()
    np.testing.assert_allclose(files.moments.mean, train.mean(0), rtol=1e-12)
    np.testing.assert_allclose(files.moments.std, train.std(0), rtol=1e-12)


def in_order(pieces: Batch) -> list[tuple[float, ...]]:
    return sorted((*x.tolist(), *y.tolist()) for piece in pieces for x, y in zip(*piece[:2], strict=True))


@settings(deadline=None, max_examples=60)
@given(
    name=st.sampled_from(list(SUBSETS)), rows=st.tuples(st.integers(5, 40), st.integers(5, 40)), seed=st.integers(0, 99),
    ranks=st.integers(1, 7), batch_size=st.integers(1, 20), piece_rows=st.integers(1, 20),
)  # fmt: skip
def test_of_every_batch_each_row_is_in_one_share(
    folder: Path, name: str, rows: tuple[int, int], seed: int, ranks: int, batch_size: int, piece_rows: int
) -> None:
    files, _ = load(folder, rows, 2, seed)
    whole = files.gather(name, MEMORY, halved)
    shares = [files.gather(name, MEMORY, halved, rank, ranks) for rank in range(ranks)]
    assert sum(len(share.labels) for share in shares) == whole.rows
    size = min(batch_size, whole.rows)
    expected, *parts = [TrainingBatches(subset, size, piece_rows, seed, 9) for subset in (whole, *shares)]
    together: list[tuple[Batch, list[Piece]]] = [
        (expected.batch(i), [piece for part in parts for piece in part.batch(i)]) for i in range(1, 10)
    ]
    together.append((whole.whole(piece_rows), [piece for share in shares for piece in share.whole(piece_rows)]))
    for batch, pieces in together:
        rows_in_batch = sum(len(piece.labels) for piece in batch)
        assert sum(piece.weight for piece in pieces) == pytest.approx(1)
        assert all(0 < len(piece.labels) <= piece_rows for piece in pieces)
        assert all(piece.weight == len(piece.labels) / rows_in_batch for piece in pieces)
        assert in_order(pieces) == in_order(batch)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtypes", ["<f2 >f2 <f4 >f4 >f8 i1 u1".split(), "<i2 >i2 <i4 >u4 <i8 >i8 <u8".split()])
def test_the_same_values_give_the_same_tensors_in_any_type(write_classes: Write, dtypes: list[str], order: Any) -> None:
    tables = [distinct(20, 3), distinct(20, 3, 60)]
    plain = gathered(ClassFiles(write_classes(*tables), 0, "error"))
    for dtype in dtypes:
        root = write_classes(*(table.astype(dtype, order) for table in tables), name=dtype)
        assert all(map(torch.equal, gathered(ClassFiles(root, 0, "error")), plain))


@pytest.mark.parametrize("ranks", [1, 3])
def test_batches_from_a_scratch_file_are_those_from_memory(blobs: Path, tmp_path: Path, ranks: int) -> None:
    (scratch := tmp_path / "scratch").mkdir()
    files = ClassFiles(blobs, 0, "error")
    for rank in range(ranks):
        subsets = [
            files.gather("train", store, halved, rank, ranks) for store in (MEMORY, Store(MEMORY.device, scratch))
        ]
        for size in (7, 60):
            memory, file = (list(TrainingBatches(subset, size, 3, 5, 20)) for subset in subsets)
            assert [piece.weight for batch in memory for piece in batch] == [p.weight for batch in file for p in batch]
            for one, other in zip(sum(memory, []), sum(file, []), strict=True):
                assert torch.equal(one.features, other.features)
                assert torch.equal(one.labels, other.labels)
        assert list(scratch.iterdir()) == []


def touch(file: Path) -> None:
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize(
    "change", [lambda file: os.truncate(file, 0), lambda file: file.write_bytes(b"more" * 999), touch, Path.unlink]
)
def test_a_file_that_changed_since_set_up_is_refused_and_after_the_copy_does_no_harm(
    blobs: Path, label: int, change: Callable[[Path], object]
) -> None:
    files = ClassFiles(blobs, 0, "error")
    copied, dots = gathered(files), files.dots
    before = [tensor.clone() for tensor in copied]
    change(blobs / f"class_{label}.npy")
    assert all(map(torch.equal, copied, before))
    assert files.dots is dots
    del files.dots
    for read in (lambda: files.gather("val", MEMORY, halved), lambda: files.dots):
        with pytest.raises(InputError, match=rf"class_{label}\.npy: the file changed while it was read"):
            read()


def test_a_file_that_changes_during_the_copy_is_refused(blobs: Path) -> None:
    files = ClassFiles(blobs, 0, "error")
    with pytest.raises(InputError, match=r"class_1\.npy: the file changed while it was read"):
        files.gather("train", MEMORY, lambda rows: touch(blobs / "class_1.npy") or rows)


@pytest.mark.parametrize(("most", "cells"), [(200, 400), (199, 400), (200, 399), (20, 400)])
def test_the_dots_are_all_rows_or_so_many_at_random(
    folder: Path, monkeypatch: pytest.MonkeyPatch, most: int, cells: int
) -> None:
    """With 500 rows, of which 400 are dropped, against 100."""
    monkeypatch.setattr(classes, "MOST_DOTS", most)
    monkeypatch.setattr(classes, "MOST_CELLS", cells)
    files, _ = load(folder, (500, 100), 2, 0)
    most = min(most, cells // 2)
    for label in (0, 1):
        shown = [(name, tuple(row)) for name in SUBSETS for row in files.dots[name][label].tolist()]
        assert len(shown) == len(set(shown)) == most // 2
        subsets = {name: files.gather(name, MEMORY, lambda rows: rows) for name in SUBSETS}
        rows = {(n, tuple(row)) for n, s in subsets.items() for row in s.features[s.labels[:, 0] == label].tolist()}
        assert set(shown) <= rows
        assert all(part[label].dtype == np.float32 for part in files.dots.values())


DIFFER = r"class_0\.npy has 150 rows, class_1\.npy 100; use --data\.balance downsample to drop 50"
FEW = "rows per class; need at least 5 for a 60/20/20 split"


@pytest.mark.parametrize(
    ("class_0", "class_1", "words"),
    [
        (distinct(150, 2), distinct(100, 2, 1000), DIFFER),
        (distinct(1, 2), distinct(1, 2, 1000), f"1 {FEW}"),
        (distinct(4, 2), distinct(4, 2, 1000), f"4 {FEW}"),
        (distinct(10, 3), distinct(10, 2), r"class_0\.npy has 3 columns, .*class_1\.npy has 2"),
        (distinct(10, 2), distinct(10, 2)[::-1], r"class_0\.npy and class_1\.npy hold the same rows"),
        (distinct(10, 2), [[1, 2]] * 9 + [[3, np.nan]], r"class_1\.npy: 1 value is NaN .*row 9, column 1"),
        ([[np.inf, 2]] * 10, distinct(10, 2), r"class_0\.npy: 10 values are NaN .*row 0, column 0"),
    ],
)
def test_files_that_give_no_fair_split_are_refused(
    write_classes: Write, class_0: Any, class_1: Any, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        ClassFiles(write_classes(class_0, class_1), 0, "error")


@pytest.mark.parametrize(("rows", "larger"), [((150, 102), 0), ((102, 150), 1), ((4, 52), 1)])
def test_downsample_says_what_it_drops(write_classes: Write, rows: tuple[int, int], larger: int) -> None:
    root = write_classes(distinct(rows[0], 2), distinct(rows[1], 2, 1000))
    words = rf"^{re.escape(str(root))}: dropped 48 of {max(rows)} rows of class_{larger}\.npy"
    with pytest.warns(InputWarning, match=words):
        if min(rows) >= 5:
            assert ClassFiles(root, 0, "downsample").rows == {"train": 2 * 62, "val": 2 * 20, "test": 2 * 20}
        else:
            with pytest.raises(InputError, match=f"4 {FEW}"):
                ClassFiles(root, 0, "downsample")


def test_rows_in_two_places_are_counted_in_a_warning_unless_they_are_known(
    write_classes: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of class 0 all rows are equal, so that its two test rows are among its six training rows."""
    root = write_classes(np.ones((10, 2)), np.concatenate([np.ones((1, 2)), distinct(9, 2, 1000)]))
    with pytest.warns(
        InputWarning, match="1 feature vectors occur in both classes; [23] test rows also occur in train"
    ):
        ClassFiles(root, 0, "error")
    ClassFiles(root, 0, "error", overlap_is_known=True)
    monkeypatch.setattr(checks, "MOST_COMPARED", 19)
    with pytest.warns(InputWarning, match="too many rows to look for equal ones"):
        ClassFiles(root, 0, "error")


@pytest.mark.parametrize("missing", [["class_0.npy"], ["class_1.npy"], ["class_0.npy", "class_1.npy"]])
def test_a_missing_file_or_folder_is_named_with_the_option(blobs: Path, missing: list[str]) -> None:
    for name in missing:
        (blobs / name).unlink()
    roots = [blobs, *[blobs / "nowhere", blobs / ("x" * 300), Path(__file__)] * (len(missing) == 2)]
    for root in roots:
        words = rf"^{re.escape(str(root))}: {' and '.join(missing)} missing; --data\.root names the folder"
        with pytest.raises(InputError, match=words):
            ClassFiles(root, 0, "error")
