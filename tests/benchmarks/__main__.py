"""``python -m tests.benchmarks``: measures the project beside its yardsticks, side by side, and prints a table.

fit, study  the project's own commands, with a callback that is the clock where iterations alone count
bare        bare.py, Lightning's Trainer with our classifier and data, and nothing else
raw         raw.py, plain PyTorch as a student would write it
stock       stock.py, the usual Lightning tutorial
sklearn, skorch, keras  peers.py, where they are installed: pip install 'project[bench]'

Every figure is a ratio of medians. Every measurement is a fresh process in an empty working directory, the yardsticks
taking turns, so that a change in the machine's load meets them all. Scratch files go where $TMPDIR says.
"""

import argparse
import importlib.util
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

HERE = Path(__file__).parent
PEERS = ("sklearn", "skorch", "keras")
Commands = dict[str, list[object]]
PROGRAMS: Commands = {"fit": ["project", "fit"], "study": ["project", "study"], "raw": ["raw"], "stock": ["stock"]}
PROGRAMS |= {"bare": ["bare"], **{name: ["peers", "--library", name] for name in PEERS}}


class Work(NamedTuple):
    """Lines of the table: commands that take turns, and which of them are compared."""

    name: str
    commands: Commands
    pairs: list[tuple[str, str]]  # The figure is the seconds of the first over those of the second.
    per: dict[str, float] = {}  # noqa: RUF012  # what the seconds of a command that does more are divided by
    size: float = 0  # bytes of the "data": instead of seconds, the peak above that of "base" is compared with them


def write_data(scratch: Path, rows: int, features: int = 2) -> list[object]:
    """Write two overlapping clouds, float32, so many of whose rows are in the training subset; return their option."""
    (root := scratch / f"{rows}x{features}").mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for label in (0, 1):
        clouds = rng.standard_normal((round(rows / 1.2), features), np.float32)
        clouds[:, :2] += 2 * label - 1
        np.save(root / f"class_{label}.npy", clouds)
    return ["--data.root", root]


def clocked(names: Iterable[str], first: int, count: int, *more: object, interval: int = 0) -> Commands:
    """Return commands that have a clock for a count of iterations after the first ones, and validate at least then."""
    last, callback = first + count, "--trainer.callbacks"
    clock = [f"{callback}+=stopwatch.Stopwatch", f"{callback}.first", first, f"{callback}.last", last]
    steps = ["--trainer.max_steps", last, "--trainer.val_check_interval", interval or last]
    return {name: [*PROGRAMS[name], "--allow-import", "stopwatch", *steps, *clock, *more] for name in names}


