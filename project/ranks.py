"""What the processes of one run tell each other, and what is said when one of them is missing."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from project.errors import LostRankError


def several_ranks() -> bool:
    """Whether the run has several processes, and they can talk."""
    return dist.is_available() and dist.is_initialized()


def add_over_ranks(tensors: list[Tensor]) -> None:
    """Replace tensors of one dtype by their sums over all processes, in one exchange."""
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(flat)
    for tensor, total in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(total.view_as(tensor))


def greatest_over_ranks(value: int, device: torch.device) -> int:
    """Return the greatest of the values that the processes have, each of them at least 0."""
    if not several_ranks():
        return value
    greatest = torch.tensor(value, device=device)
    dist.all_reduce(greatest, dist.ReduceOp.MAX)
    return int(greatest)


@contextmanager
def losing_no_rank() -> Iterator[None]:
    """Say so if another process of the run ends: torch raises RuntimeErrors of many texts.

    Raises:
        LostRankError: where a process was to be heard, and was not.
    """
    try:
        yield
    except RuntimeError as error:
        if several_ranks() and re.search("peer|Broken pipe|NCCL|[Tt]imed out", str(error)):
            raise LostRankError(
                "another process of this run has ended; go on from its checkpoint with --ckpt_path last"
            ) from error
        raise


def rank_prefix() -> str:
    """Return what tells lines of several processes apart: nothing for the first one."""
    return f"rank {dist.get_rank()}: " if several_ranks() and dist.get_rank() else ""
