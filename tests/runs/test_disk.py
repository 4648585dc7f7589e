"""Files reach the disk whole, at whichever file operation the process ends."""

import multiprocessing
import os
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from project.errors import InputWarning
from project.runs.disk import tolerated, write_whole

OLD, NEW, NEXT = b"old" * 1000, b"new" * 2000, b"next" * 500
OPERATIONS = {"mkdir", "stat", "open", "write", "flush", "fsync", "replace", "rename", "unlink", "truncate", "close"}


def save(path: Path, deadly: int | None = None) -> list[str]:
    """Save and return the file operations; end this process before the n-th of them, or half through if it writes."""
    names = list[str]()

    def strike(_: Any, event: str, function: Any) -> None:
        name = getattr(function, "__name__", "")
        if event != "c_call" or name not in OPERATIONS:
            return
        names.append(name)
        if len(names) == deadly:
            sys.setprofile(None)
            if name == "write":
                function.__self__.write(NEW[: len(NEW) // 2])
                function.__self__.flush()
            os._exit(9)

    sys.setprofile(strike)
    write_whole(path, NEW)
    sys.setprofile(None)
    return names


@pytest.mark.parametrize("before", [OLD, None])
def test_a_save_that_is_killed_anywhere_leaves_the_old_or_the_new_bytes(tmp_path: Path, before: bytes | None) -> None:
    paths = [tmp_path / str(deadly) / "file" for deadly in range(100)]
    for path in paths if before is not None else ():
        path.parent.mkdir()
        path.write_bytes(before or b"")
    operations = save(paths[0])
    order = [operations.index(name) for name in ("open", "write", "flush", "fsync", "replace")]
    assert order == sorted(order), "the bytes are on the disk before the name is"
    contents = []
    for deadly, path in enumerate(paths[1 : len(operations) + 1], 1):
        process = multiprocessing.get_context("fork").Process(target=save, args=(path, deadly))
        process.start()
        process.join(60)
        assert process.exitcode == 9
        contents.append(path.read_bytes() if path.exists() else None)
        write_whole(path, NEXT)
        assert {entry.name: entry.read_bytes() for entry in path.parent.iterdir()} == {"file": NEXT}
    moment = order[-1] + 1
    assert contents == [before] * moment + [NEW] * (len(operations) - moment)


def test_a_failing_write_keeps_the_old_file_and_leaves_no_debris(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path := tmp_path / "file").write_bytes(OLD)
    for failure in OSError(28, "No space left on device"), KeyboardInterrupt():
        monkeypatch.setattr(os, "fsync", Mock(side_effect=failure))
        with pytest.raises(type(failure)) as raised:
            write_whole(path, NEW)
        assert getattr(raised.value, "filename", str(path)) == str(path), "a message can name the file"
        assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == {"file": OLD}


def test_trouble_with_logs_is_one_warning_that_names_the_folder_and_other_trouble_is_none(tmp_path: Path) -> None:
    with pytest.warns(InputWarning, match=f"{tmp_path}: No space left .*; training goes on"), tolerated(tmp_path):
        raise OSError(28, "No space left on device")
    with pytest.raises(ZeroDivisionError), tolerated(tmp_path):
        _ = 1 / 0
