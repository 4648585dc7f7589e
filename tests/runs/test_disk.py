"""Files reach the disk whole, at whichever file operation the process ends."""

import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from project.errors import InputWarning
from project.runs.disk import tolerated, write_whole

OLD, NEW, NEXT = b"old" * 1000, b"new" * 2000, b"next" * 500
# Saves, naming the file operations, and ends itself before the n-th of them; or half way through, if it is a write.
VICTIM = """
import os, sys
from pathlib import Path
from project.runs.disk import write_whole

def strike(_, event, function):
    name = getattr(function, "__name__", "")
    if event != "c_call" or name not in OPERATIONS:
        return
    if len(names) + 1 == int(sys.argv[2]):
        if name == "write":
            function.__self__.write(NEW[: len(NEW) // 2])
            function.__self__.flush()
        os._exit(9)
    names.append(name)
    print(name, flush=True)

OPERATIONS = {"mkdir", "stat", "open", "write", "flush", "fsync", "replace", "rename", "unlink", "truncate", "close"}
NEW, names = b"new" * 2000, []
sys.setprofile(strike)
write_whole(Path(sys.argv[1]), NEW)
"""


def save_until(path: Path, before: bytes | None, deadly: int) -> tuple[int, list[str]]:
    """Save in a process that ends at its n-th file operation; return its exit status and the operations before."""
    if before is not None:
        path.parent.mkdir()
        path.write_bytes(before)
    arguments = [sys.executable, "-c", VICTIM, str(path), str(deadly)]
    done = subprocess.run(arguments, stdout=subprocess.PIPE, text=True, check=False, timeout=60)
    return done.returncode, done.stdout.split()


@pytest.mark.process
@pytest.mark.parametrize("before", [OLD, None])
def test_a_save_that_is_killed_anywhere_leaves_the_old_or_the_new_bytes(tmp_path: Path, before: bytes | None) -> None:
    status, operations = save_until(tmp_path / "whole" / "file", before, 10_000)
    assert status == 0
    order = [operations.index(name) for name in ("open", "write", "flush", "fsync", "replace")]
    assert order == sorted(order), "the bytes are on the disk before the name is"
    moment = order[-1] + 1
    contents = []
    for deadly in range(1, len(operations) + 1):
        path = tmp_path / str(deadly) / "file"
        assert save_until(path, before, deadly) == (9, operations[: deadly - 1])
        contents.append(path.read_bytes() if path.exists() else None)
        write_whole(path, NEXT)
        assert {entry.name: entry.read_bytes() for entry in path.parent.iterdir()} == {"file": NEXT}
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
