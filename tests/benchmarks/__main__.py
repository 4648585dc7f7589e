"""``python -m tests.benchmarks``: measures the project beside its yardsticks, side by side, and prints a table.

project  the command itself for whole processes (lines 1, 5, 8 and 10), ours.py for the iterations alone
many     many.py, the networks of a study, whose seconds are those of one of them
raw      raw.py, plain PyTorch as a student would write it
stock    stock.py, the usual Lightning tutorial
sklearn  sklearn_mlp.py, MLPClassifier; pip install 'project[bench]', or name another interpreter that has the peers
         with --peers-python: scipy, where it is found, slows the import of Lightning, and so the project and stock
skorch   skorch_net.py, NeuralNetBinaryClassifier
keras    keras_net.py, Sequential on torch

Every figure is a ratio of medians. Every measurement is a fresh process in an empty working directory, the yardsticks
taking turns, so that a change in the machine's load meets them all. Scratch files go where $TMPDIR says.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

HERE = Path(__file__).parent
FIT = [sys.executable, "-m", "project", "fit"]
PEERS = {"sklearn": "sklearn_mlp", "skorch": "skorch_net", "keras": "keras_net"}  # modules, and scripts of this folder
MISSING = "not installed; pip install 'project[bench]'"
CHUNK_ROWS = 1_000_000
FLOAT_BYTES = 4
NEVER = ("--validate-every", 0)


class Job(NamedTuple):
    """A process to measure: its last line is the seconds it took, unless the whole process counts."""

    command: list[str]
    whole: bool = False
    status: int = 0


@dataclass
class Measured:
    """What the runs of a job gave."""

    seconds: list[float] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)  # bytes of resident memory
    failure: str = ""

    @property
    def time(self) -> float:
        return statistics.median(self.seconds)

    @property
    def peak(self) -> float:
        return statistics.median(self.peaks)


class Row(NamedTuple):
    line: int
    work: str
    figure: str
    target: str
    reached: str
    medians: str


class Bench:
    """Runs jobs side by side, and makes the data they need.

    Args:
        scratch: an empty folder.
        options: as on the command line.
    """

    def __init__(self, scratch: Path, options: argparse.Namespace) -> None:
        self.scratch, self.options = scratch, options
        self.environment = os.environ | {"MPLBACKEND": "Agg"}
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS") if options.threads else ():
            self.environment[name] = str(options.threads)

    def data(self, rows: int, features: int) -> Path:
        """Write two overlapping clouds, float32, of ``rows`` rows in total; once."""
        root = self.scratch / f"{rows}x{features}"
        if not root.exists():
            root.mkdir()
            rng = np.random.default_rng(0)
            for label in (0, 1):
                shape = rows // 2, features
                array = np.lib.format.open_memmap(root / f"class_{label}.npy", "w+", np.float32, shape)
                for start in range(0, shape[0], CHUNK_ROWS):
                    part = array[start : start + CHUNK_ROWS]
                    part[:] = rng.standard_normal(part.shape, np.float32)
                    part[:, :2] += 2 * label - 1
        return root

    def training_data(self, rows: int, features: int) -> Path:
        """Write data whose training subset, 60%, has that many rows, give or take two."""
        return self.data(2 * round(rows / 1.2), features)

    def job(self, name: str, *options: object) -> Job:
        """Return the job that runs a script of this folder."""
        python = self.options.peers_python if name in PEERS.values() else sys.executable
        extra = ["--loop"] if name in ("raw", "stock") else []
        return Job([python, str(HERE / f"{name}.py"), *extra, *map(str, options)])

    def measure(self, **jobs: Job) -> dict[str, Measured]:
        """Run each job in turn, again and again; one that has failed is not run again."""
        results = {name: Measured() for name in jobs}
        for name in PEERS.keys() & jobs.keys():
            found = f"import importlib.util as i; exit(i.find_spec({name!r}) is None)"
            if subprocess.run([self.options.peers_python, "-c", found], check=False).returncode:
                results[name].failure = MISSING
        for i in range(self.options.repeats):
            for name, job in jobs.items():
                result = results[name]
                if not result.failure:
                    self.run(job, result)
                    latest = result.failure or f"{result.seconds[-1]:.4g} s, peak {result.peaks[-1] / 1e6:.0f} MB"
                    print(f"  {name}, run {i + 1}: {latest}", file=sys.stderr)
        return results

    def run(self, job: Job, result: Measured) -> None:
        """Run a job once and add what it gave."""
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder, tempfile.TemporaryFile("w+") as output:
            start, streams = time.perf_counter(), {"stdout": output, "stderr": subprocess.STDOUT}
            process = subprocess.Popen(job.command, cwd=folder, env=self.environment, **streams)
            timer = threading.Timer(self.options.timeout, os.kill, (process.pid, 9))
            timer.start()
            _, status, usage = os.wait4(process.pid, 0)  # unlike Popen.wait, it tells the memory
            seconds = time.perf_counter() - start
            timer.cancel()
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            lines = output.read().splitlines() or [""]
        if process.returncode != job.status:
            ended = f"status {process.returncode}: {lines[-1]}"
            result.failure = f"timed out after {seconds:.0f} s" if seconds >= self.options.timeout else ended
            return
        result.seconds.append(seconds if job.whole else float(lines[-1]))
        result.peaks.append(usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def row(line: int, work: str, figure: float, target: str, medians: str) -> Row:
    """Compare a figure with a target such as ``<= 1.5``, if there is one."""
    if not target:
        return Row(line, work, f"{figure:.3g}", "", "", medians)
    sign, limit = target.split()
    reached = figure <= float(limit) if sign == "<=" else figure >= float(limit)
    return Row(line, work, f"{figure:.3g}", target, "yes" if reached else "no", medians)


def ratio(line: int, work: str, results: dict[str, Measured], over: str, under: str, target: str) -> Row:
    """Compare the medians of two jobs."""
    work = f"{work}: {over} / {under}"
    for name in (over, under):
        if failure := results[name].failure:
            return Row(line, work, "", target, "not measured" if failure == MISSING else "no", f"{name}: {failure}")
    medians = ", ".join(f"{name} {results[name].time:.4g} s" for name in (over, under))
    return row(line, work, results[over].time / results[under].time, target, medians)


def whole_process(bench: Bench) -> Iterator[Row]:
    """Line 1: from the command to its end, on the sample, everything on."""
    scripts = {name: Job([sys.executable, str(HERE / f"{name}.py")], whole=True) for name in ("raw", "stock")}
    results = bench.measure(project=Job(FIT, whole=True), **scripts)
    yield ratio(1, "whole process", results, "project", "raw", "<= 1.5")
    yield ratio(1, "whole process", results, "stock", "project", ">= 1")


def loop(bench: Bench) -> Iterator[Row]:
    """Line 2: 1000 full-batch iterations on the sample, in a process that has imported and read all it needs."""
    ours = {"project": bench.job("ours"), "figures": bench.job("ours", "--figures")}
    results = bench.measure(**ours, raw=bench.job("raw"), stock=bench.job("stock"))
    yield ratio(2, "1000 iterations", results, "project", "raw", "<= 3.0")
    yield ratio(2, "1000 iterations, aim", results, "project", "raw", "<= 1.5")
    yield ratio(2, "1000 iterations", results, "stock", "project", ">= 6")
    yield ratio(2, "the same and figures", results, "figures", "raw", "<= 3.0")
    yield ratio(2, "the same and figures", results, "stock", "figures", ">= 6")


def full_batch(bench: Bench) -> Iterator[Row]:
    """Line 3: iterations 6 to 25 of 1,000,000 training rows, without validation."""
    for features in (2, 16):
        window = ["--root", bench.training_data(1_000_000, features)]
        window += ["--warmup", 2, "--iterations", 5] if bench.options.quick else ["--warmup", 5, "--iterations", 20]
        results = bench.measure(
            project=bench.job("ours", *window, *NEVER),
            raw=bench.job("raw", *window, *NEVER),
            sklearn=bench.job("sklearn_mlp", *window),
        )
        for result in results.values():
            result.seconds = [seconds / window[-1] for seconds in result.seconds]
        yield ratio(3, f"iteration of 10^6 rows, j = {features}", results, "raw", "project", ">= 1.7")
        yield ratio(3, f"iteration of 10^6 rows, j = {features}, aim", results, "raw", "project", ">= 2.5")
        yield ratio(3, f"iteration of 10^6 rows, j = {features}", results, "sklearn", "project", ">= 3")


def mini_batches(bench: Bench) -> Iterator[Row]:
    """Line 4: one epoch of 1,000,000 rows in batches of 256, one reshuffling included; stock only some iterations."""
    rows = 1_000_000
    epoch = -(-rows // 256)
    iterations = {"project": epoch, "raw": epoch, "stock": 1000, "sklearn": epoch}
    if bench.options.quick:
        iterations |= dict.fromkeys(("project", "raw", "stock"), 300)
    common = ["--root", bench.training_data(rows, 2), "--batch-size", 256, "--warmup", 100, *NEVER, "--iterations"]
    scripts = {"project": "ours", "sklearn": "sklearn_mlp"}
    jobs = {name: bench.job(scripts.get(name, name), *common, count) for name, count in iterations.items()}
    results = bench.measure(**jobs)
    for name, result in results.items():  # the seconds of 1000 rows
        result.seconds = [seconds / iterations[name] * epoch / rows * 1000 for seconds in result.seconds]
    for other, target, aim in ("raw", ">= 0.7", ""), ("stock", ">= 5", ""), ("sklearn", ">= 1", ", aim"):
        compared = ratio(4, f"rows a second, batches of 256{aim}", results, other, "project", target)
        both = [name for name in ("project", other) if results[name].seconds]
        rates = ", ".join(f"{name} {1000 / results[name].time:,.0f} rows/s" for name in both)
        work = f"rows a second, batches of 256{aim}: project / {other}"
        yield compared._replace(work=work, medians=rates if len(both) == 2 else compared.medians)


def memory(bench: Bench) -> Iterator[Row]:
    """Line 5: the peak of a whole fit, figures included, above that of the same fit of 1000 rows."""
    rows, features = 10_000_000, 2
    fit = [*FIT, "--trainer.max_steps", "2", "--trainer.val_check_interval", "2", "--data.root"]
    window = "--root", bench.data(rows, features), "--iterations", 2, "--validate-every", 2
    results = bench.measure(
        small=Job([*fit, str(bench.data(1000, features))], whole=True),
        project=Job([*fit, str(bench.data(rows, features))], whole=True),
        **{name: bench.job(name, *window) for name in ("ours", "raw")},
    )
    size, small = rows * features * FLOAT_BYTES, results["small"]
    for name, work in ("project", "fit of 10^7 rows"), ("ours", "the same without figures"), ("raw", "raw's loop"):
        work = f"peak memory / data: {work}"  # noqa: PLW2901
        if failure := small.failure or results[name].failure:
            yield Row(5, work, "", "<= 1.5", "no", failure)
            continue
        above = results[name].peak - small.peak
        medians = f"{above / 1e6:.0f} MB above {small.peak / 1e6:.0f} MB, data {size / 1e6:.0f} MB"
        yield row(5, work, above / size, "<= 1.5", medians)


def out_of_core(bench: Bench) -> Iterator[Row]:
    """Line 6: training over a scratch file, with a quarter of the data's size as memory."""
    rows, features = 16_000_000, 16
    allowed = rows * features * FLOAT_BYTES // 4
    options = ["--root", bench.data(rows, features), "--warmup", 2, "--iterations", 3 if bench.options.quick else 10]
    options += NEVER
    results = bench.measure(
        limited=bench.job("ours", "--limit", allowed, *options),
        unlimited=bench.job("ours", *options),
        figures=bench.job("ours", "--limit", allowed, *options, "--figures"),
    )
    size = f"{4 * allowed / 1e6:.0f} MB in {allowed / 1e6:.0f} MB"
    for name, work in ("limited", "trains"), ("figures", "trains and draws"):
        failure = results[name].failure
        yield Row(6, f"{size}: {work}", "", "yes", "no" if failure else "yes", failure)
    yield ratio(6, f"{size}: iterations", results, "limited", "unlimited", "<= 1.5")


