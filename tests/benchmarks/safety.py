"""What the promises cost: a default fit, whole, against one without checks, digests and waiting for the disk.

``python -m tests.benchmarks.safety --repeats 7``
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile

WITHOUT = """
import os, numpy
from project.runs import checkpoint
from project.callbacks import Divergence
from project.data import checks
os.fsync = lambda descriptor: None
checkpoint.canonical = lambda contents: contents
checkpoint.check_rebuilds = lambda contents, kind: None
checkpoint.digest = lambda body: bytes(64)
checks.hash_file = lambda path: "0" * 64
checks.hash_rows = lambda values: numpy.arange(len(values), dtype=numpy.uint64)
checks.find_overlap = lambda hashes, assignments: checks.Overlap(False, 0, 0)
for hook in ("on_train_batch_end", "on_validation_end", "on_train_end"):
    delattr(Divergence, hook)
"""
FIT = "import sys; from project.__main__ import main; sys.exit(main(['fit']))"


def run(program: str) -> tuple[float, float]:
    """Return the wall and processor seconds of a process."""
    before = os.times()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", program], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return after.elapsed - before.elapsed, processor


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = range(parser.parse_args().repeats)
    pairs = [(run(FIT), run(WITHOUT + FIT)) for _ in repeats]  # in turns, as the machine's speed changes
    for i, what in enumerate(("wall", "processor")):
        whole, without = (statistics.median(pair[k][i] for pair in pairs) for k in (0, 1))
        print(f"{what}: {whole:.2f} s with, {without:.2f} s without: {100 * (whole / without - 1):+.1f} %")
