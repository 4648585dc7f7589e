"""Damage a checkpoint in every way a disk can, and in many ways an enemy can; it must be refused, and nothing executed.

``python -m tests.campaigns.checkpoints --seconds 600``

Every truncation, some appendages and three single-byte changes at every position; then hostile files whose digest is
right, each given to every command; then, as far as the time goes, the other 252 changes at every position.
"""

import argparse
import copy
import hashlib
import importlib
import io
import os
import pickle
import random
import runpy
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from project.__main__ import main
from project.checkpoint import DIGEST_BYTES, canonical, load
from project.errors import InputError
from project.run import Run

END = b"PK\x05\x06"  # begins the last 22 bytes of a zip archive without a comment
Record = tuple[str, bytes]
Change = tuple[str, bytes]


def train(folder: Path) -> Run:
    """Train a tiny run in a folder."""
    where = ["--trainer.default_root_dir", str(folder), "--name", "victim"]
    size = ["--trainer.max_steps", "20", "--model.hidden_features", "8", "--threads", "1"]
    assert main(["fit", *where, *size]) == 0
    return Run(folder / "lightning_logs" / "victim")


def seal(data: bytes) -> bytes:
    """Append the right digest to any bytes; to a zip archive as its comment, as DigestCheckpointIO does."""
    if data[-22:-18] == END:
        data = data[:-2] + DIGEST_BYTES.to_bytes(2, "little")
    return data + hashlib.sha256(data).hexdigest().encode()


def saved(contents: Any, zipped: bool = True) -> bytes:
    """Return what plain torch.save writes, sealed."""
    buffer = io.BytesIO()
    torch.save(contents, buffer, _use_new_zipfile_serialization=zipped)
    return seal(buffer.getvalue())


def records(data: bytes) -> list[Record]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def zipped(contents: Iterable[Record], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip archive of records, sealed."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", compression) as archive:
        warnings.filterwarnings("ignore", "Duplicate name")
        for name, record in contents:
            archive.writestr(name, record)
    return seal(buffer.getvalue())


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.function, self.arguments


@dataclass(frozen=True)
class Original:
    """A good checkpoint, and a file that must never come into being."""

    data: bytes
    canary: Path

    @property
    def contents(self) -> dict[str, Any]:
        contents = torch.load(io.BytesIO(self.data), weights_only=True)
        assert isinstance(contents, dict)
        return contents

    def calls(self) -> dict[str, Call]:
        """Calls that make the canary; the script that some of them run does so too."""
        path = str(self.canary)
        return {
            "os.system": Call(os.system, f"touch {path}"),
            "exec": Call(exec, f"open({path!r}, 'w').close()"),
            "eval": Call(eval, f"open({path!r}, 'w').close()"),
            "open": Call(open, path, "w"),
            "subprocess": Call(subprocess.check_call, ["/usr/bin/touch", path]),
            "importlib": Call(importlib.import_module, "this"),
            "runpy": Call(runpy.run_path, __file__),
            "torch.hub": Call(torch.hub.download_url_to_file, Path(__file__).as_uri(), path),
            "torch.save": Call(torch.save, [], path),
            "torch.load": Call(torch.load, path),
            "numpy": Call(np.savetxt, path, [0]),
            "shutil": Call(shutil.copy, __file__, path),
            "pathlib": Call(Path.touch, Path(path)),
        }


def with_call(name: str) -> "Build":
    """A good checkpoint, but for a call in its state."""
    return lambda original: saved({**original.contents, "callbacks": {"History": original.calls()[name]}})


def changed(path: str, change: Callable[[Any], Any]) -> "Build":
    """A good checkpoint, but for one entry."""

    def build(original: Original) -> bytes:
        contents = inner = original.contents
        *folders, name = path.split("/")
        for folder in folders:
            inner = inner[folder]
        inner[name] = change(inner.get(name))
        return saved(contents)

    return build


def without(path: str) -> "Build":
    """A good checkpoint that lacks one entry."""

    def build(original: Original) -> bytes:
        contents = inner = original.contents
        *folders, name = path.split("/")
        for folder in folders:
            inner = inner[folder]
        del inner[name]
        return saved(contents)

    return build


def put(path: str, value: Any) -> "Build":
    return changed(path, lambda _: value)


