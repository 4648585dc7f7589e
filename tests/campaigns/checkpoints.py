"""Damage a checkpoint in every way a disk can, and in many ways an enemy can; it must be refused, and nothing executed.

``python -m tests.campaigns.checkpoints --seconds 600``

Every truncation, some appendages and three single-byte changes at every position; then hostile files whose digest is
right, each given to every command; then, as far as the time goes, the other 252 changes at every position.
"""

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
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from project import Run
from project.__main__ import main as project_main
from project.errors import InputError
from project.runs.checkpoint import DIGEST_BYTES, canonical, load
from tests.campaigns.summary import Summary, main

END = b"PK\x05\x06"  # begins the last 22 bytes of a zip archive without a comment
Record = tuple[str, bytes]
Change = tuple[str, bytes]


def train(folder: Path) -> Run:
    """Train a tiny run in a folder."""
    where = ["--trainer.default_root_dir", str(folder), "--name", "victim"]
    size = ["--trainer.max_steps", "20", "--model.hidden_features", "8", "--threads", "1"]
    assert project_main(["fit", *where, *size]) == 0
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
        return dict(torch.load(io.BytesIO(self.data), weights_only=True))

    @property
    def records(self) -> list[Record]:
        with zipfile.ZipFile(io.BytesIO(self.data)) as archive:
            return [(name, archive.read(name)) for name in archive.namelist()]

    @property
    def calls(self) -> list[Call]:
        """Calls that make the canary; the script that some of them run does so too."""
        path, source = str(self.canary), f"open({str(self.canary)!r}, 'w').close()"
        calls = [Call(exec, source), Call(eval, source), Call(os.system, f"touch {path}"), Call(open, path, "w")]
        calls += [Call(subprocess.check_call, ["/usr/bin/touch", path]), Call(importlib.import_module, "this")]
        calls += [Call(runpy.run_path, __file__), Call(torch.hub.download_url_to_file, Path(__file__).as_uri(), path)]
        calls += [Call(torch.save, [], path), Call(torch.load, path), Call(np.savetxt, path, [0])]
        return [*calls, Call(shutil.copy, __file__, path), Call(Path.touch, Path(path))]


Build = Callable[[Original], bytes]
Edit = tuple[
    str, Any
]  # where, as in "hyper_parameters/lr", and another value, or a function that makes it of the old one
GONE = Call(dict)  # in place of a value: none at all


def edited(contents: dict[str, Any], edit: Edit) -> dict[str, Any]:
    """Return nested contents but for one entry."""
    inner: Any = contents
    *folders, name = [int(part) if part.isdecimal() else part for part in edit[0].split("/")]
    for folder in folders:
        inner = inner[folder]
    inner[name] = edit[1](inner[name]) if callable(edit[1]) else edit[1]
    if edit[1] is GONE:
        del inner[name]
    return contents


def edits(table: dict[str, list[Any]]) -> dict[str, Edit]:
    """Name each of the wrong values of each entry."""
    pairs = [(path, value) for path, values in table.items() for value in values]
    return {f"{path}: {'gone' if pair[1] is GONE else repr(pair[1])[:60]}": pair for pair in pairs for path in pair[:1]}


def walk(value: Any, path: str) -> Iterator[Edit]:
    """Yield every entry of nested contents."""
    yield path, value
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from walk(item, f"{path}/{key}")


def wrong_states(contents: dict[str, Any]) -> dict[str, Edit]:
    """Return every entry of the optimizer and of the loops as what it cannot be."""
    entries = [entry for name in ("optimizer_states", "loops") for entry in walk(contents[name], name)]
    wrong = ("x", None, [], -1, {}, GONE)
    return edits({path: [new for new in wrong if type(new) is not type(old) or new != old] for path, old in entries})


def repacked(change: Callable[[list[Record]], list[Record]], compression: int = zipfile.ZIP_STORED) -> Build:
    """The records of a good checkpoint in another archive."""
    return lambda original: zipped(change(original.records), compression)


def record(end: str, change: Callable[[bytes], bytes], compression: int = zipfile.ZIP_STORED) -> Build:
    """A good checkpoint with other bytes in the records whose names match."""
    return repacked(lambda found: [(n, change(data) if end in n else data) for n, data in found], compression)


def moved(folder: str) -> Build:
    return repacked(lambda found: [(name.replace("archive/", folder), data) for name, data in found])


