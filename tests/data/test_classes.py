"""Two class files give balanced, disjoint subsets, whole or in shares, or one line that says what is wrong."""

import re
import warnings
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from project.data import checks, classes
from project.data.batches import Batch, Store, Subset, TrainingBatches
from project.data.classes import SUBSETS, ClassFiles
from project.errors import InputError, InputWarning
from tests.conftest import Write

MEMORY = Store(torch.device("cpu"))
Pair, Row = tuple[int, int], tuple[float, ...]
MORE = r"class_0\.npy has 102 rows, class_1\.npy 150; use --data.balance downsample to drop 48"
seeds, few = st.integers(0, 2**32), st.integers(1, 20)
sizes = st.tuples(st.integers(5, 31), st.integers(5, 31)) | st.integers(5, 31).map(lambda rows: (rows, rows))


def distinct(rows: int, columns: int, first: int = 0) -> npt.NDArray[np.float64]:
    """Return rows of different integers, so that each row can be told from every other."""
    return np.arange(first, first + rows * columns, dtype=np.float64).reshape(rows, columns)


def load(folder: Path, rows: Pair, seed: int) -> tuple[ClassFiles, list[set[Row]]]:
    """Return class files of so many rows, the larger downsampled, and the rows of either."""
    tables = [distinct(rows[0], 2), distinct(rows[1], 2, 1000)]
    for label, table in enumerate(tables):
        np.save(folder / f"class_{label}.npy", table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # one that says how many rows were dropped
        return ClassFiles(folder, seed, "downsample"), [set(map(tuple, table.tolist())) for table in tables]


def in_order(pieces: Batch, label: int | None = None) -> list[Row]:
    """Return features and label of each row, of one class or of both."""
    rows = [(*x.tolist(), y.item()) for piece in pieces for x, y in zip(*piece[:2], strict=True)]
    return sorted(row for row in rows if label in (None, row[-1]))


@given(sizes, st.sampled_from([*SUBSETS]), st.integers(1, 7), few, few, seeds, st.booleans())
def test_of_every_batch_each_row_is_in_one_share_wherever_it_lies(
    path: Path, rows: Pair, name: str, ranks: int, batch_size: int, piece_rows: int, seed: int, on_disk: bool
) -> None:
    files, _ = load(path.parent, rows, seed)
    whole, store = files.gather(name, MEMORY, torch.neg), Store(MEMORY.device, path.parent if on_disk else None)
    shares = [files.gather(name, store, torch.neg, (i, ranks)) for i in range(ranks)]
    assert {file.name for file in path.parent.iterdir()} == {"class_0.npy", "class_1.npy"}, "no scratch file shows"
    assert sum(len(share.labels) for share in shares) == whole.rows
    size = min(batch_size, whole.rows)

    def batches(subset: Subset) -> list[Batch]:
        return [*TrainingBatches(subset, size, piece_rows, seed, 9), subset.whole(piece_rows)]

    for batch, *parts in zip(batches(whole), *map(batches, shares), strict=True):
        pieces = list(chain(*parts))
        rows_in_batch = sum(len(piece.labels) for piece in batch)
        assert sum(piece.weight for piece in pieces) == pytest.approx(1)
        assert all(piece.weight == len(piece.labels) / rows_in_batch for piece in pieces)
        assert all(0 < len(piece.labels) <= piece_rows for piece in pieces)
        assert in_order(pieces) == in_order(batch)


def test_dots_are_all_rows_or_so_many_at_random(path: Path, monkeypatch: Any) -> None:
    """Of 400 rows against 100, the 300 that were dropped are not shown."""
    for most, cells in (200, 400), (199, 400), (200, 39):
        files, _ = load(path.parent, (400, 100), 0)
        monkeypatch.setattr(classes, "MOST_DOTS", most)
        monkeypatch.setattr(classes, "MOST_CELLS", cells)
        shown = [[(name, *row) for name in SUBSETS for row in files.dots[name][label].tolist()] for label in (0, 1)]
        assert [len(set(rows)) for rows in shown] == [len(rows) for rows in shown] == [min(most, cells // 2) // 2] * 2
        for label, rows in enumerate(shown):
            assert set(rows) <= {(n, *row[:-1]) for n in SUBSETS for row in in_order(files.gather(n).whole(999), label)}


def test_files_that_give_no_split_are_refused_or_cut_down_where_asked(write_classes: Write) -> None:
    for class_0, class_1, words in [
        (distinct(102, 2), distinct(150, 2, 1000), MORE),
        (distinct(4, 2), distinct(4, 2, 1000), "4 rows per class; need at least 5 for a 60/20/20 split"),
        (distinct(10, 3), distinct(10, 2), r"class_0\.npy has 3 columns, .*class_1\.npy has 2"),
        (distinct(10, 2), distinct(10, 2)[::-1], r"class_0\.npy and class_1\.npy hold the same rows"),
    ]:
        with pytest.raises(InputError, match=words):
            ClassFiles(write_classes(class_0, class_1), 0, "error")
    root = write_classes(distinct(102, 2), distinct(150, 2, 1000))
    with pytest.warns(InputWarning, match=rf"^{re.escape(str(root))}: dropped 48 of 150 rows of class_1\.npy"):
        files = ClassFiles(root, 0, "downsample")
    assert files.rows == {"train": 2 * 62, "val": 2 * 20, "test": 2 * 20}


def test_rows_in_two_places_are_counted_unless_known_or_too_many(write_classes: Write, monkeypatch: Any) -> None:
    """All rows of class 0 are equal, so that its two test rows are among its six training rows."""
    root = write_classes(np.ones((10, 2)), np.concatenate([np.ones((1, 2)), distinct(9, 2, 1000)]))
    with pytest.warns(InputWarning, match="1 feature vectors occur in both classes; [23] test rows also"):
        ClassFiles(root, 0, "error")
    ClassFiles(root, 0, "error", overlap_is_known=True)
    monkeypatch.setattr(checks, "MOST_COMPARED", 19)
    with pytest.warns(InputWarning, match="too many rows to look for equal ones"):
        ClassFiles(root, 0, "error")


REMEDY = "--data.root names the folder that holds class_0.npy and class_1.npy"
MISTAKES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (lambda root: root.rename(root.parent / "other"), f"{{0}}: no such folder; {REMEDY}"),
    "a file": (lambda root: (root.rename(root.parent / "other"), root.touch()), f"{{0}}: is a file; {REMEDY}"),
    "one file": (lambda root: (root / "class_1.npy").unlink(), f"{{0}}: class_1.npy missing; {REMEDY}"),
    "case": (
        lambda root: (root / "class_0.npy").rename(root / "Class_0.npy"),
        "{0}: class_0.npy missing; Class_0.npy is there: rename it to class_0.npy",
    ),
    "archive": (
        lambda root: (root / "class_0.npy").rename(root / "class_0.npz"),
        "{0}: class_0.npy missing; class_0.npz is there: numpy.save('class_0.npy', numpy.load('class_0.npz')['arr_0'])",
    ),
    "tables": (
        lambda root: [path.rename(path.with_suffix(".csv")) for path in root.iterdir()],
        "{0}: class_0.npy and class_1.npy missing; class_0.csv is there: numpy.save('class_0.npy', numpy.loadtxt(",
    ),
    "transposed": (
        lambda root: [np.save(path, np.load(path).T) for path in root.iterdir()],
        "{0}/class_0.npy: shape (2, 50) looks transposed, as a row is an example; numpy.save('class_0.npy', array.T)",
    ),
    "one group file": (
        lambda root: np.save(root / "group_0.npy", np.arange(50)),
        "{0}/group_1.npy: missing; save the groups of both classes, or of neither",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_is_there_instead_of_class_files_is_recognized(mistake: str, blobs: Path) -> None:
    make, message = MISTAKES[mistake]
    make(blobs)
    with pytest.raises(InputError, match=f"^{re.escape(message.format(blobs))}"):
        ClassFiles(blobs, 0, "error")


def test_a_name_too_long_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        ClassFiles(tmp_path / ("x" * 300), 0, "error")
