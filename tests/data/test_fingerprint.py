"""The fingerprint is SHA-256, and any difference in data or split shows in it."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from project.data import fingerprint as module
from project.data.fingerprint import fingerprint, hash_file
from project.data.split import split


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 100])
def test_a_file_is_hashed_as_sha256sum_does(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", 8)
    contents = bytes(range(size))
    (tmp_path / "file").write_bytes(contents)
    assert hash_file(tmp_path / "file") == hashlib.sha256(contents).hexdigest()


def test_the_split_is_hashed_row_by_row(blobs: Path) -> None:
    files = [blobs / "class_0.npy", blobs / "class_1.npy"]
    assignments = [split(50, 50, 0, i) for i in (0, 1)]
    rows = {"train": 60, "val": 20, "test": 20}
    one = fingerprint(files, assignments, 0, rows)
    assert one["split"] == hashlib.sha256(np.concatenate(assignments).tobytes()).hexdigest()
    first, last = assignments[0][0], assignments[0][-1]
    assignments[0][[0, -1]] = last, first
    assert (fingerprint(files, assignments, 0, rows) == one) == (first == last)
