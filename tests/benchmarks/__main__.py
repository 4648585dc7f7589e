"""``python -m tests.benchmarks``: measures the project beside its yardsticks, side by side, and prints a table.

fit, study  the project's own commands, with a callback that is the clock where iterations alone count
raw         raw.py, plain PyTorch as a student would write it
stock       stock.py, the usual Lightning tutorial
sklearn, skorch, keras  peers.py, where they are installed: pip install 'project[bench]'

Every figure is a ratio of medians. Every measurement is a fresh process in an empty working directory, the yardsticks
taking turns, so that a change in the machine's load meets them all. Scratch files go where $TMPDIR says.
"""

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.benchmarks.options import SECONDS

HERE = Path(__file__).parent
PEERS = ("sklearn", "skorch", "keras")
ROW_BYTES = 4  # of each feature


Measured = tuple[float, float]  # seconds of a process, or of its clock if it has one, and bytes of resident memory


class Work(NamedTuple):
    """Lines of the table: commands that take turns, and which of them are compared.

    Args:
        name: What is done.
        commands: By name.
        pairs: Their figure is the seconds of the first over those of the second.
        per: What the seconds of a command are divided by, where it does more than others.
        size: Bytes of the "data": instead of seconds, the peak above that of "base" is compared with them.
    """

    name: str
    commands: dict[str, list[object]]
    pairs: list[tuple[str, str]]
    per: dict[str, float] = {}  # noqa: RUF012
    size: float = 0


def write_data(scratch: Path, rows: int, features: int = 2) -> Path:
    """Write two overlapping clouds, float32, so many of whose rows are in the training subset; once."""
    root, each, rng = scratch / f"{rows}x{features}", round(rows / 1.2), np.random.default_rng(0)
    if not root.exists():
        root.mkdir()
        for label in (0, 1):
            clouds = rng.standard_normal((each, features), np.float32)
            clouds[:, :2] += 2 * label - 1
            np.save(root / f"class_{label}.npy", clouds)
    return root


def clocked(names: Iterable[str], first: int, count: int, **options: object) -> dict[str, list[object]]:
    """Return commands with options, of which each has a clock for a count of iterations after the first ones.

    Unless they are told to validate at intervals, they do so in the end.
    """
    last, commands = first + count, dict[str, list[object]]()
    options = {"data_root": None, "data_batch_size": None, "trainer_val_check_interval": last, **options}
    given = [part for name, value in options.items() if value for part in (f"--{name.replace('_', '.', 1)}", value)]
    for name in names:
        if name in ("fit", "study"):
            start = [sys.executable, "-m", "project", name, "--allow-import", "stopwatch"]
            clock = ["--trainer.callbacks+=stopwatch.Stopwatch", "--trainer.callbacks.first", first]
            clock += ["--trainer.callbacks.last", last]
        else:
            start, clock = [sys.executable, HERE / f"{name}.py"], ["--first", first]
            if name in PEERS:
                start[1:] = [HERE / "peers.py", "--library", name]
        commands[name] = [*start, "--trainer.max_steps", last, *given, *clock]
    return commands


