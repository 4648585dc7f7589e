"""Room for prepared rows: memory, or a scratch file that no one but the run can see where memory cannot hold them."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import torch
from torch import Tensor

MEMORY_SHARE = 0.5  # of what is free, that the rows may take
FLOAT_BYTES = 4
CONTAINER = Path("/sys/fs/cgroup")


class Store(NamedTuple):
    """The memory of a device or, if a folder is given, scratch files in it that only this process can see."""

    device: torch.device
    scratch: Path | None = None

    def empty(self, rows: int, columns: int) -> Tensor:
        """Return a float32 (rows, columns) to be filled, or raise an OSError if the disk has no room for it."""
        if self.scratch is None or not rows * columns:
            return torch.empty(rows, columns, dtype=torch.float32, device=self.device)
        try:
            with tempfile.TemporaryFile(dir=self.scratch) as file:  # The mapping keeps what is in it.
                reserve(file.fileno(), rows * columns * FLOAT_BYTES)
                return torch.from_numpy(np.memmap(file, np.float32, "r+", shape=(rows, columns)))
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror} (scratch file of the rows)", str(self.scratch)) from error


def choose(size: int, device: torch.device, processes: int, scratch: Path) -> Store:
    """Return where so many bytes of each process's rows go: to the device, to main memory, or to files in a folder."""
    if device.type == "meta" or (device.type == "cuda" and size <= MEMORY_SHARE * torch.cuda.mem_get_info(device)[0]):
        return Store(device)
    return Store(torch.device("cpu"), None if size <= MEMORY_SHARE * free_memory() / processes else scratch)


def reserve(file: int, size: int) -> None:
    """Give an empty file its size on the disk, so that writing to it through memory cannot meet a full disk."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
        return
    while size:  # A disk that gets full takes a part first, and says so only of the rest.
        size -= os.write(file, bytes(min(1 << 20, size)))


def free_memory() -> int:
    """Return the bytes that may still be allocated on this machine and, if that limits them, in this container."""
    free: int = psutil.virtual_memory().available
    with suppress(OSError, ValueError):  # Most systems have no such files, and no limit is called "max".
        limit, used = (int((CONTAINER / f"memory.{name}").read_text()) for name in ("max", "current"))
        free = min(free, limit - used)
    return max(0, free)