def linearity(bench: Bench) -> Iterator[Row]:
    """Line 7: the most that a row costs more in an iteration of more rows."""
    iterations = {10**4: 200, 10**5: 50, 10**6: 10, 10**7: 3}
    window = "--warmup", 2, *NEVER, "--iterations"
    jobs = {str(n): bench.job("ours", "--root", bench.training_data(n, 2), *window, iterations[n]) for n in iterations}
    work, target, results = "cost of a row, 10^4 to 10^7 rows: largest growth", "<= 1.2", bench.measure(**jobs)
    if failures := [f"{name} rows: {result.failure}" for name, result in results.items() if result.failure]:
        yield Row(7, work, "", target, "no", failures[0])
        return
    costs = {int(name): result.time / iterations[int(name)] / int(name) for name, result in results.items()}
    values = list(costs.values())
    growth = max(cost / min(values[:i]) for i, cost in enumerate(values) if i)
    yield row(7, work, growth, target, ", ".join(f"{n:.0e} rows {cost * 1e9:.3g} ns" for n, cost in costs.items()))


def start_up(bench: Bench) -> Iterator[Row]:
    """Line 8: help, and the error of a bad option."""
    results = bench.measure(
        help=Job([sys.executable, "-m", "project", "--help"], whole=True),
        error=Job([*FIT, "--model.lr", "fast"], whole=True, status=2),
        imports=Job([sys.executable, "-c", "import lightning.pytorch.cli"], whole=True),
    )
    seconds = results["help"]
    if seconds.failure:
        yield Row(8, "project --help, seconds", "", "<= 0.5", "no", seconds.failure)
    else:
        yield row(8, "project --help, seconds", seconds.time, "<= 0.5", f"help {seconds.time:.4g} s")
    yield ratio(8, "bad option", results, "error", "imports", "<= 1.0")


