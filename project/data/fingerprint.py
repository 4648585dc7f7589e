"""What a checkpoint remembers of its data and split, so that no other rows pass for its test rows."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from project.data.split import Assignment
from project.errors import InputError

BLOCK_BYTES = 1 << 20

Fingerprint = dict[str, Any]


def fingerprint(files: list[Path], assignments: list[Assignment], seed: int, rows: dict[str, int]) -> Fingerprint:
    """Describe the class files and which of their rows went where.

    Args:
        files: class_0.npy and class_1.npy.
        assignments: the subset of each of their rows, uint8 (N,).
        seed: what the split was made from.
        rows: how many rows each subset has.
    """
    return {
        "sha256": [hash_file(file) for file in files],
        "seed": seed,
        "rows": rows,
        "split": _hash(assignment.data for assignment in assignments),
    }


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, as sha256sum prints it."""
    with path.open("rb") as file:
        return _hash(iter(lambda: file.read(BLOCK_BYTES), b""))


def _hash(blocks: Iterable[bytes | memoryview]) -> str:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


def check_same(root: Path, here: Fingerprint, trained_on: Fingerprint) -> None:
    """Refuse a checkpoint of other data or another split: rows it was trained on could be among the test rows.

    Raises:
        InputError: if the two fingerprints differ.
    """
    if trained_on["sha256"] != here["sha256"]:
        raise InputError(
            f"{root}: the checkpoint was trained on other data (sha256 {trained_on['sha256'][0][:12]}..., "
            f"{trained_on['sha256'][1][:12]}...); name its folder with --data.root"
        )
    if trained_on != here:
        raise InputError(
            f"--data.seed: the checkpoint was trained on split seed {trained_on['seed']} with rows "
            f"{trained_on['rows']}, not {here['seed']} with {here['rows']}; leave the data options out"
        )
