"""``python -m tests.gpu``: what is to be known of one card, in at most eight minutes, as gpu.json and a table, gpu.md.

Each check tells numbers, and fails if what it asserts is not so; the others go on. ``--device cpu`` runs all of them
small, in seconds, so that nothing is found broken when there is a card.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from lightning.pytorch import Callback, Trainer
from torch.profiler import ProfilerActivity, profile

from project import BCELoss, BinaryClassifier, NNet, NpyDataModule, Run
from project.__main__ import main as project_main
from project.callbacks import CALLBACKS
from project.callbacks.figures import Figures
from project.commands.failures import quiet
from project.commands.trainer import make_trainer
from tests.benchmarks.__main__ import write_data
from tests.benchmarks.raw import batches

LIMIT = 480  # seconds in all
CLOSE = 1e-4  # how far history and answers of a card may be from a processor's
TRACED = 20  # iterations
WAITS = ("aten::_local_scalar_dense", "cudaStreamSynchronize", "cudaEventSynchronize", "cudaDeviceSynchronize")
STUDY = ["--splits", "1", "--seeds", "1", "--model.lr", "[0.5, 1]"]
Numbers = dict[str, Any]


class Window(Callback):
    """Times, and perhaps traces, so many iterations after the first three, with all that the device does of them."""

    def __init__(self, count: int, trace: profile | None = None) -> None:
        self.count, self.trace = count, trace or nullcontext()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == 3:
            wait()
            self.begin = time.perf_counter()
            self.trace.__enter__()
        if trainer.global_step == 3 + self.count:
            self.trace.__exit__(None, None, None)
            wait()
            self.seconds = time.perf_counter() - self.begin


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def command(*arguments: object, callbacks: Sequence[Callback] = ()) -> float:
    """Run a command without the pictures of a network, and with more callbacks; return the seconds that it took."""
    kinds = [kind for kind in CALLBACKS if kind is not Figures] + [lambda each=each: each for each in callbacks]
    begin = time.perf_counter()
    with patch("project.commands.network.CALLBACKS", kinds), patch("project.reports.results.TEST_FIGURES", {}):
        assert (status := project_main(list(map(str, arguments)))) == 0, f"{arguments[0]}: exit status {status}"
    return time.perf_counter() - begin


class Checks:
    """The checks, in the order in which they run; what one made is there for the next ones."""

    def __init__(self, device: str) -> None:
        self.device, self.is_small = torch.device(device), device == "cpu"
        self.steps, self.pieces = (40, 2) if self.is_small else (1000, 5)
        self.accelerator = "cpu" if self.is_small else "gpu"
        steps = ["--trainer.max_steps", self.steps, "--trainer.accelerator", self.accelerator]
        self.fit = ["fit", *steps, "--name"]

    def commands(self) -> Numbers:
        """Fit on the card and on the processor: history, test answers, and predictions."""
        found = {"fit on the card, s": command(*self.fit, "card")}
        found["fit on the processor, s"] = command(*self.fit, "processor", "--trainer.accelerator", "cpu")
        found["test, s"] = command("test", "card")
        command("test", "processor")
        rows = Run("card").data().classes.files[0]
        found["predict, s"] = command("predict", "card", "--data.predict", rows)
        card, processor = (Run(name).tested().probabilities for name in ("card", "processor"))
        found["test answers differ by"] = float(np.abs(card - processor).max())
        assert found["test answers differ by"] <= CLOSE, found
        return found | compare("card", "processor")

    def resume(self) -> Numbers:
        """Go on from the middle: the weights are those of the run that was not interrupted, bit for bit."""
        command(*self.fit, "parts", "--trainer.max_steps", self.steps // 2)
        command("fit", "--ckpt_path", "last", "--name", "parts", "--trainer.max_steps", self.steps)
        weights, whole = (Run(name).checkpoint()["state_dict"] for name in ("parts", "card"))
        assert all(torch.equal(weights[name], whole[name]) for name in whole), "other weights"
        assert Run("parts").table.path.read_bytes() == Run("card").table.path.read_bytes(), "another history"
        return {"weights and history": "the same bits"}

    def nccl(self) -> Numbers:
        """Fit under DDP, by NCCL on a card, in one process."""
        command(*self.fit, "ddp", "--trainer.strategy", "ddp")
        return compare("ddp", "card")

    def waits(self) -> Numbers:
        """Trace iterations between two validations: none waits for the card; on a processor, each looks at its loss."""
        activities = [ProfilerActivity.CPU, *([] if self.is_small else [ProfilerActivity.CUDA])]
        window, last = Window(TRACED, profile(activities=activities)), TRACED + 10
        steps = ["--trainer.max_steps", last, "--trainer.val_check_interval", last]
        command(*self.fit, "traced", *steps, callbacks=[window])
        counts = {event.key: event.count for event in window.trace.key_averages() if event.key in WAITS}
        is_waiting = sum(counts.values()) >= TRACED
        assert is_waiting == self.is_small, f"{TRACED} iterations: {counts}"
        return {"waits in 20 iterations": sum(counts.values()), **counts}

    def study(self) -> Numbers:
        """Train the 280 networks of the default study."""
        more = ["--trainer.max_steps", self.steps, *STUDY] if self.is_small else []
        return {"study, s": command("study", "--trainer.accelerator", self.accelerator, "--name", "networks", *more)}

    def rows(self, rows: int) -> Numbers:
        """Time an iteration on all rows, in pieces of five sizes, and on 65,536, beside a loop by hand."""
        rows //= 5000 if self.is_small else 1
        write_data(Path(), rows)
        data, found = NpyDataModule(f"{rows}x2"), Numbers()
        data.setup("fit")
        for size, pieces in (None, self.pieces), (min(65_536, rows // 2), 1):
            count = 2 if self.is_small else 20 if size is None else 200
            times = {rows // 4**i: self.time(data, size, rows // 4**i, count) for i in range(pieces)}
            best, name = min(times, key=lambda piece: times[piece]), f"{rows} rows, batches of {size or 'all'}"
            raw = self.time_by_hand(data, size, count)
            found |= {f"{name}, best piece_rows": best, f"{name}, times a loop by hand": times[best] / raw}
            found |= {f"{name}, in pieces of {piece}, ms": 1e3 * seconds for piece, seconds in times.items()}
        return found

    def time(self, data: NpyDataModule, size: int | None, piece: int, count: int) -> float:
        """Return the seconds of an iteration of ours."""
        data.batch_size, data.piece_rows = size, piece
        window, last = Window(count), count + 4
        options = {"max_steps": last, "val_check_interval": last, "accelerator": self.accelerator}
        make_trainer(**options, logger=False, callbacks=[window]).fit(BinaryClassifier(2), datamodule=data)
        return window.seconds / count

    def time_by_hand(self, data: NpyDataModule, size: int | None, count: int) -> float:
        net, criterion = NNet().to(self.device), BCELoss()
        optimizer, train = torch.optim.SGD(net.parameters(), 0.8), [part.to(self.device) for part in data.train]
        for i, (features, labels) in enumerate(islice(batches(*train, size), count + 3)):
            if i == 3:
                wait()
                begin = time.perf_counter()
            optimizer.zero_grad()
            criterion(labels, net(features)).backward()
            optimizer.step()
        wait()
        return (time.perf_counter() - begin) / count


def compare(name: str, other: str) -> Numbers:
    """Return by how much losses, which must be close, and accuracies of two runs differ at most."""
    history, there = (Run(each).history() for each in (name, other))
    apart = {column: float(np.nanmax(np.abs(history[column] - there[column]))) for column in there}
    shares = max(apart.pop(column) for column in list(apart) if column.endswith("accuracy"))
    assert max(apart.values()) <= CLOSE, f"histories of {name} and {other} differ by {apart}"
    words = f"{name} and {other} differ by"
    return {f"losses of {words}": max(apart.values()), f"accuracies of {words}": shares}


def end(*_: object) -> None:
    raise TimeoutError(f"not done after {LIMIT} s in all")


def check_all(device: str) -> Numbers:
    """Run each check in the working directory, and return what it found or how it failed, by its name."""
    checks, found = Checks(device), Numbers()
    every = {"commands": checks.commands, "resume": checks.resume, "waits": checks.waits, "study": checks.study}
    every |= {f"rows_1e{power}": partial(checks.rows, 10**power) for power in (6, 7)} | {"nccl": checks.nccl}
    signal.signal(signal.SIGALRM, end)
    last = time.monotonic() + LIMIT
    for name, check in every.items():
        start = time.monotonic()
        signal.alarm(max(1, int(last - start)))
        try:
            result = check()
        except Exception as error:  # Whatever it is, the others are still worth their time.
            result = {"failed": f"{type(error).__name__}: {error}"}
        found[name] = {**result, "seconds": time.monotonic() - start}
    signal.alarm(0)
    return found


def table(found: Numbers) -> str:
    lines = ["| check | number | value |", "| - | - | - |"]
    for check, numbers in found.items():
        texts = {name: f"{value:.3g}" if isinstance(value, float) else value for name, value in numbers.items()}
        lines += [f"| {check} | {name} | {text} |" for name, text in texts.items()]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m tests.gpu", description=__doc__)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--output", type=Path, default=Path(), help="the folder of gpu.json and gpu.md")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("no card here; --device cpu runs everything small")
    machine = torch.cuda.get_device_name() if options.device == "cuda" else f"{os.cpu_count()} processors"
    output = options.output.absolute()
    with tempfile.TemporaryDirectory() as folder, quiet():
        os.chdir(folder)
        found = check_all(options.device)
        os.chdir(output)
    facts = {"device": machine, "torch": torch.__version__, **found}
    Path("gpu.json").write_text(json.dumps(facts, indent=2) + "\n")
    Path("gpu.md").write_text(text := f"{machine}, torch {torch.__version__}\n\n{table(found)}")
    print(text)
    sys.exit(any("failed" in numbers for numbers in found.values()))


if __name__ == "__main__":
    main()