def works(scratch: Path, quick: bool) -> Iterator[Work]:
    """Yield what is measured, in the order of the README's table; quick does less of everything."""
    data = partial(write_data, scratch)
    whole = {name: PROGRAMS[name] for name in ("fit", "raw", "stock")}
    yield Work("a whole fit", whole, [("fit", "raw"), ("fit", "stock")])

    count, pairs = 200 if quick else 1000, [("fit", name) for name in ("bare", "raw", *PEERS)]
    yield Work(f"{count} iterations", clocked(("fit", "bare", "raw", *PEERS), 20, count, interval=20), pairs)
    batches = ["--data.batch_size", 256]
    commands = clocked(("fit", "bare", *PEERS), 391, 782, *data(100_000), *batches, interval=20)
    yield Work("10^5 rows in batches of 256", commands, [pairs[0], *pairs[2:]])

    for features in (2, 16):
        commands = clocked(("fit", "raw"), 5, 5 if quick else 20, *data(10**6, features))
        yield Work(f"an iteration of 10^6 rows, j = {features}", commands, [("raw", "fit")])
    commands, per = Commands(), {}
    for rows, count in ((10**4, 200), (10**5, 50), (10**6, 10), *([] if quick else [(10**7, 3)])):
        (commands[f"{rows} rows"],) = clocked(["fit"], 2, count, *data(rows)).values()
        per[f"{rows} rows"] = rows * count
    yield Work("cost of a row", commands, [(more, fewer) for fewer, more in pairwise(commands)], per)

    count, pairs = 100 if quick else 1000, [("study", "raw"), ("stock", "study"), ("sklearn", "study")]
    for size, more in {"all rows": [], "256": batches}.items():
        commands = clocked(("study", "raw", "stock", "sklearn"), 20, count, *more, interval=20)
        # Of both losses; where activations are chosen from, no others are trained to compare with.
        commands["study"] += ["--splits", 1, "--seeds", 50, "--model.lr", 0.8, "--choose", "model.activation"]
        yield Work(f"a network of 100, batches of {size}", commands, pairs, {"study": 100})

    rows = 10**5 if quick else 6 * 10**6
    commands = clocked(("fit", "raw"), 1, 1, *data(rows))
    (commands["base"],) = clocked(["fit"], 1, 1, *data(600)).values()
    yield Work("peak memory", commands, [("fit", "data"), ("raw", "data")], size=rows / 0.6 * 2 * 4)

    rows = 10**6 if quick else 9_600_000
    size, commands = round(rows / 0.6 * 16 * 4), clocked(["fit"], 2, 3, *data(rows, 16))
    commands["limited"] = [*commands["fit"], "--trainer.callbacks.limit", size // 4]
    yield Work(f"{size / 1e6:.0f} MB of data in a quarter of that", commands, [("limited", "fit")])


def run(command: list[object], scratch: Path) -> tuple[float, int] | str:
    """Run a command to its end, and return its or its clock's seconds and its peak of bytes, or its last words."""
    environment = os.environ | {"MPLBACKEND": "Agg", "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parents[1]}"}
    with tempfile.TemporaryDirectory(dir=scratch) as folder, tempfile.TemporaryFile("w+") as output:
        start, words = time.perf_counter(), [sys.executable, "-m", *map(str, command)]
        process = subprocess.Popen(words, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)  # unlike Popen.wait, it tells the memory
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().strip()
        if process.returncode:
            return f"status {process.returncode}: {text.rpartition(chr(10))[2]}"
        clock = re.findall(r"clock: (\S+)", text) or [seconds]
        return float(clock[0]), usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(work: Work, scratch: Path, repeats: int) -> Iterator[list[str]]:
    """Run the commands in turns, and yield the cells of a row for each pair; one that fails is not run again."""
    found: dict[str, list[float]] = {name: [] for name in work.commands}
    texts = {name: "not installed" for name in PEERS if importlib.util.find_spec(name) is None}
    for _ in range(repeats):
        for name in [name for name in work.commands if name not in texts]:
            result = run(work.commands[name], scratch)
            print(f"  {work.name}: {name}: {result}", file=sys.stderr)
            if isinstance(result, str):
                texts[name] = result
            else:
                seconds, peak = result
                found[name].append(peak if work.size else seconds / work.per.get(name, 1))
    values = {name: statistics.median(measured) for name, measured in found.items() if measured}
    if work.size:
        values = {name: peak - values.get("base", 0) for name, peak in values.items()} | {"data": work.size}
    texts |= {name: f"{value:.4g}" for name, value in values.items()}
    for over, under in work.pairs:
        ratio = f"{values[over] / values[under]:.3g}" if over in values and under in values else ""
        yield [work.name, f"{over} / {under}", ratio, f"{over} {texts[over]}, {under} {texts[under]}"]


if __name__ == "__main__":
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m tests.benchmarks", description=__doc__, formatter_class=raw)
    parser.add_argument("--only", default="", help="lines of the table whose work has this in its name")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each, of which the median counts")
    parser.add_argument("--quick", action="store_true", help="one run and fewer iterations, to see that all works")
    options = parser.parse_args()
    repeats = 1 if options.quick else options.repeats
    table = [["work", "compared", "ratio", "medians"], ["-"] * 4]
    with tempfile.TemporaryDirectory() as folder:
        for work in works(Path(folder), options.quick):
            if options.only in work.name:
                table += measure(work, Path(folder), repeats)
    print(f"{os.cpu_count()} CPUs, median of {repeats}")
    for cells in table:
        print(f"| {' | '.join(cells)} |")
