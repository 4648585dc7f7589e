"""What the promises cost: a default fit, whole, against one without checks, digests and waiting for the disk.

``python -m tests.benchmarks.safety --repeats 7``
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time

WITHOUT = """
import os
import numpy
from project import checkpoint
from project.callbacks import Divergence
from project.data import checks
os.fsync = lambda descriptor: None
checkpoint.canonical = lambda contents: contents
checkpoint.check_rebuilds = lambda contents, kind: None
checkpoint.digest = lambda body: bytes(64)
checks.hash_file = lambda path: "0" * 64
checks.hash_rows = lambda values: numpy.arange(len(values), dtype=numpy.uint64) << numpy.uint64(3)
checks.find_overlap = lambda marks, same_rows: checks.Overlap(False, 0, 0)
for hook in ("on_train_batch_end", "on_validation_end", "on_train_end"):
    delattr(Divergence, hook)
"""
FIT = "import sys; from project.__main__ import main; sys.exit(main(['fit']))"


def run(program: str) -> tuple[float, float]:
    """Return the wall and processor seconds of a process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", program], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    times: dict[str, list[tuple[float, float]]] = {FIT: [], WITHOUT + FIT: []}
    for _ in range(parser.parse_args().repeats):
        for program, results in times.items():  # in turns, so that a change of the machine's speed meets both
            results.append(run(program))
    for i, what in enumerate(("wall", "processor")):
        whole, without = (statistics.median(pair[i] for pair in results) for results in times.values())
        print(f"{what}: {whole:.2f} s with, {without:.2f} s without: {100 * (whole / without - 1):+.1f} %")


if __name__ == "__main__":
    main()
