"""Checkpoints, written whole and believed only if they rebuild.

Its bytes match their digest, hold nothing but numbers, text and tensors, and the classifier that its options describe
wants tensors of just these names, shapes and types. The digest tells damage, not authorship: who made a checkpoint has
chosen its weights and what an optimizer remembers, though not its options, which are compared with yours. Of a run
folder that you received, commands take numbers and names, and never a class or a path to write to.
"""

import hashlib
import io
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import LightningModule
from torch import Tensor

from project.errors import DivergedError, InputError
from project.model import BinaryClassifier
from project.runs.disk import write_whole

DIGEST_BYTES = 64
NEEDED = {"state_dict", "hyper_parameters", "initial", "fingerprint", "loops", "optimizer_states", "global_step"}
PLAIN = (type(None), bool, int, float, str, bytes)  # Nothing else can be loaded without running a program.
Contents = Mapping[str, Any]


class DigestCheckpointIO(TorchCheckpointIO):
    """Checkpoints of one class of models that are written whole or not at all, and carry a digest of their bytes.

    A kill can tear what Lightning's own writer moves from $TMPDIR, and ``torch.load`` checks no CRC: a changed byte can
    load as another weight. The digest is the comment of ``torch.save``'s zip archive, so ``torch.load`` reads it too.
    """

    def __init__(self, kind: Callable[..., LightningModule] = BinaryClassifier) -> None:
        self.kind = kind
        self._believable = False

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint; what ``load`` would refuse raises DivergedError, TypeError or ValueError."""
        contents = canonical(checkpoint)
        for name, tensor in contents["state_dict"].items():
            if not tensor.isfinite().all():
                raise diverged(f"{name} is not finite", contents["global_step"], Path(path).with_name("last.ckpt"))
        if not self._believable:  # Later ones differ in their numbers alone.
            check_rebuilds(contents, self.kind)
            self._believable = True
        torch.save(contents, buffer := io.BytesIO())
        body = buffer.getvalue()[:-2] + DIGEST_BYTES.to_bytes(2, "little")
        write_whole(Path(path), body + hashlib.sha256(body).hexdigest().encode())

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        return load(Path(path), self.kind)


def diverged(what: str, step: int, last: Path) -> DivergedError:
    """Describe training that left the finite numbers, and name the checkpoint that is still good, if there is one."""
    good, option = "", "--model.lr"
    if last.exists():
        contents = torch.load(last, weights_only=True)
        _, (rate, *_) = optimizer_of(contents)
        what = f"{what} at step {step} (lr={rate})"
        good = f"last good checkpoint {last} (step {contents['global_step']}); "
        option = rate_option(rate, contents["hyper_parameters"])
    return DivergedError(f"training diverged: {what}; {good}try a smaller {option}")


def optimizer_of(contents: Contents) -> tuple[str, list[float]]:
    """Return class and first rates of the optimizer; a checkpoint that does not tell is of the model's own SGD."""
    return contents.get("optimizers", ["SGD"])[0], first_rates(contents["optimizer_states"][0]["param_groups"])


def first_rates(groups: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return the rates that groups of an optimizer's parameters began with, before a scheduler changed them."""
    return [float(group.get("first_lr", group["lr"])) for group in groups]


def rate_option(rate: float, options: Mapping[str, Any]) -> str:
    """Return the option that a first rate came from: the model's own, or that of an optimizer beside it."""
    return "--model.lr" if rate == options["lr"] else "--optimizer.lr"


def canonical(value: Any) -> Any:
    """Copy nested contents so that equal contents become equal bytes: pickle writes an object once, not a value."""
    if isinstance(value, str):
        return sys.intern(value)
    if isinstance(value, dict):
        return {canonical(key): canonical(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(canonical(item) for item in value)
    if type(value) not in PLAIN and not isinstance(value, Tensor):  # A numpy number is a float, and no plain one.
        raise TypeError(f"{value!r} cannot be kept in a checkpoint; need plain numbers, text or tensors")
    return value


def load(path: Path, kind: Callable[..., LightningModule] = BinaryClassifier) -> dict[str, Any]:
    """Read a checkpoint of a class of models, and execute nothing in it; one that is not ours is an InputError."""
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint; name a file with --ckpt_path, or run fit first")
    others = [path.with_name(name) for name in ("best.ckpt", "last.ckpt") if name != path.name]
    remedy = next((f"use {other}" for other in others if other.exists()), "use another one")
    data = path.read_bytes()
    if hashlib.sha256(data[:-DIGEST_BYTES]).hexdigest().encode() != data[-DIGEST_BYTES:]:
        raise InputError(f"{path}: damaged, or not a checkpoint of this project; {remedy}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            contents = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        check_rebuilds(contents, kind)
    except Exception as error:  # Hostile bytes make torch raise anything, and nothing of it is to be believed.
        reason = "".join(filter(str.isprintable, str(error).partition("\n")[0]))[:200] or type(error).__name__
        raise InputError(f"{path}: not a checkpoint of this project ({reason}); {remedy}") from error
    return dict(contents)


def check_rebuilds(contents: Contents, kind: Callable[..., LightningModule]) -> None:
    """Raise an error if the classifier that the options describe would have other entries."""
    if missing := NEEDED - contents.keys():
        raise ValueError(f"it lacks {', '.join(sorted(missing))}")
    with torch.device("meta"):
        model = kind(**contents["hyper_parameters"])
    initial, steps = dict(model.named_parameters()), len(contents.get("snapshot_steps", []))
    taken = {name: weights.expand(steps, *weights.shape) for name, weights in initial.items() if steps}
    tensors = {"state_dict": model.state_dict(), "initial": initial, "snapshots": taken}
    for name, wanted in {"hyper_parameters": model.hparams, **tensors}.items():
        found = contents.get(name, {})
        if different := found.keys() ^ wanted.keys():
            raise ValueError(f"{name} is of another version: {', '.join(sorted(different))}")
        for key, tensor in found.items() if name in tensors else ():
            # A tensor that is not contiguous can claim more numbers than the file holds.
            plain = type(tensor) is Tensor and tensor.is_contiguous() and tensor.dtype == wanted[key].dtype
            if not plain or tensor.shape != wanted[key].shape or not tensor.isfinite().all():
                raise ValueError(f"{name} has a {key} that the options do not fit")


def rebuild(contents: Contents, kind: type[BinaryClassifier], others: Mapping[str, Tensor] = {}) -> BinaryClassifier:
    """Return the model of a checkpoint, ready to predict, as it was saved or with other parameters."""
    model = kind(**contents["hyper_parameters"])
    model.load_state_dict({**contents["state_dict"], **others})
    return model.eval()


def snapshots(contents: Contents, kind: type[BinaryClassifier]) -> dict[int, BinaryClassifier]:
    """Return by iteration the model before training, where snapshots were taken, and as it was saved."""
    models = {0: rebuild(contents, kind, contents["initial"])}
    for place, step in enumerate(contents["snapshot_steps"]):
        models[step] = rebuild(contents, kind, {name: each[place] for name, each in contents["snapshots"].items()})
    return {**models, contents["global_step"]: rebuild(contents, kind)}
