"""Damage a checkpoint as a disk can, and forge some as an enemy can: each is refused, and nothing in it is executed.

``python -m tests.campaigns.checkpoints --seconds 600``
"""

import hashlib
import importlib
import io
import os
import pickle
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch

from project import Run
from project.__main__ import main as project_main
from project.errors import InputError
from project.runs.checkpoint import DIGEST_BYTES, load
from tests.campaigns.summary import Summary, main

Case = tuple[str, bytes]


def train(folder: Path) -> Run:
    """Train a tiny run in a folder."""
    options = ["--trainer.max_steps", "20", "--model.hidden_features", "8", "--threads", "1"]
    options += ["--trainer.default_root_dir", str(folder), "--name", "victim"]
    with redirect_stdout(io.StringIO()):
        assert project_main(["fit", *options]) == 0
    return Run(folder / "lightning_logs" / "victim")


def seal(data: bytes) -> bytes:
    """Append the right digest to any bytes; to a zip archive as its comment, as DigestCheckpointIO does."""
    if data[-22:-18] == b"PK\x05\x06":  # It begins the last 22 bytes of an archive without a comment.
        data = data[:-2] + DIGEST_BYTES.to_bytes(2, "little")
    return data + hashlib.sha256(data).hexdigest().encode()


def saved(contents: Any, zipped: bool = True) -> bytes:
    """Return what plain torch.save writes, sealed."""
    torch.save(contents, buffer := io.BytesIO(), _use_new_zipfile_serialization=zipped)
    return seal(buffer.getvalue())


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.function, self.arguments


def forged(contents: dict[str, Any], canary: Path) -> Iterator[Case]:
    """Yield sealed files with calls that make a file, or import a module, wherever something is executed."""
    path, source = str(canary), f"open({str(canary)!r}, 'w').close()"
    calls = [Call(exec, source), Call(eval, source), Call(os.system, f"touch {path}"), Call(open, path, "w")]
    calls += [Call(importlib.import_module, "this"), Call(torch.save, [], path), Call(Path.touch, canary)]
    for call in calls:
        yield f"a call of {call.function.__name__}", saved({**contents, "callbacks": {"Checkpoints": call}})
    yield "a call in the options", saved({**contents, "hyper_parameters": {"lr": calls[0]}})
    yield "a call as a key", saved({**contents, calls[0]: 0})
    yield "a call in the legacy format", saved(calls[0], zipped=False)
    for protocol in 0, 4:
        yield f"a call in a raw pickle of protocol {protocol}", seal(pickle.dumps(calls[0], protocol))
    yield "a module", saved(torch.nn.Linear(2, 1))
    yield "text", seal(b"1,2\n3,4\n")
    yield "nothing", seal(b"")


def damages(data: bytes, rng: random.Random) -> Iterator[Case]:
    """Yield without end what is cut off at a place, has bytes appended or has one byte changed, in turn."""
    while True:
        place, mask = rng.randrange(len(data)), rng.randrange(1, 256)
        yield f"first {place} bytes", data[:place]
        yield f"{mask} bytes appended", data + rng.randbytes(mask)
        yield f"byte {place} ^ {mask}", data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :]


def failure(case: Case, path: Path, canary: Path) -> str | None:
    """Load what must be refused; return what is wrong, if anything is."""
    name, data = case
    path.write_bytes(data)
    try:
        load(path)
    except InputError as error:
        wrong = "" if str(error).isprintable() else "its message has several lines"
    except Exception as error:
        wrong = f"{type(error).__name__}: {error}"
    else:
        wrong = "accepted"
    if canary.exists() or "this" in sys.modules:
        wrong = "executed"
    return f"{name}: {wrong}" if wrong else None


def campaign(seconds: float) -> Summary:
    """Try the forged ones, and random damages as far as the time goes."""
    summary = Summary("damaged and forged checkpoints")
    with tempfile.TemporaryDirectory() as name:
        canary, path = Path(name) / "canary", Path(name) / "victim.ckpt"
        run = train(Path(name))
        random_damages = damages(run.last.read_bytes(), random.Random(0))  # noqa: S311 (nothing to keep secret)
        for kind, cases in ("forged", forged(run.checkpoint(), canary)), ("damaged", random_damages):
            for case in takewhile(lambda _: summary.seconds < seconds, cases):
                summary.counts[f"{kind} ones refused"] += 1
                summary.failures += filter(None, [failure(case, path, canary)])
    return summary


if __name__ == "__main__":
    main(campaign, seconds=600.0)
