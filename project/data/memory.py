"""How much memory there is to keep data in."""

import resource
from pathlib import Path

import torch


def free_memory(device: torch.device) -> int:
    """Return the bytes that may still be allocated on a device, as far as the system and its limits tell."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return min(_free_of_machine(), _free_of_container(), _free_of_process())


def _free_of_machine() -> int:
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():  # not Linux
        return 2**62
    fields = dict(line.split(":") for line in meminfo.read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) * 1024


def _free_of_container() -> int:
    limit, used = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))
    if not limit.exists() or limit.read_text().strip() == "max":
        return 2**62
    return max(0, int(limit.read_text()) - int(used.read_text()))


def _free_of_process() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if soft == resource.RLIM_INFINITY:
        return 2**62
    fields = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return max(0, soft - int(fields["VmData"].split()[0]) * 1024)
