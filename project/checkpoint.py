"""How a checkpoint reaches the disk whole, and how it is believed again."""

import hashlib
import io
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from project.disk import write_whole
from project.errors import InputError

DIGEST_BYTES = 64


class DigestCheckpointIO(TorchCheckpointIO):
    """Checkpoints that are written whole or not at all, and that carry a digest of their bytes.

    Lightning's own writer moves a file from $TMPDIR over the target, which a kill can tear where that is another file
    system, and ``torch.load`` checks no CRC: a changed byte can load as another weight.

    The digest is the comment of the zip archive that ``torch.save`` writes, so plain ``torch.load`` reads the file too.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        body = buffer.getvalue()[:-2] + DIGEST_BYTES.to_bytes(2, "little")
        write_whole(Path(path), body + hashlib.sha256(body).hexdigest().encode())

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        return load(Path(path))


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint that this project wrote; nothing in it is executed.

    Raises:
        InputError: if it is missing, damaged or not one of ours.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint; name one with --ckpt_path, or run fit first")
    data = path.read_bytes()
    body, digest = data[:-DIGEST_BYTES], data[-DIGEST_BYTES:]
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise InputError(f"{path}: damaged, or not a checkpoint of this project; use another one")
    checkpoint: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return checkpoint