def parts(bench: Bench) -> Iterator[Row]:
    """Line 9: what the parts of line 2 add to each other, a thousandth of the seconds of 1000 iterations."""
    jobs = {
        "the computation, by hand": bench.job("raw", *NEVER),
        "Lightning's loop": bench.job("ours", "--bare", *NEVER),
        "history, TensorBoard, signals, divergence": bench.job("ours", *NEVER),
        "50 validations, each with its checkpoint": bench.job("ours"),
        "figures": bench.job("ours", "--figures"),
    }
    before = 0.0
    for part, result in bench.measure(**jobs).items():
        if result.failure:
            yield Row(9, part, "", "", "no", result.failure)
            return
        yield Row(9, f"ms an iteration: {part}", f"{result.time - before:.2f}", "", "", f"{result.time:.3f} s in all")
        before = result.time


def study(bench: Bench) -> Iterator[Row]:
    """Line 10: what a network of a study costs beside one that is trained alone, and the default study as a whole."""
    for work, options, of_raw, of_sklearn in (
        ("of 100, full batch", [], "<= 0.35", ">= 3"),
        ("of 100, batches of 256", ["--batch-size", 256], "<= 0.15", ">= 1.5"),
    ):
        window = ["--warmup", 20, "--iterations", 100 if bench.options.quick else 1000, *options]
        scripts = {"many": bench.job("many", *window, "--networks", 100), "sklearn": bench.job("sklearn_mlp", *window)}
        results = bench.measure(**scripts, raw=bench.job("raw", *window), stock=bench.job("stock", *window))
        yield ratio(10, f"a network {work}", results, "many", "raw", of_raw)
        yield ratio(10, f"a network {work}", results, "sklearn", "many", of_sklearn)
        yield ratio(10, f"a network {work}", results, "stock", "many", ">= 20")
    window = ["--warmup", 5, "--iterations", 20, "--networks"]
    counts = (1, 10, 100, 1000)
    results = bench.measure(**{f"{count} networks": bench.job("many", *window, count) for count in counts})
    if failures := [f"{name}: {result.failure}" for name, result in results.items() if result.failure]:
        yield Row(10, "cost of a network, 10 to 1000 at once: largest growth", "", "<= 1.2", "no", failures[0])
    else:
        costs = [result.time for result in results.values()]
        medians = ", ".join(f"{name} {result.time * 50:.3g} ms" for name, result in results.items())
        growth = max(costs[2] / costs[1], costs[3] / min(costs[1:3]))
        yield row(10, "cost of a network, 10 to 1000 at once: largest growth", growth, "<= 1.2", medians)
    results = bench.measure(study=Job([sys.executable, "-m", "project", "study"], whole=True))
    if failure := results["study"].failure:
        yield Row(10, "the default study, seconds", "", "<= 60", "no", failure)
    else:
        yield row(10, "the default study, seconds", results["study"].time, "<= 60", "280 networks, all figures")


