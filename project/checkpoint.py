"""How a checkpoint reaches the disk whole, and how it is believed again."""

import hashlib
import io
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from project.disk import write_whole
from project.errors import InputError

DIGEST_BYTES = 64
# What torch.load, and looking into what it loaded, raise where there is no checkpoint of ours
NOT_OURS = (
    pickle.UnpicklingError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    EOFError,
    AssertionError,
)


class DigestCheckpointIO(TorchCheckpointIO):
    """Checkpoints that are written whole or not at all, and that carry a digest of their bytes.

    Lightning's own writer moves a file from $TMPDIR over the target, which a kill can tear where that is another file
    system, and ``torch.load`` checks no CRC: a changed byte can load as another weight.

    The digest is the comment of the zip archive that ``torch.save`` writes, so plain ``torch.load`` reads the file too.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        buffer = io.BytesIO()
        torch.save(canonical(checkpoint), buffer)
        body = buffer.getvalue()[:-2] + DIGEST_BYTES.to_bytes(2, "little")
        write_whole(Path(path), body + hashlib.sha256(body).hexdigest().encode())

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        return load(Path(path))


def canonical(value: Any) -> Any:
    """Copy nested contents so that equal contents become equal bytes: pickle writes an object once, not a value."""
    if isinstance(value, str):
        return sys.intern(value)
    if isinstance(value, dict):
        return {canonical(key): canonical(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(canonical(item) for item in value)
    return value


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint that this project wrote; nothing in it is executed.

    Raises:
        InputError: if it is missing, damaged, or not one of ours.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint; name a file with --ckpt_path, or run fit first")
    data = path.read_bytes()
    body, digest = data[:-DIGEST_BYTES], data[-DIGEST_BYTES:]
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise InputError(f"{path}: damaged, or not a checkpoint of this project; {remedy(path)}")
    try:
        checkpoint = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        check_contents(checkpoint)
    except NOT_OURS as error:
        raise InputError(f"{path}: not a checkpoint of this project; {remedy(path)}") from error
    return dict(checkpoint)


def check_contents(checkpoint: Mapping[str, Any]) -> None:
    """Refuse what does not fit together, before anything is built from it.

    Raises:
        One of NOT_OURS.
    """
    options, weights = checkpoint["hyper_parameters"], checkpoint["state_dict"]
    j, hidden = options["num_features"], options["hidden_features"]
    shapes = {
        "mean": (j,),
        "scale": (j,),
        "net.0.weight": (hidden, j),
        "net.0.bias": (hidden,),
        "net.2.weight": (1, hidden),
        "net.2.bias": (1,),
    }
    if {name: tuple(tensor.shape) for name, tensor in weights.items()} != shapes:
        raise ValueError("the weights do not have the shapes of their options")
    if not all(torch.isfinite(tensor).all() for tensor in weights.values()):
        raise ValueError("a weight is NaN or infinite")
    if not {"fingerprint", "datamodule_hyper_parameters", "global_step", "loops", "callbacks"} <= checkpoint.keys():
        raise KeyError("incomplete")


def remedy(path: Path) -> str:
    """Name the other checkpoint of the run, if there is one."""
    others = [other for other in (path.with_name("best.ckpt"), path.with_name("last.ckpt")) if other.exists()]
    others = [other for other in others if other.name != path.name]
    return f"use {others[0]}" if others else "use another one"
