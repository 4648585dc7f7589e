"""``limited.py BYTES MODULE ...``: import a module of this folder, then run it with BYTES of memory more, and no more.

The limit is the kernel's RLIMIT_DATA: it counts private writable memory (heap, anonymous maps, thread stacks), and not
files mapped for reading, whose pages the kernel may drop and read again at any time. RLIMIT_AS would count those too,
and a memory cgroup, the most lifelike limit, needs rights that few users have. Linux only.
"""

import importlib
import re
import resource
import sys
from pathlib import Path

import torch


def main() -> None:
    allowed, name = int(sys.argv[1]), sys.argv[2]
    sys.argv = sys.argv[2:]
    module = importlib.import_module(name)
    torch.ones(1_000_000).sum()  # starts the threads, whose stacks count
    in_use = re.search(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert in_use
    limit = int(in_use[1]) * 1024 + allowed
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    module.main()


if __name__ == "__main__":
    main()