def with_call(number: int) -> Build:
    return lambda original: saved({**original.contents, "callbacks": {"Checkpoints": original.calls[number]}})


def without(part: str) -> Build:
    return repacked(lambda found: [record for record in found if part not in record[0]])


def whole(contents: Any) -> Build:
    return lambda _: saved(contents)


def with_edit(edit: Edit) -> Build:
    return lambda original: saved(edited(original.contents, edit))


def quietly(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call what torch says it will do away with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments)


def huge(features: int, hidden: int) -> Build:
    """Weights of any size out of one stored number, by strides of 0; they fit their options."""
    shapes = {"net.hidden.weight": (hidden, features), "net.hidden.bias": (hidden,)}
    shapes |= {"net.output.weight": (1, hidden), "net.output.bias": (1,)}
    weights = {name: torch.ones(1).expand(shape) for name, shape in shapes.items()}
    buffers = {
        name: torch.ones(1, dtype=torch.float64).expand(features)
        for name in ("standardization.mean", "standardization.scale")
    }

    def build(original: Original) -> bytes:
        options = {**original.contents[OPTIONS], "num_features": features, "hidden_features": hidden}
        parts = {OPTIONS: options, "initial": weights, "state_dict": {**weights, **buffers}}
        parts |= {"snapshots": {}, "snapshot_steps": []}
        return saved({**original.contents, **parts})

    return build