def repacked(change: Callable[[list[Record]], Iterable[Record]], compression: int = zipfile.ZIP_STORED) -> "Build":
    """The records of a good checkpoint in another archive."""
    return lambda original: zipped(change(records(original.data)), compression)


def renamed(folder: str) -> Callable[[list[Record]], Iterable[Record]]:
    return lambda found: [(name.replace("archive/", folder), record) for name, record in found]


def repickled(old: bytes, new: bytes) -> "Build":
    """A good checkpoint with other bytes in its pickle."""
    return repacked(
        lambda found: [(name, data.replace(old, new) if name.endswith("data.pkl") else data) for name, data in found]
    )


def whole(contents: Any) -> "Build":
    return lambda _: saved(contents)


def nested(depth: int) -> bytes:
    """Return a pickle of lists within lists."""
    return b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b"."


def quantized(tensor: torch.Tensor) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on its way out of torch
        return torch.quantize_per_tensor(tensor, 0.1, 0, torch.quint8)


def sparse(tensor: torch.Tensor) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tensor.to_sparse()


def huge(features: int, hidden: int) -> "Build":
    """Weights of any size out of one stored number, by strides of 0; they fit their options."""

    def build(original: Original) -> bytes:
        contents = original.contents
        contents["hyper_parameters"].update(num_features=features, hidden_features=hidden)
        shapes = {
            "mean": (features,),
            "scale": (features,),
            "net.0.weight": (hidden, features),
            "net.0.bias": (hidden,),
            "net.2.weight": (1, hidden),
            "net.2.bias": (1,),
        }
        contents["state_dict"] = {name: torch.ones(1).expand(shape) for name, shape in shapes.items()}
        return saved(contents)

    return build


