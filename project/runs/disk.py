"""How a file reaches the disk whole, that one process at a time writes a folder, and what a run can do without."""

import contextlib
import errno
import glob
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from project.errors import InputError, InputWarning

try:
    import fcntl
except ImportError:  # Windows has no locks on folders.
    fcntl = None  # type: ignore[assignment]

HAS_LOCKS = fcntl is not None
HELD: dict[Path, int] = {}  # descriptors of the folders that this process holds


def hold(folder: Path) -> bool:
    """Keep other processes from writing a folder, until it is released or this process ends, however it ends.

    What a killed process has left half-written in it goes. If this process holds it already, nothing happens, and the
    answer is no.

    Raises:
        InputError: if another process holds it.
        OSError: if the file system has no locks.
    """
    path = folder.absolute()
    if path in HELD:
        return False
    if HAS_LOCKS:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = holder_of(os.fstat(descriptor).st_ino)
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                raise InputError(f"{folder}: {holder} is writing this run; wait for it or stop it") from error
            remedy = "use another --trainer.default_root_dir"
            reason = f"{error.strerror}, so that two processes could write one run; {remedy}"
            raise OSError(error.errno, reason, str(folder)) from error
        HELD[path] = descriptor
    sweep(folder.rglob(".*.tmp"))
    return True


def holder_of(inode: int) -> str:
    """Return "process N" for the holder of a lock, which only Linux tells."""
    table = Path("/proc/locks")
    locks = table.read_text() if table.exists() else ""
    found = re.search(rf"FLOCK +\w+ +WRITE +([1-9]\d*) +\w+:\w+:{inode} ", locks)
    return f"process {found[1]}" if found else "another process"


def release(folder: Path) -> None:
    if (path := folder.absolute()) in HELD:
        os.close(HELD.pop(path))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that at any moment its old or its new content is there, also after a power failure.

    Raises:
        OSError: if the disk is full or read-only, or if something else than a file has that name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        raise OSError(errno.EEXIST, "is no regular file, and is not replaced; give another name", str(path))
    sweep(path.parent.glob(f".{glob.escape(path.name)}.*.tmp"))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
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


def sweep(unfinished: Iterable[Path]) -> None:
    """Remove what processes that are no more have left half-written; the number before ".tmp" is a process's."""
    for path in unfinished:
        try:
            if os.name != "nt":  # There, to ask for a process would end it, and a file that is open stays.
                os.kill(int(path.stem.rpartition(".")[2]), 0)
                continue
        except (PermissionError, ValueError):
            continue
        except ProcessLookupError:
            pass
        with contextlib.suppress(OSError):
            path.unlink()


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
