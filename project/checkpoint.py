"""How a checkpoint reaches the disk whole, and how it is believed again."""

import hashlib
import io
import pickle
import struct
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any, get_args

import lightning
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from packaging.version import Version
from torch import Tensor

from project.disk import write_whole
from project.errors import InputError

DIGEST_BYTES = 64
# What torch.load, and looking into what it loaded, raise where there is no checkpoint of ours
NOT_OURS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    Warning,
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
)
Rows = [[int | float | None, ...], ...]
# What a checkpoint holds; ... stands for any value, as a key for any other key, and at the end of a list for more items
FORM: dict[Any, Any] = {
    "hyper_parameters": {
        "num_features": int,
        "hidden_features": int,
        "activation": str,
        "lr": float,
        "loss": str,
        "standardize": bool,
    },
    "datamodule_hyper_parameters": {"batch_size": int | None, "seed": int, "balance": str, "track_test": bool},
    "fingerprint": {
        "sha256": [str, str],
        "seed": int,
        "rows": {"train": int, "val": int, "test": int},
        "split": str,
    },
    "state_dict": {...: Tensor},
    "callbacks": {
        "Checkpoints": {"best_loss": float},
        "Figures": {"initial": {...: Tensor}, "validations": int},
        "History": {"history": Rows, "both_losses": Rows},
        ...: dict,
    },
    "optimizer_states": [{"param_groups": [{"lr": float, "params": [int, ...], ...: ...}], "state": dict}],
    "lr_schedulers": [],
    "loops": {
        "fit_loop": {
            "state_dict": {"combined_loader": [{"seed": int, "done": int}, ...]},
            "epoch_loop.manual_optimization.optim_step_progress": {
                "total": {"ready": int, "completed": int},
                "current": {"ready": int, "completed": int},
            },
            ...: ...,
        },
        ...: ...,
    },
    "pytorch-lightning_version": str,
    "global_step": int,
    ...: ...,
}


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
        write_whole(Path(path), body + digest(body))

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        return load(Path(path))


def digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


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
    if digest(data[:-DIGEST_BYTES]) != data[-DIGEST_BYTES:]:
        raise InputError(f"{path}: damaged, or not a checkpoint of this project; {remedy(path)}")
    try:
        check_archive(data)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            checkpoint = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        check_contents(checkpoint)
    except NOT_OURS as error:
        raise InputError(f"{path}: not a checkpoint of this project; {remedy(path)}") from error
    return dict(checkpoint)


def check_archive(data: bytes) -> None:
    """Refuse an archive that could hold more than its bytes, or other records than it seems to.

    Raises:
        ValueError: if a record is compressed, is there twice or lies elsewhere than where torch.save puts it.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        records = archive.infolist()
        names = {record.filename for record in records}
        if len(names) < len(records) or any(".." in name.split("/") for name in names):
            raise ValueError("a record is there twice, or climbs out of the archive")
        if any(record.compress_type != zipfile.ZIP_STORED for record in records):
            raise ValueError("a record is compressed")


def check_contents(checkpoint: dict[str, Any]) -> None:
    """Refuse what does not fit together, before anything is built from it.

    Raises:
        ValueError: if the contents do not have their form, or contradict each other.
    """
    if not fits(checkpoint, FORM) or not countable(checkpoint["loops"]):
        raise ValueError("the contents do not have the form of a checkpoint")
    options, weights = checkpoint["hyper_parameters"], checkpoint["state_dict"]
    j, hidden = options["num_features"], options["hidden_features"]
    net = {"0.weight": (hidden, j), "0.bias": (hidden,), "2.weight": (1, hidden), "2.bias": (1,)}
    shapes = {"mean": (j,), "scale": (j,), **{f"net.{name}": shape for name, shape in net.items()}}
    initial = checkpoint["callbacks"]["Figures"]["initial"]
    for tensors, expected in (weights, shapes), (initial, net):
        if {name: tuple(tensor.shape) for name, tensor in tensors.items()} != expected:
            raise ValueError("the weights do not have the shapes of their options")
        if not all(tensor.isfinite().all() for tensor in tensors.values()):
            raise ValueError("a weight is NaN or infinite")
    loop = checkpoint["loops"]["fit_loop"]
    steps = loop["epoch_loop.manual_optimization.optim_step_progress"]["total"]["completed"]
    (loader,) = loop["state_dict"]["combined_loader"] or [{"done": 0}]  # nothing is loaded before the first iteration
    if not steps == loader["done"] == checkpoint["global_step"]:
        raise ValueError("the iterations are counted differently in different places")
    (optimizer,) = checkpoint["optimizer_states"]
    (group,) = optimizer["param_groups"]
    if (group["lr"], group["params"]) != (options["lr"], list(range(len(net)))):
        raise ValueError("the optimizer is not the model's")
    if Version(checkpoint["pytorch-lightning_version"]) > Version(lightning.__version__):
        raise ValueError("the checkpoint is of a newer Lightning")


def fits(value: Any, form: Any) -> bool:
    """Whether a value has a form: a type, a union of types, a list of forms, or forms by key."""
    if form is ...:
        return True
    if isinstance(form, dict):
        known = form.keys() - {...}
        return (
            type(value) is dict
            and known <= value.keys()
            and (... in form or known == value.keys())
            and all(fits(item, form[key] if key in known else form[...]) for key, item in value.items())
        )
    if isinstance(form, list):
        if type(value) is not list:
            return False
        forms = form[:1] * len(value) if form[1:] == [...] else form
        return len(value) == len(forms) and all(map(fits, value, forms))
    if form is Tensor:  # its bytes are all in the file, so that looking at it allocates little
        plain = type(value) is Tensor and value.layout is torch.strided
        return plain and value.is_floating_point() and value.is_contiguous() and value.device.type == "cpu"
    return type(value) in (get_args(form) or (form,))


def countable(value: Any) -> bool:
    """Whether nothing but counts from 0 on, or flags, is in nested contents."""
    if isinstance(value, (dict, list)):
        return all(countable(item) for item in (value.values() if isinstance(value, dict) else value))
    return type(value) in (int, bool) and value >= 0


def remedy(path: Path) -> str:
    """Name the other checkpoint of the run, if there is one."""
    others = [other for other in (path.with_name("best.ckpt"), path.with_name("last.ckpt")) if other.exists()]
    others = [other for other in others if other.name != path.name]
    return f"use {others[0]}" if others else "use another one"