Build = Callable[[Original], bytes]
OPTIONS, WEIGHT = "hyper_parameters", "state_dict/net.0.weight"
HOSTILE: dict[str, Build] = {
    **{f"a call of {name}": with_call(name) for name in Original(b"", Path()).calls()},
    "a call in the legacy format": lambda original: saved(original.calls()["exec"], zipped=False),
    "a call in a raw pickle": lambda original: seal(pickle.dumps(original.calls()["exec"])),
    "a call in a raw pickle of protocol 0": lambda original: seal(pickle.dumps(original.calls()["exec"], 0)),
    "a call in the options": lambda original: saved({**original.contents, OPTIONS: {"lr": original.calls()["exec"]}}),
    "a call as a key": lambda original: saved({**original.contents, original.calls()["exec"]: 0}),
    "an object": changed(f"{OPTIONS}/lr", lambda _: Call(Counter, "abc")),
    "a module": whole(torch.nn.Linear(2, 1)),
    "the legacy format": lambda original: saved(original.contents, zipped=False),
    "a raw pickle": lambda _: seal(pickle.dumps({"state_dict": {}})),
    "nothing but a digest": lambda _: seal(b""),
    "text": lambda _: seal(b"1,2\n3,4\n"),
    "an empty archive": lambda _: zipped([]),
    "records outside": repacked(renamed("../../archive/")),
    "records at the root": repacked(renamed("/archive/")),
    "a record that climbs": repacked(lambda found: [*found, ("archive/../../canary", b"x")]),
    "a foreign record": repacked(lambda found: [*found, ("canary", b"x")]),
    "a record twice": repacked(lambda found: [*found, *(r for r in found if r[0].endswith("data/2"))]),
    "another pickle first": repacked(lambda found: [("archive/data.pkl", pickle.dumps({})), *found]),
    "another pickle last": repacked(lambda found: [*found, ("archive/data.pkl", pickle.dumps({}))]),
    "no pickle": repacked(lambda found: [r for r in found if not r[0].endswith("data.pkl")]),
    "no weights": repacked(lambda found: [r for r in found if "/data/" not in r[0]]),
    "a TorchScript archive": repacked(lambda found: [*found, ("archive/constants.pkl", b"\x80\x02].")]),
    "compressed records": repacked(lambda found: found, zipfile.ZIP_DEFLATED),
    "a zip bomb": repacked(
        lambda found: [(name, bytes(2**28) if name.endswith("data/2") else data) for name, data in found],
        zipfile.ZIP_DEFLATED,
    ),
    "records of other lengths": repacked(
        lambda found: [(name, data[:-4] if "/data/" in name else data) for name, data in found]
    ),
    "deeply nested lists": lambda original: zipped(
        (name, nested(100_000) if name.endswith("data.pkl") else data) for name, data in records(original.data)
    ),
    "a terabyte of bytes": lambda original: zipped(
        (name, b"\x80\x02cbuiltins\nbytearray\n\x8a\x06" + bytes(5) + b"\x7f\x85R." if "pkl" in name else data)
        for name, data in records(original.data)
    ),
    "a storage longer than its record": repickled(b"K\x10t", b"J\xff\xff\xff\x7ft"),
    "a view beyond its storage": repickled(b"K\x08K\x02\x86", b"M\xff\x7fK\x02\x86"),
    "weights of a terabyte": huge(2, 2**40),
    "weights of a gigabyte": huge(2**27, 1),
    "a list": whole([1, 2]),
    "a tensor": whole(torch.ones(3)),
    "None": whole(None),
    "an empty dict": whole({}),
    **{
        f"no {path}": without(path)
        for path in (
            *(OPTIONS, f"{OPTIONS}/num_features", f"{OPTIONS}/lr", "datamodule_hyper_parameters"),
            *("datamodule_hyper_parameters/seed", "fingerprint", "fingerprint/sha256", "state_dict"),
            *("state_dict/mean", "global_step", "loops", "callbacks"),
        )
    },
    "a list of weights": put("state_dict", [torch.ones(2)]),
    "another weight": put("state_dict/net.4.weight", torch.ones(1)),
    "text for a weight": put(WEIGHT, "1.0"),
    "a list for a weight": put(WEIGHT, [[1.0, 2.0]] * 8),
    "a NaN weight": changed(WEIGHT, lambda weight: weight / 0 * 0),
    "an infinite weight": changed(WEIGHT, lambda weight: weight / 0),
    "an infinite scale": put("state_dict/scale", torch.tensor([1.0, torch.inf], dtype=torch.float64)),
    "a transposed weight": changed(WEIGHT, lambda weight: weight.T.contiguous()),
    "a strided weight": changed(WEIGHT, lambda weight: weight.T.contiguous().T),
    "a repeated weight": put(WEIGHT, torch.ones(1).expand(8, 2)),
    "a sparse weight": changed(WEIGHT, sparse),
    "a quantized weight": changed(WEIGHT, quantized),
    "a complex weight": changed(WEIGHT, lambda weight: weight.to(torch.complex64)),
    "an integer weight": changed(WEIGHT, torch.Tensor.int),
    "a bool weight": changed(WEIGHT, torch.Tensor.bool),
    "a weight without data": changed(WEIGHT, lambda weight: weight.to("meta")),
    "a list of options": put(OPTIONS, [2, 8]),
    "another option": put(f"{OPTIONS}/dtype", "float64"),
    "the option of another class": put(f"{OPTIONS}/class_path", "os.system"),
    **{
        f"{name} {value!r}"[:60]: put(f"{OPTIONS}/{name}", value)
        for name, value in (
            *(("num_features", n) for n in (-2, 0, 10**12, 2.0, "2", True, None)),
            *(("hidden_features", n) for n in (-8, 0, 10**9, 8.0, "8", [8])),
            *(("lr", x) for x in (float("nan"), float("inf"), -1.0, "1.0", [1.0], torch.ones(1))),
            *(("activation", 5), ("activation", ["tanh"]), ("loss", ["bce"])),
            *(("standardize", "yes"), ("standardize", 2)),
        )
    },
    "a list of data options": put("datamodule_hyper_parameters", []),
    **{
        f"data {name} {value!r}": put(f"datamodule_hyper_parameters/{name}", value)
        for name, value in (
            *(("root", "/"), ("root", "http://localhost/"), ("predict", "rows.npy"), ("seed", "0")),
            *(("batch_size", "all"), ("batch_size", [1]), ("balance", None), ("track_test", 1.5)),
        )
    },
    **{
        f"fingerprint {value!r}"[:60]: put("fingerprint", value)
        for value in (None, [], "0" * 64, {"sha256": 5}, {"sha256": []}, {"sha256": [1, 2]})
    },
    **{f"fingerprint of files {value!r}": put("fingerprint/sha256", value) for value in ([], ["0"], [1, 2], "01")},
    **{f"global_step {n!r}": put("global_step", n) for n in ("20", -5, float("nan"), None, [20], torch.tensor(20))},
}
# What fits together, but is out of the range of an option
RANGES: dict[str, Build] = {
    "activation evil": put(f"{OPTIONS}/activation", "evil"),
    "activation __class__": put(f"{OPTIONS}/activation", "__class__"),
    "loss mae": put(f"{OPTIONS}/loss", "mae"),
    "data seed -1": put("datamodule_hyper_parameters/seed", -1),
    "data batch_size 0": put("datamodule_hyper_parameters/batch_size", 0),
    "data batch_size 10**9": put("datamodule_hyper_parameters/batch_size", 10**9),
    "data balance tilt": put("datamodule_hyper_parameters/balance", "tilt"),
}
# What only a resumed run reads
TRAINING: dict[str, Build] = {
    **{f"no {path}": without(path) for path in ("optimizer_states", "pytorch-lightning_version", "loops/fit_loop")},
    **{f"callbacks {value!r}": put("callbacks", value) for value in ([], "all", {"History": 5}, {"Checkpoints": {}})},
    **{f"best_loss {value!r}": put("callbacks/Checkpoints/best_loss", value) for value in ("low", None, [0.5])},
    "no initial weights": put("callbacks/Figures/initial", {}),
    "initial weights of another shape": put("callbacks/Figures/initial/0.bias", torch.ones(3)),
    "validations as text": put("callbacks/Figures/validations", "1"),
    "history as text": put("callbacks/History/history", "1,2"),
    "history of text": put("callbacks/History/history", [["1", "2"]]),
    "history of dicts": put("callbacks/History/both_losses", [{}]),
    **{f"loops {value!r}": put("loops", value) for value in ([], {}, "all", {"fit_loop": 5}, {"fit_loop": {}})},
    **{
        f"progress {value!r}": put("loops/fit_loop/epoch_loop.manual_optimization.optim_step_progress", value)
        for value in ({}, [], "all", {"total": {"ready": "20", "completed": "20"}, "current": {}})
    },
    **{
        f"steps done {value!r}": changed(
            "loops/fit_loop/epoch_loop.manual_optimization.optim_step_progress",
            lambda old, value=value: {**old, "total": {"ready": value, "completed": value}},
        )
        for value in ("20", -1, 0, 10**6, None)
    },
    **{
        f"batches done {value!r}": put("loops/fit_loop/state_dict", {"combined_loader": [{"seed": 0, "done": value}]})
        for value in ("20", -5, 1.5, None, 10**6)
    },
    "batches of no order": put("loops/fit_loop/state_dict", {"combined_loader": [{}]}),
    **{f"optimizers {value!r}": put("optimizer_states", value) for value in ([], [5], "SGD", [{}], [{"state": {}}])},
    "an optimizer of other weights": changed(
        "optimizer_states", lambda old: [{**old[0], "param_groups": [{**old[0]["param_groups"][0], "params": [0]}]}]
    ),
    "another learning rate": changed(
        "optimizer_states", lambda old: [{**old[0], "param_groups": [{**old[0]["param_groups"][0], "lr": 5.0}]}]
    ),
    "a learning rate as text": changed(
        "optimizer_states", lambda old: [{**old[0], "param_groups": [{**old[0]["param_groups"][0], "lr": "1"}]}]
    ),
    **{f"lr_schedulers {value!r}": put("lr_schedulers", value) for value in ([{}], 5)},
    **{f"version {value!r}": put("pytorch-lightning_version", value) for value in ("new", 5, "99.0")},
}