def works(scratch: Path, quick: bool) -> Iterator[Work]:
    """Yield what is measured, in the order of the README's table; quick does less of everything."""
    whole = {"fit": [sys.executable, "-m", "project", "fit"]}
    whole |= {name: [sys.executable, HERE / f"{name}.py"] for name in ("raw", "stock")}
    yield Work("a whole fit", whole, [("fit", "raw"), ("fit", "stock")])

    count, pairs = 200 if quick else 1000, [("fit", name) for name in ("raw", *PEERS)]
    commands = clocked(("fit", "raw", *PEERS), 20, count, trainer_val_check_interval=20)
    yield Work(f"{count} iterations", commands, pairs)
    options = {"data_root": write_data(scratch, 100_000), "data_batch_size": 256, "trainer_val_check_interval": 20}
    yield Work("10^5 rows in batches of 256", clocked(("fit", *PEERS), 391, 782, **options), pairs[1:])

    for features in (2, 16):
        commands = clocked(("fit", "raw"), 5, 5 if quick else 20, data_root=write_data(scratch, 10**6, features))
        yield Work(f"an iteration of 10^6 rows, j = {features}", commands, [("raw", "fit")])
    counts, commands = {10**4: 200, 10**5: 50, 10**6: 10} | ({} if quick else {10**7: 3}), {}
    for rows, count in counts.items():
        (commands[f"{rows} rows"],) = clocked(["fit"], 2, count, data_root=write_data(scratch, rows)).values()
    per = {f"{rows} rows": rows * count for rows, count in counts.items()}
    yield Work("cost of a row", commands, list(zip(list(commands)[1:], commands, strict=False)), per)

    count, pairs = 100 if quick else 1000, [("study", "raw"), ("stock", "study"), ("sklearn", "study")]
    for size in (None, 256):
        options = {"data_batch_size": size, "trainer_val_check_interval": 20}
        commands = clocked(("study", "raw", "stock", "sklearn"), 20, count, **options)
        commands["study"] += ["--splits", 1, "--seeds", 50, "--model.lr", 0.8]  # of both losses
        yield Work(f"a network of 100, batches of {size or 'all rows'}", commands, pairs, {"study": 100})

    rows = 10**5 if quick else 6 * 10**6
    commands = clocked(("fit", "raw"), 1, 1, data_root=write_data(scratch, rows))
    (commands["base"],) = clocked(["fit"], 1, 1, data_root=write_data(scratch, 600)).values()
    yield Work("peak memory", commands, [("fit", "data"), ("raw", "data")], size=rows / 0.6 * 2 * ROW_BYTES)

    rows = 10**6 if quick else 9_600_000
    size, commands = round(rows / 0.6 * 16 * ROW_BYTES), clocked(["fit"], 2, 3, data_root=write_data(scratch, rows, 16))
    commands["limited"] = [*commands["fit"], "--trainer.callbacks.limit", size // 4]
    yield Work(f"{size / 1e6:.0f} MB of data in a quarter of that", commands, [("limited", "fit")])


def run(command: list[object], scratch: Path) -> Measured | str:
    """Run a command to its end, and return what it took, or what it said last if it failed."""
    environment = os.environ | {"MPLBACKEND": "Agg", "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parents[1]}"}
    with tempfile.TemporaryDirectory(dir=scratch) as folder, tempfile.TemporaryFile("w+") as output:
        start, streams = time.perf_counter(), {"stdout": output, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(list(map(str, command)), cwd=folder, env=environment, **streams)
        _, status, usage = os.wait4(process.pid, 0)  # unlike Popen.wait, it tells the memory
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        if process.returncode:
            return f"status {process.returncode}: {output.read().strip().rpartition(chr(10))[2]}"
        clock = Path(folder) / SECONDS
        peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return (float(clock.read_text()) if clock.exists() else seconds), peak


def measure(work: Work, scratch: Path, repeats: int) -> Iterator[list[str]]:
    """Run the commands in turns, and yield the cells of a row for each pair; one that fails is not run again."""
    found: dict[str, list[Measured]] = {name: [] for name in work.commands}
    failures = {name: "not installed" for name in PEERS if importlib.util.find_spec(name) is None}
    for _ in range(repeats):
        for name in [name for name in work.commands if name not in failures]:
            result = run(work.commands[name], scratch)
            print(f"  {work.name}: {name}: {result}", file=sys.stderr)
            if isinstance(result, str):
                failures[name] = result
            else:
                found[name].append(result)
    values = {
        name: statistics.median(peak if work.size else seconds for seconds, peak in measured) / work.per.get(name, 1)
        for name, measured in found.items()
        if measured
    }
    if work.size:
        values = {name: peak - values.get("base", 0) for name, peak in values.items()} | {"data": work.size}
    for over, under in work.pairs:
        known = over in values and under in values
        cells = [
            f"{name} {values[name]:.4g}" if name in values else f"{name}: {failures[name]}" for name in (over, under)
        ]
        yield [work.name, f"{over} / {under}", f"{values[over] / values[under]:.3g}" if known else "", ", ".join(cells)]


def main() -> None:
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


if __name__ == "__main__":
    main()
