"""Files reach the disk whole, at whichever file operation the process ends."""

import contextlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import project.disk
from project.disk import tolerated, write_whole
from project.errors import InputWarning

OLD, NEW, NEXT = b"old" * 1000, b"new" * 2000, b"next" * 500
# Saves, counting the file operations, and ends itself before the n-th of them; or half way through, if it is a write.
VICTIM = """
import builtins, io, os, sys
from pathlib import Path
from project.disk import write_whole

path, deadly = Path(sys.argv[1]), int(sys.argv[2])
count = 0

def strike(name, half=lambda: None):
    global count
    count += 1
    if count == deadly:
        half()
        os._exit(9)
    print(count, name, flush=True)

class Counting:
    def __init__(self, file):
        self.file = file
    def write(self, data):
        def half():
            self.file.write(data[: len(data) // 2])
            self.file.flush()
        strike("write", half)
        return self.file.write(data)
    def flush(self):
        strike("flush")
        self.file.flush()
    def fileno(self):
        return self.file.fileno()
    def __enter__(self):
        return self
    def __exit__(self, *_):
        strike("close")
        self.file.close()

def counted(name, function):
    def call(*arguments, **options):
        strike(name)
        return function(*arguments, **options)
    return call

opened = Path.open
Path.open = lambda *arguments: strike("open") or Counting(opened(*arguments))
for name in ("mkdir", "replace", "rename", "unlink", "stat"):
    setattr(Path, name, counted(name, getattr(Path, name)))
for name in ("open", "fsync", "close", "rename", "replace", "unlink"):
    setattr(os, name, counted("os." + name, getattr(os, name)))
write_whole(path, b"new" * 2000)
strike("end")
"""


def save_until(path: Path, deadly: int) -> tuple[int, list[str]]:
    """Save in a process that ends at its n-th file operation; return its exit status and the operations before."""
    arguments = [sys.executable, "-c", VICTIM, str(path), str(deadly)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, [line.split()[1] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("before", [OLD, None], ids=["over an old file", "a first file"])
def test_a_save_that_is_killed_at_any_file_operation_leaves_the_old_or_the_new_bytes(
    tmp_path: Path, before: bytes | None
) -> None:
    def prepared(folder: str) -> Path:
        path = tmp_path / folder / "file"
        if before is not None:
            path.parent.mkdir()
            path.write_bytes(before)
        return path

    status, operations = save_until(prepared("whole"), 10_000)
    assert status == 0
    assert {"open", "write", "flush", "os.fsync", "replace"} <= set(operations)
    assert Counter(operations)["os.fsync"] == 2, "the file and its folder"
    contents = []
    for deadly in range(1, len(operations) + 1):
        path = prepared(str(deadly))
        assert save_until(path, deadly) == (9, operations[: deadly - 1])
        contents.append(path.read_bytes() if path.exists() else None)
        write_whole(path, NEXT)
        assert path.read_bytes() == NEXT
        assert [entry.name for entry in path.parent.iterdir()] == ["file"]
    moment = max(i for i, name in enumerate(operations, 1) if name.endswith("replace"))  # the new bytes from then on
    assert contents == [before] * moment + [NEW] * (len(operations) - moment)


def test_the_bytes_are_on_the_disk_before_the_name_is(tmp_path: Path) -> None:
    _, operations = save_until(tmp_path / "file", 10_000)
    order = [operations.index(name) for name in ("write", "flush", "os.fsync", "replace")]
    assert order == sorted(order)
    assert "os.fsync" in operations[operations.index("replace") :], "the folder's turn"


def fail(*_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("old", [OLD, None], ids=["over an old file", "a first file"])
@pytest.mark.parametrize(("owner", "name"), [(os, "fsync"), (Path, "replace"), (Path, "open")])
def test_a_failing_write_keeps_the_old_file_and_leaves_no_debris(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, old: bytes | None
) -> None:
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fail)
        with pytest.raises(OSError, match="No space left on device") as failure:
            write_whole(path, NEW)
    assert failure.value.filename == str(path), "a message can name the file"
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == ({"file": old} if old else {})


def test_an_interrupted_write_leaves_no_debris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "file", NEW)
    assert list(tmp_path.iterdir()) == []


def test_descriptors_are_closed_whatever_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc")
    write_whole(tmp_path / "file", NEW)
    monkeypatch.setattr(os, "fsync", fail)
    for action in (lambda: write_whole(tmp_path / "file", NEXT), lambda: project.disk.sync_folder(tmp_path)):
        assert_broken(action)
    assert open_below(tmp_path) == []
    with open(tmp_path / "file") as file:
        assert open_below(tmp_path) == [Path(file.name)], "an open descriptor would be seen"


def open_below(folder: Path) -> list[Path]:
    """Return the open files below a folder; other tests' leftovers may be closed at any time."""
    targets = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            targets.append(descriptor.readlink())
    return [target for target in targets if target.is_relative_to(folder)]


def assert_broken(action: Callable[[], None]) -> None:
    with pytest.raises(OSError, match="No space"):
        action()


def test_trouble_with_logs_is_one_warning_that_names_the_folder(tmp_path: Path) -> None:
    with pytest.warns(InputWarning, match="No space left on device; training goes on") as warned, tolerated(tmp_path):
        fail()
    assert [str(tmp_path) in str(warning.message) for warning in warned] == [True]


def test_only_trouble_with_the_disk_is_tolerated(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), tolerated(tmp_path):
        _ = 1 / 0