def byte_changes(data: bytes) -> Iterator[Change]:
    """Yield every single-byte change: three at every position, then all the others."""
    for mask in (0x01, 0x80, 0xFF, *(mask for mask in range(2, 0xFF) if mask != 0x80)):
        for position, byte in enumerate(data):
            yield f"byte {position} ^ {mask}", data[:position] + bytes([byte ^ mask]) + data[position + 1 :]


def length_changes(data: bytes) -> Iterator[Change]:
    """Yield every truncation, and some appendages."""
    for length in range(len(data)):
        yield f"first {length} bytes", data[:length]
    rng = random.Random(0)  # noqa: S311 (nothing to keep secret)
    for end in (b"\0", b"\n", bytes(64), data[-64:], data, *(rng.randbytes(n) for n in range(1, 100))):
        yield f"{len(end)} bytes appended", data + end


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    buffers = io.BytesIO(), io.BytesIO()
    for contents, buffer in zip((a, b), buffers, strict=True):
        torch.save(canonical(copy.deepcopy(contents)), buffer)
    return buffers[0].getvalue() == buffers[1].getvalue()


@dataclass
class Summary:
    """What became of the damaged and the hostile checkpoints."""

    refused: int = 0
    harmless: int = 0  # accepted, with identical contents
    hostile: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"damaged checkpoints: {self.refused + self.harmless} tried, {self.refused} refused, {self.harmless} "
            f"harmless; {self.hostile} hostile ones given to the commands; {len(self.failures)} failures "
            f"({self.seconds:.0f} s)"
        )


