"""Where prepared rows are kept: in memory, or over a scratch file where memory cannot hold them."""

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
BLOCK = bytes(1 << 20)


class Store(NamedTuple):
    """The memory of a device or, if a folder is given, scratch files in it that only this process can see."""

    device: torch.device
    scratch: Path | None = None

    def empty(self, rows: int, columns: int) -> Tensor:
        """Return a float32 (rows, columns) to be filled, whoever takes rows of which cannot tell where they are.

        Raises:
            OSError: if the disk has no room for a scratch file.
        """
        if self.scratch is None or not rows * columns:
            return torch.empty(rows, columns, dtype=torch.float32, device=self.device)
        try:
            file = tempfile.TemporaryFile(dir=self.scratch)  # noqa: SIM115 (it lives as long as the tensor over it)
            reserve(file.fileno(), rows * columns * FLOAT_BYTES)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror} (scratch file of the rows)", str(self.scratch)) from error
        return torch.from_numpy(np.memmap(file, np.float32, "r+", shape=(rows, columns)))


def choose(size: int, device: torch.device, processes: int, scratch: Path) -> Store:
    """Return where so many bytes of rows go: to the device, else to main memory, else to scratch files.

    Args:
        size: bytes of all rows of this process.
        device: where they are computed.
        processes: how many processes keep as much in the same main memory.
        scratch: a folder.
    """
    if device.type == "cuda" and size <= MEMORY_SHARE * torch.cuda.mem_get_info(device)[0]:
        return Store(device)
    if device.type == "meta":
        return Store(device)
    return Store(torch.device("cpu"), None if size <= MEMORY_SHARE * free_memory() / processes else scratch)


def reserve(file: int, size: int) -> None:
    """Give an empty file its size on the disk, so that writing to it through memory cannot meet a full disk."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
        return
    for start in range(0, size, len(BLOCK)):
        os.write(file, BLOCK[: size - start])


def free_memory() -> int:
    """Return the bytes that may still be allocated, as far as the system and its limits tell."""
    return min(_free_of_machine(), _free_of_container(), _free_of_process())


def _free_of_machine() -> int:
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():  # Only Linux has it.
        return UNLIMITED
    fields = dict(line.split(":") for line in meminfo.read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) * 1024


def _free_of_container() -> int:
    limit, used = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))
    if not limit.exists() or limit.read_text().strip() == "max":
        return UNLIMITED
    return max(0, int(limit.read_text()) - int(used.read_text()))


def _free_of_process() -> int:
    status = Path("/proc/self/status")
    if resource is None or not status.exists():
        return UNLIMITED
    soft, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if soft == resource.RLIM_INFINITY:
        return UNLIMITED
    fields = dict(line.split(":") for line in status.read_text().splitlines())
    return max(0, soft - int(fields["VmData"].split()[0]) * 1024)