NAN, INF, DEFLATED = float("nan"), float("inf"), zipfile.ZIP_DEFLATED
OPTIONS, DATA, LOADER = "hyper_parameters", "datamodule_hyper_parameters", "loops/fit_loop/state_dict/combined_loader"
BATCHES = "loops/fit_loop/epoch_loop.batch_progress/total"
GROUP, STEPS = "optimizer_states/0/param_groups/0", "loops/fit_loop/epoch_loop.automatic_optimization.optim_progress"
WEIGHTS = {
    **{name: getattr(torch.Tensor, name) for name in ("tolist", "int", "bool", "double", "to_sparse", "__repr__")},
    "NaN": lambda weight: weight / 0 * 0,
    "infinite": lambda weight: weight / 0,
    "transposed": lambda weight: weight.T.contiguous(),
    "strided": lambda weight: weight.T.contiguous().T,
    "repeated": lambda _: torch.ones(1).expand(8, 2),
    "quantized": lambda weight: quietly(torch.quantize_per_tensor, weight, 0.1, 0, torch.quint8),
    "complex": lambda weight: weight.to(torch.complex64),
    "a parameter": torch.nn.Parameter,
    "without data": lambda weight: weight.to("meta"),
}
# What does not rebuild
UNFIT = {
    f"{where}: {name} weights": (f"{where}/net.hidden.weight", change)
    for where in ("state_dict", "initial")
    for name, change in WEIGHTS.items()
} | edits(
    {
        "state_dict": [GONE, [torch.ones(2)]],
        "state_dict/standardization.mean": [GONE],
        "state_dict/net.4.weight": [torch.ones(1)],
        "state_dict/standardization.scale": [torch.tensor([1.0, INF], dtype=torch.float64)],
        "initial": [GONE, {}, []],
        "initial/net.hidden.bias": [GONE, torch.ones(3)],
        "snapshots": [GONE, {}, []],
        "snapshots/net.hidden.bias": [GONE, torch.ones(3), torch.ones(8), torch.ones(1).expand(1, 8)],
        "snapshots/net.4.weight": [torch.ones(1)],
        "snapshot_steps": [GONE, [], "20", [-20], [NAN], [20, 40], torch.tensor([20])],
        OPTIONS: [GONE, [2, 8]],
        f"{OPTIONS}/dtype": ["float64"],
        f"{OPTIONS}/class_path": ["os.system"],
        f"{OPTIONS}/num_features": [GONE, -2, 0, 10**12, 2.0, "2", True, None],
        f"{OPTIONS}/hidden_features": [-8, 0, 10**9, 8.0, "8", [8]],
        f"{OPTIONS}/lr": [GONE, NAN, INF, -1.0, "1.0", [1.0], torch.ones(1)],
        f"{OPTIONS}/activation": [5, ["tanh"], "evil", "__class__"],
        f"{OPTIONS}/loss": [["bce"], "mae"],
        "fingerprint": [GONE, "0" * 64, {"sha256": 5}, {"sha256": []}, {"sha256": [1, 2]}],
        "fingerprint/sha256": [GONE, [], ["0"], [1, 2], "01"],
        "global_step": [GONE, "20", -5, NAN, None, [20], torch.tensor(20)],
        "loops": [GONE],
        "optimizer_states": [GONE],
    }
)
HOSTILE: dict[str, Build] = {
    **{f"a call of {call.function.__name__}": with_call(n) for n, call in enumerate(Original(b"", Path()).calls)},
    "a call in the legacy format": lambda original: saved(original.calls[0], zipped=False),
    "a call in a raw pickle": lambda original: seal(pickle.dumps(original.calls[0])),
    "a call in a raw pickle of protocol 0": lambda original: seal(pickle.dumps(original.calls[0], 0)),
    "a call in the options": lambda original: saved({**original.contents, OPTIONS: {"lr": original.calls[0]}}),
    "a call as a key": lambda original: saved({**original.contents, original.calls[0]: 0}),
    "an object": with_edit((f"{OPTIONS}/lr", Call(Counter, "abc"))),
    "a module": whole(torch.nn.Linear(2, 1)),
    "the legacy format": lambda original: saved(original.contents, zipped=False),
    "a raw pickle": lambda _: seal(pickle.dumps({"state_dict": {}})),
    "nothing but a digest": lambda _: seal(b""),
    "text": lambda _: seal(b"1,2\n3,4\n"),
    "an empty archive": lambda _: zipped([]),
    "records outside": moved("../../archive/"),
    "records at the root": moved("/archive/"),
    "a record that climbs": repacked(lambda found: [*found, ("archive/../../canary", b"x")]),
    "a foreign record": repacked(lambda found: [*found, ("canary", b"x")]),
    "a record twice": repacked(lambda found: [*found, *(r for r in found if r[0].endswith("data/2"))]),
    "another pickle first": repacked(lambda found: [("archive/data.pkl", pickle.dumps({})), *found]),
    "another pickle last": repacked(lambda found: [*found, ("archive/data.pkl", pickle.dumps({}))]),
    "no pickle": without("data.pkl"),
    "no weights": without("/data/"),
    "a TorchScript archive": repacked(lambda found: [*found, ("archive/constants.pkl", b"\x80\x02].")]),
    "compressed records": repacked(lambda found: found, DEFLATED),
    "a zip bomb": record("data/2", lambda _: bytes(2**28), DEFLATED),
    "records of other lengths": record("/data/", lambda data: data[:-4]),
    "deeply nested lists": record("data.pkl", lambda _: b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."),
    "a terabyte of bytes": record(
        "pkl", lambda _: b"\x80\x02cbuiltins\nbytearray\n\x8a\x06" + bytes(5) + b"\x7f\x85R."
    ),
    "a storage longer than its record": record("pkl", lambda data: data.replace(b"K\x10t", b"J\xff\xff\xff\x7ft")),
    "a view beyond its storage": record("pkl", lambda data: data.replace(b"K\x08K\x02\x86", b"M\xff\x7fK\x02\x86")),
    "weights of a terabyte": huge(2, 2**40),
    "weights of a gigabyte": huge(2**27, 1),
    **{f"nothing but {contents!r}": whole(contents) for contents in ([1, 2], torch.ones(3), None, {})},
    **{name: with_edit(edit) for name, edit in UNFIT.items()},
}
# What rebuilds, but cannot be tested or trained on
UNTESTABLE = edits(
    {
        f"{OPTIONS}/standardize": ["yes", 2],
        DATA: [GONE, []],
        f"{DATA}/seed": [GONE, "0", -1],
        f"{DATA}/root": ["/", "http://localhost/"],
        f"{DATA}/predict": ["rows.npy"],
        f"{DATA}/batch_size": ["all", [1], 0, 10**9],
        f"{DATA}/balance": [None, "tilt"],
        f"{DATA}/track_test": [1.5],
        "fingerprint": [None, []],
    }
)
# What only a resumed run reads; wrong_states has more
TRAINING = edits(
    {
        "optimizer_states": [[5], "SGD", [{}], [{"state": {}}]],
        f"{GROUP}/params": [[0]],
        f"{GROUP}/lr": [5.0, "1"],
        f"{GROUP}/momentum": [0.9],
        f"{GROUP}/maximize": [True],
        f"{GROUP}/weight_decay": [10.0],
        BATCHES: [dict.fromkeys(("ready", "started", "processed", "completed"), count) for count in (0, 19, 41)],
        "lr_schedulers": [GONE, [{}], 5],
        "callbacks": [GONE, [], "all", {"History": 5}, {"Checkpoints": {}}],
        "callbacks/Checkpoints/best_loss": ["low", None, [0.5], NAN],
        "loops": [{"fit_loop": 5}, {"fit_loop": {}}],
        LOADER: [[{}], [{"seed": 0}] * 2],
        f"{LOADER}/0/seed": ["0", -5, 1.5, None],
        f"{STEPS}/optimizer/step/total": [{"ready": n, "completed": n} for n in ("20", -1, 0, 10**6, None)],
    }
)


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
    return saved(canonical(copy.deepcopy(a))) == saved(canonical(copy.deepcopy(b)))


def examine(changes: Iterable[Change], original: bytes, folder: Path, seconds: float, summary: Summary) -> None:
    """Load each damaged checkpoint, and count what became of it."""
    path = folder / "damaged.ckpt"
    path.write_bytes(original)
    expected = load(path)
    with path.open("wb", buffering=0) as file:  # kept open: some file systems are slow to empty a file
        for name, data in changes:
            if summary.seconds > seconds:
                return
            file.seek(0)
            file.truncate(file.write(data))
            try:
                contents = load(path)
            except InputError:
                summary.counts["damaged ones refused"] += 1
            except Exception as error:
                summary.failures.append(f"{name}: {type(error).__name__}: {error}")
            else:
                summary.counts["damaged ones harmless"] += 1  # accepted, with identical contents
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


def complaint(arguments: list[str], canary: Path, may_work: bool = False) -> str | None:
    """Run a command that must be refused in one line, or may do its work; return what is wrong, if anything is."""
    before = state(Path.cwd())
    output, errors = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(output), redirect_stderr(errors):
            status = project_main(arguments)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    lines = errors.getvalue().splitlines()
    if canary.exists() or "this" in sys.modules:
        return "executed"
    if may_work and status == 0:
        return None
    if status != 2 or len(lines) != 1 or not lines[0].startswith("error: ") or not lines[0].isprintable():
        return f"exit status {status}, {len(lines)} lines: {' / '.join(lines)[:200]}"
    written = {path.name for path, *_ in state(Path.cwd()) ^ before}
    return f"written: {sorted(written)}" if written else None


def state(folder: Path) -> set[tuple[Path, int, int]]:
    """Return every file with its size and the moment of its last change."""
    return {(path, (info := path.stat()).st_size, info.st_mtime_ns) for path in folder.rglob("*")}


def attack(original: Original, run: Run, seconds: float, summary: Summary) -> None:
    """Give every hostile checkpoint to every command that could believe it; export reads neither data nor training."""
    np.save("rows.npy", np.zeros((3, 2)))
    checkpoint = run.last.with_name("hostile.ckpt")
    cases = [(name, build, ["resume", "test", "predict", "export"], []) for name, build in HOSTILE.items()]
    cases += [(name, with_edit(edit), ["resume", "test"], ["predict"]) for name, edit in UNTESTABLE.items()]
    training = {**TRAINING, **wrong_states(original.contents)}
    cases += [(name, with_edit(edit), ["resume"], ["test"][: name in TRAINING]) for name, edit in training.items()]
    for name, build, refusing, working in cases:
        checkpoint.write_bytes(build(original))
        for command in [*refusing, *working]:
            if summary.seconds < seconds:
                summary.counts["hostile ones given to a command"] += 1
                if failure := complaint(commands(checkpoint)[command], original.canary, command in working):
                    summary.failures.append(f"{command} of a checkpoint with {name}: {failure}")


def campaign(seconds: float) -> Summary:
    """Try everything, as far as the time goes."""
    summary = Summary("damaged and hostile checkpoints")
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with redirect_stdout(io.StringIO()):
            run = train(folder)
        data = run.last.read_bytes()
        changes = byte_changes(data)
        examine(length_changes(data), data, folder, seconds, summary)
        examine(islice(changes, 3 * len(data)), data, folder, seconds, summary)
        os.chdir(folder)
        attack(Original(data, folder / "canary"), run, seconds, summary)
        os.chdir(home)
        examine(changes, data, folder, seconds, summary)
    return summary


if __name__ == "__main__":
    main(campaign, seconds=600.0)
