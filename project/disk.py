"""How a file reaches the disk whole, and what a run can do without."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from project.errors import InputError, InputWarning

try:
    import fcntl
except ImportError:  # Windows has no locks on folders.
    fcntl = None  # type: ignore[assignment]

HAS_LOCKS = fcntl is not None
HELD: dict[Path, int] = {}  # descriptors of the folders that this process holds


def hold(folder: Path) -> None:
    """Keep other processes from writing a folder, until it is released or this process ends, however it ends.

    Raises:
        InputError: if another process holds it.
    """
    path = folder.absolute()
    if not HAS_LOCKS or path in HELD:
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise InputError(f"{folder}: another process is writing this run; wait for it or stop it") from error
    HELD[path] = descriptor


def release(folder: Path) -> None:
    if (path := folder.absolute()) in HELD:
        os.close(HELD.pop(path))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that at any moment its old or its new content is there, also after a power failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")  # What a kill leaves is overwritten next time.
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:  # A failed write does not say which file it was.
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    if os.name == "nt":  # Windows does not open folders, and keeps its names in order itself.
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def tolerated(folder: Path) -> Iterator[None]:
    """Turn trouble with the disk into one warning: for logs and figures, which must not end training."""
    try:
        yield
    except OSError as error:
        what = "training goes on, but its logs and figures may be incomplete"
        warnings.warn(f"{folder}: {error.strerror or error}; {what}", InputWarning, stacklevel=3)