def examine(changes: Iterable[Change], original: bytes, folder: Path, deadline: float, summary: Summary) -> None:
    """Load each damaged checkpoint, and count what became of it."""
    path = folder / "damaged.ckpt"
    path.write_bytes(original)
    expected = load(path)
    with path.open("wb", buffering=0) as file:  # kept open: some file systems are slow to empty a file
        for name, data in changes:
            if time.monotonic() > deadline:
                return
            file.seek(0)
            file.truncate(file.write(data))
            try:
                contents = load(path)
            except InputError:
                summary.refused += 1
            except Exception as error:
                summary.failures.append(f"{name}: {type(error).__name__}: {error}")
            else:
                summary.harmless += 1
                if not same(contents, expected):
                    summary.failures.append(f"{name}: other contents were accepted")
    path.unlink()


def commands(checkpoint: Path) -> dict[str, list[str]]:
    """What can be done with a checkpoint; rows.npy is a file to classify."""
    given = ["--ckpt_path", str(checkpoint)]
    return {
        "resume": ["fit", "--trainer.max_steps", "40", *given],
        "test": ["test", *given],
        "predict": ["predict", "--data.predict", "rows.npy", *given],
        "export": ["export", "--output", "model.onnx", *given],
    }


def complaint(arguments: list[str], canary: Path) -> str | None:
    """Run a command that must be refused in one line; return what is wrong, if anything is."""
    before = state(Path.cwd())
    output, errors = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(output), redirect_stderr(errors):
            status = main(arguments)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    lines = errors.getvalue().splitlines()
    if canary.exists() or "this" in sys.modules:
        return "executed"
    if status != 2:
        return f"exit status {status}: {' / '.join(lines)[:200]}"
    if len(lines) != 1 or not lines[0].startswith("error: "):
        return f"{len(lines)} lines: {' / '.join(lines)[:200]}"
    if state(Path.cwd()) != before:
        return f"written: {sorted({path.name for path, *_ in state(Path.cwd()) ^ before})}"
    return None


def state(folder: Path) -> set[tuple[Path, int, int]]:
    """Return every file with its size and the moment of its last change."""
    return {(path, (info := path.stat()).st_size, info.st_mtime_ns) for path in folder.rglob("*")}


def attack(original: Original, run: Run, deadline: float, summary: Summary) -> None:
    """Give every hostile checkpoint to every command that could believe it."""
    np.save("rows.npy", np.zeros((3, 2)))
    checkpoint = run.last.with_name("hostile.ckpt")
    for name, build in {**HOSTILE, **RANGES, **TRAINING}.items():
        checkpoint.write_bytes(build(original))
        for command, arguments in commands(checkpoint).items():
            if time.monotonic() > deadline or (command == "export" and name.startswith("data ")):  # it has no data
                continue
            summary.hostile += 1
            if failure := complaint(arguments, original.canary):
                summary.failures.append(f"{command} of a checkpoint with {name}: {failure}")


def campaign(seconds: float) -> Summary:
    """Try everything, as far as the time goes."""
    summary = Summary()
    begin = time.monotonic()
    deadline = begin + seconds
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with redirect_stdout(io.StringIO()):
            run = train(folder)
        data = run.last.read_bytes()
        os.chdir(folder)
        try:
            changes = byte_changes(data)
            examine(length_changes(data), data, folder, deadline, summary)
            examine(islice(changes, 3 * len(data)), data, folder, deadline, summary)
            attack(Original(data, folder / "canary"), run, deadline, summary)
            examine(changes, data, folder, deadline, summary)
        finally:
            os.chdir(home)
    summary.seconds = time.monotonic() - begin
    return summary


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    result = campaign(**vars(parser.parse_args()))
    print(result)
    print("\n".join(result.failures), file=sys.stderr)
    sys.exit(bool(result.failures))
