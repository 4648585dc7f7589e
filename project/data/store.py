"""Where prepared rows are kept: in memory, or over a scratch file where memory cannot hold them.

Rows are copied once, standardized: into memory if they fit into half of what is free, else into a scratch file that
no one but the run can see, and ``fit`` says which and how large. From then on the class files may change. A
mini-batch's rows are random in either case; from the scratch file each costs a page.
"""

import os
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

try:
    import resource
except ImportError:  # Windows has no such limits.
    resource = None  # type: ignore[assignment]

MEMORY_SHARE = 0.5  # of what is free, that the rows may take
UNLIMITED = 2**62
FLOAT_BYTES = 4


class Store(NamedTuple):
    """The memory of a device or, if a folder is given, scratch files in it that only this process can see."""

    device: torch.device
    scratch: Path | None = None

    def empty(self, rows: int, columns: int) -> Tensor:
        """Return a float32 (rows, columns) to be filled; whoever takes rows of it cannot tell where they are.

        Raises:
            OSError: if the disk has no room for a scratch file.
        """
        if self.scratch is None or not rows * columns:
            return torch.empty(rows, columns, dtype=torch.float32, device=self.device)
        try:
            with tempfile.TemporaryFile(dir=self.scratch) as file:  # The mapping keeps what is in it.
                reserve(file.fileno(), rows * columns * FLOAT_BYTES)
                return torch.from_numpy(np.memmap(file, np.float32, "r+", shape=(rows, columns)))
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror} (scratch file of the rows)", str(self.scratch)) from error


def choose(size: int, device: torch.device, processes: int, scratch: Path) -> Store:
    """Return where so many bytes of rows go: to the device, else to main memory, else to scratch files in a folder.

    As many processes keep as much in the same main memory.
    """
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
    """Return the bytes that may still be allocated, as far as the system and its limits tell, which only Linux does."""
    free = UNLIMITED
    machine, container, process = (Path(f"/{name}") for name in ("proc/meminfo", "sys/fs/cgroup", "proc/self/status"))
    if machine.exists():
        free = kilobytes(machine, "MemAvailable")
    limit = container / "memory.max"
    if limit.exists() and (most := limit.read_text().strip()) != "max":
        free = min(free, int(most) - int((container / "memory.current").read_text()))
    if (
        resource
        and process.exists()
        and (soft := resource.getrlimit(resource.RLIMIT_DATA)[0]) != resource.RLIM_INFINITY
    ):
        free = min(free, soft - kilobytes(process, "VmData"))
    return max(0, free)


def kilobytes(path: Path, field: str) -> int:
    """Return a line of one of the system's tables, as in "VmData: 12 kB", in bytes."""
    fields = dict(line.split(":", 1) for line in path.read_text().splitlines())
    return int(fields[field].split()[0]) * 1024
