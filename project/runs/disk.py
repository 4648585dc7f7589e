"""Files written whole, folders that one process at a time writes, and warnings instead of errors for logs."""

import contextlib
import errno
import glob
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from project.errors import InputError, InputWarning

HELD: dict[Path, FileLock] = {}  # by the folders that this process holds


def hold(folder: Path) -> bool:
    """Keep other processes from writing a folder until it is released or this process ends, and say if that is new."""
    path = folder.absolute()
    if path in HELD:
        return False
    lock = FileLock(path / ".lock", timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise InputError(f"{folder}: another process is writing this run; wait for it or stop it") from error
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}; use another --trainer.default_root_dir", str(folder)) from error
    HELD[path] = lock
    sweep(folder.rglob(".*.tmp"))
    return True


def release(folder: Path) -> None:
    """Let other processes write a folder, if this process holds it."""
    if (path := folder.absolute()) in HELD:
        HELD.pop(path).release()


def write_whole(path: Path, data: bytes, lasting: bool = True) -> None:
    """Write a file so that at any moment its old or its new content is there, if lasting also after a power failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        raise OSError(errno.EEXIST, "is no regular file, and is not replaced; give another name", str(path))
    sweep(path.parent.glob(f".{glob.escape(path.name)}.*.tmp"))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:  # A failed write does not say which file it was.
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def append_whole(path: Path, data: bytes, lasting: bool = True) -> None:
    """Add bytes to a file, all of them or, with an OSError, none; if lasting, wait until they are on the disk."""
    with path.open("ab", buffering=0) as file:
        size, left = file.tell(), memoryview(data)
        try:
            while left:  # A disk that gets full takes a part first, and says so only of the rest.
                left = left[file.write(left) :]
            if lasting:
                os.fsync(file.fileno())
        except OSError:
            file.truncate(size)
            raise


def sweep(unfinished: Iterable[Path]) -> None:
    """Remove what processes that are no more have left half-written; the number before ".tmp" is a process's."""
    for path in unfinished:
        process = path.stem.rpartition(".")[2]
        if process.isdecimal() and int(process) not in psutil.pids():
            with contextlib.suppress(OSError):  # It may belong to somebody else.
                path.unlink()


@contextmanager
def tolerated(folder: Path) -> Iterator[None]:
    """Turn trouble with the disk into one warning: for logs and figures, which must not end training."""
    try:
        yield
    except OSError as error:
        what = "training goes on, but its logs and figures may be incomplete"
        warnings.warn(f"{folder}: {error.strerror or error}; {what}", InputWarning, stacklevel=3)
