"""How a checkpoint reaches the disk whole, and how it is believed again.

It is believed because it rebuilds: its bytes match their digest, they hold nothing but numbers, text and tensors, and
the classifier that its options describe wants tensors of just these names, shapes and types.
"""

import copy
import hashlib
import io
import sys
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import Trainer
from lightning.pytorch.core.optimizer import _init_optimizers_and_lr_schedulers
from torch import Tensor

from project.disk import write_whole
from project.errors import DivergedError, InputError
from project.model import BinaryClassifier

DIGEST_BYTES = 64
PLAIN = (type(None), bool, int, float, str, bytes, Tensor)  # Nothing else can be loaded without running a program.


class DigestCheckpointIO(TorchCheckpointIO):
    """Checkpoints that are written whole or not at all, and that carry a digest of their bytes.

    Lightning's own writer moves a file from $TMPDIR over the target, which a kill can tear where that is another file
    system, and ``torch.load`` checks no CRC: a changed byte can load as another weight.

    The digest is the comment of the zip archive that ``torch.save`` writes, so plain ``torch.load`` reads the file too.

    Args:
        kind: the class of the model.
    """

    def __init__(self, kind: type[BinaryClassifier] = BinaryClassifier) -> None:
        self.kind = kind

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint that ``load`` will believe.

        Raises:
            DivergedError: if a weight is not finite.
            TypeError, ValueError: if it holds what ``load`` would refuse.
            OSError: if the disk is full or read-only.
        """
        contents = canonical(checkpoint)
        for name, tensor in contents["state_dict"].items():
            if not tensor.isfinite().all():
                raise diverged(f"{name} is not finite", contents["global_step"], Path(path).with_name("last.ckpt"))
        check_rebuilds(contents, self.kind)
        buffer = io.BytesIO()
        torch.save(contents, buffer)
        body = buffer.getvalue()[:-2] + DIGEST_BYTES.to_bytes(2, "little")
        write_whole(Path(path), body + digest(body))

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        return load(Path(path), self.kind)


def diverged(what: str, step: int, last: Path) -> DivergedError:
    """Describe training that left the finite numbers, and name the checkpoint that is still good, if there is one."""
    good = ""
    if last.exists():
        contents = torch.load(last, weights_only=True)
        what = f"{what} at step {step} (lr={contents['hyper_parameters']['lr']})"
        good = f"last good checkpoint {last} (step {contents['global_step']}); "
    return DivergedError(f"training diverged: {what}; {good}try a smaller --model.lr")


def digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def canonical(value: Any) -> Any:
    """Copy nested contents so that equal contents become equal bytes: pickle writes an object once, not a value.

    Raises:
        TypeError: if a value is of a type that cannot be loaded again.
    """
    if isinstance(value, str):
        return sys.intern(value)
    if isinstance(value, dict):
        return {canonical(key): canonical(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(canonical(item) for item in value)
    if not isinstance(value, PLAIN):
        raise TypeError(
            f"{value!r} of {type(value)} cannot be kept in a checkpoint; need plain numbers, text or tensors"
        )
    return value


def load(path: Path, kind: type[BinaryClassifier] = BinaryClassifier) -> dict[str, Any]:
    """Read a checkpoint that this project wrote; nothing in it is executed.

    Args:
        path: the file.
        kind: the class of the model.

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
            contents = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        check_rebuilds(contents, kind)
    except Exception as error:  # Hostile bytes make torch raise anything, and nothing of it is to be believed.
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise InputError(f"{path}: not a checkpoint of this project ({reason}); {remedy(path)}") from error
    return dict(contents)


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


def check_rebuilds(contents: Mapping[str, Any], kind: type[BinaryClassifier]) -> None:
    """Refuse contents that the classifier of their options does not fit.

    Raises:
        ValueError: if they lack something, or a tensor is not as the classifier wants it.
        TypeError: if the classifier does not know the options.
    """
    expected = {"state_dict", "hyper_parameters", "initial", "fingerprint", "loops", "optimizer_states", "global_step"}
    if missing := expected - contents.keys():
        raise ValueError(f"it lacks {', '.join(sorted(missing))}")
    with torch.device("meta"):
        model = kind(**contents["hyper_parameters"])
    for name, wanted in ("state_dict", model.state_dict()), ("initial", dict(model.named_parameters())):
        tensors = contents[name]
        if tensors.keys() != wanted.keys():
            raise ValueError(f"{name} is of another version: {' '.join(sorted(tensors.keys() ^ wanted.keys()))}")
        for key, tensor in tensors.items():
            # A tensor that is not contiguous can claim more numbers than the file holds.
            plain = type(tensor) is Tensor and tensor.is_contiguous() and tensor.dtype == wanted[key].dtype
            if not plain or tensor.shape != wanted[key].shape or not tensor.isfinite().all():
                raise ValueError(f"{name} has a {key} that the options do not fit")


def check_resumes(contents: Mapping[str, Any], trainer: Trainer, model: BinaryClassifier) -> None:
    """Refuse a training state that a trainer and the optimizer of a model do not know, before any of it is restored.

    Raises:
        InputError: if it is not of their form.
    """
    model.trainer = trainer
    (optimizer,), schedulers = _init_optimizers_and_lr_schedulers(model)
    optimizer = copy.deepcopy(optimizer)
    try:
        (state,) = contents["optimizer_states"]
        check_form(contents["loops"]["fit_loop"], trainer.fit_loop.state_dict(), "loops.fit_loop")
        if not schedulers:  # Otherwise the options say what it began with, and the scheduler what became of it.
            check_form(state["param_groups"], optimizer.state_dict()["param_groups"], "param_groups", same=True)
        optimizer.load_state_dict(state)
        for config, kept in zip(schedulers, contents["lr_schedulers"], strict=True):
            check_form(kept.keys(), config.scheduler.state_dict().keys(), "lr_schedulers", same=True)
        for weights, values in optimizer.state.items():
            if any(v.ndim and v.shape != weights.shape for v in values.values() if isinstance(v, Tensor)):
                raise ValueError("the optimizer's state does not fit the weights")
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"--ckpt_path: its training state cannot be resumed: {error}") from error


def check_form(value: Any, form: Any, name: str, same: bool = False) -> None:
    """Refuse nested counts that are not where a fresh trainer has counts or, if asked, values that are not the same."""
    if same:
        if value != form:
            raise ValueError(f"{name} is {value}, not {form}")
    elif isinstance(form, dict):
        if type(value) is not dict or (form and value.keys() != form.keys()):
            raise ValueError(f"{name} is not of this version")
        for key in form:
            check_form(value[key], form[key], f"{name}.{key}")
    elif type(value) is not type(form) or value < 0:
        raise ValueError(f"{name} is {value}")


def rebuild(contents: Mapping[str, Any], kind: type[BinaryClassifier], initial: bool = False) -> BinaryClassifier:
    """Return the model of a checkpoint, ready to predict: as it was saved, or as it was before the first iteration."""
    model = kind(**contents["hyper_parameters"])
    model.load_state_dict({**contents["state_dict"], **(contents["initial"] if initial else {})})
    return model.eval()


def remedy(path: Path) -> str:
    """Name the other checkpoint of the run, if there is one."""
    others = [other for other in (path.with_name("best.ckpt"), path.with_name("last.ckpt")) if other.exists()]
    others = [other for other in others if other.name != path.name]
    return f"use {others[0]}" if others else "use another one"