def peers(bench: Bench) -> Iterator[Row]:
    """Line 11: other libraries' iterations, none of which validates, beside ours, which validate every 20th time."""
    for work, iterations, options in (
        ("1000 iterations on the sample", 1000, ["--warmup", 20]),
        ("10^5 rows in batches of 256", 782, ["--warmup", 20, "--batch-size", 256]),
    ):
        window = ["--iterations", iterations // 2 if bench.options.quick else iterations, *options]
        window += ["--root", bench.training_data(100_000, 2)] if "--batch-size" in options else []
        jobs = {name: bench.job(script, *window) for name, script in PEERS.items()}
        results = bench.measure(project=bench.job("ours", *window), **jobs)
        for name in PEERS:
            yield ratio(11, work, results, name, "project", "")


FUNCTIONS = [
    whole_process,
    loop,
    full_batch,
    mini_batches,
    memory,
    out_of_core,
    linearity,
    start_up,
    parts,
    study,
    peers,
]
LINES = dict(enumerate(FUNCTIONS, start=1))


def show(rows: list[Row]) -> None:
    """Print a table that Markdown understands."""
    table = [Row._fields, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(cells[i]) for cells in table) for i in range(len(Row._fields))]
    table.insert(1, ["-" * width for width in widths])
    for cells in table:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", default=",".join(map(str, LINES)), help="which lines of the table, such as 1,2")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each, of which the median counts")
    parser.add_argument("--quick", action="store_true", help="one run and fewer iterations, to see that all works")
    parser.add_argument(
        "--peers-python", default=sys.executable, metavar="PATH", help="runs the other libraries' parts"
    )
    parser.add_argument("--threads", type=int, help="of every process; as many as each likes unless given")
    parser.add_argument("--timeout", type=float, default=600, help="seconds that a process may take")
    options = parser.parse_args()
    options.repeats = 1 if options.quick else options.repeats
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        for line in map(int, options.lines.split(",")):
            print(f"line {line}", file=sys.stderr)
            rows += LINES[line](Bench(Path(scratch), options))
    print(f"{os.cpu_count()} CPUs, threads {options.threads or 'not limited'}, median of {options.repeats}")
    show(rows)


if __name__ == "__main__":
    main()
