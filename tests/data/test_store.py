"""Prepared rows are one float32 tensor, in memory or over a file that no folder shows."""

import os
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import psutil
import pytest
import torch

from project.data import store
from project.data.store import Store, choose, free_memory, reserve

CPU, META = torch.device("cpu"), torch.device("meta")


def test_what_is_written_to_a_scratch_file_is_read_and_no_one_else_sees_it(tmp_path: Path) -> None:
    rows, values = Store(CPU, tmp_path).empty(1000, 3), torch.randn(1000, 3)
    rows[:] = values
    assert torch.equal(rows, values)
    assert Store(CPU, tmp_path).empty(0, 3).shape == (0, 3)
    assert list(tmp_path.iterdir()) == [], "no folder shows the file"


def test_no_room_on_the_disk_is_an_error_that_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "reserve", Mock(side_effect=OSError(28, "No space left on device")))
    with pytest.raises(OSError, match=r"No space left on device .scratch file of the rows") as caught:
        Store(CPU, tmp_path).empty(10, 2)
    assert (caught.value.errno, caught.value.filename, list(tmp_path.iterdir())) == (28, str(tmp_path), [])


def test_every_reserved_byte_is_written_where_nothing_reserves_them(tmp_path: Path, monkeypatch: Any) -> None:
    """A file that was merely lengthened would meet the full disk later, when nothing but a signal can tell."""
    size, write = 3 * 2**20 + 5, Mock(side_effect=lambda file, data, write=os.write: write(file, data[: 2**18]))
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    monkeypatch.setattr(os, "write", write)
    with (tmp_path / "file").open("wb") as file:
        reserve(file.fileno(), size)
        assert (os.fstat(file.fileno()).st_size, write.call_count) == (size, 13)


def test_rows_go_to_files_where_memory_cannot_hold_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "free_memory", lambda: 1000)
    assert choose(500, CPU, 1, tmp_path) == choose(250, CPU, 2, tmp_path) == Store(CPU)
    assert choose(501, CPU, 1, tmp_path) == choose(251, CPU, 2, tmp_path) == Store(CPU, tmp_path)
    assert choose(10**9, META, 1, tmp_path) == Store(META), "which holds nothing"


def test_the_tighter_of_machine_and_container_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Mock(available=10**6))
    monkeypatch.setattr(store, "CONTAINER", tmp_path)
    assert free_memory() == 10**6
    (tmp_path / "memory.current").write_text("100000\n")
    for limit, free in ("max", 10**6), ("500000", 400_000), ("9", 0):
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        assert free_memory() == free
