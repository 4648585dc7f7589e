"""Each row once an epoch, in an order that any iteration can resume, and where the rows are kept."""

import os
from itertools import chain, islice
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import seed_everything

from project.data import batches
from project.data.batches import Batch, Store, Subset, TrainingBatches, choose_store, free_memory, reserve

Pair = tuple[int, int]
seeds, piece_sizes = st.just(0) | st.integers(0, 2**64 - 1), st.integers(1, 45)
sizes = st.integers(1, 40).flatmap(lambda rows: st.tuples(st.just(rows), st.integers(1, rows)))  # rows, and of a batch


def numbered(rows: int) -> Subset:
    """Return rows that tell their own number and label, so that a mixed-up one shows; one process holds all."""
    numbers = torch.arange(float(rows))
    held = range(rows // 2), range(rows // 2, rows)
    return Subset(torch.stack([numbers, (numbers >= rows // 2).float()], 1), rows, held)


def row_numbers(batch: Batch) -> list[int]:
    features, labels = (torch.cat([piece[i] for piece in batch]) for i in (0, 1))
    assert torch.equal(features[:, 1:], labels)
    return [int(number) for number in features[:, 0].tolist()]


@given(sizes=sizes, piece_rows=piece_sizes, seed=seeds)
def test_each_row_comes_once_an_epoch(sizes: Pair, piece_rows: int, seed: int) -> None:
    rows, batch_size = sizes
    per_epoch = -(-rows // batch_size)
    loader = TrainingBatches(numbered(rows), batch_size, piece_rows, seed, 3 * per_epoch)
    taken = [row_numbers(batch) for batch in loader]
    assert len(loader) == len(taken)
    assert all(numbers == loader.rows(i).tolist() or batch_size == rows for i, numbers in enumerate(taken, 1))
    for start in range(0, len(taken), per_epoch):
        epoch = taken[start : start + per_epoch]
        assert {len(numbers) for numbers in epoch[:-1]} <= {batch_size}
        assert sorted(chain(*epoch)) == list(range(rows))


def test_seeds_and_epochs_have_orders_of_their_own() -> None:
    seeds = [TrainingBatches(numbered(100), 50, 50, seed, 1) for seed in range(5)]
    assert len({tuple(each.rows(2 * epoch + 1).tolist()) for each in seeds for epoch in range(5)}) == 25


@given(sizes=sizes, piece_rows=piece_sizes, seed=seeds, passed=st.integers(0, 23), iterations=st.integers(1, 12))
def test_a_resumed_pass_goes_on_exactly(sizes: Pair, piece_rows: int, seed: int, passed: int, iterations: int) -> None:
    """Wherever two passes are stopped, also between them, the rest of the pass and the next one go on from there."""
    rows, batch_size = sizes
    done = passed % (2 * iterations)
    passes, stopped = (TrainingBatches(numbered(rows), batch_size, piece_rows, seed, iterations) for _ in range(2))
    whole = [row_numbers(batch) for batch in chain(passes, passes)]
    before = [row_numbers(batch) for batch in islice(chain(stopped, stopped), done)]
    assert (stopped.done, stopped.state_dict()) == (done, {"seed": seed}), "a batch handed out counts as done"
    resumed = TrainingBatches(numbered(rows), batch_size, piece_rows, seed + 1, iterations, done)
    resumed.rows(1)  # A look at the rows of another seed must leave no trace, and global seeds must not matter.
    seed_everything(done, verbose=False)
    resumed.load_state_dict({"seed": seed})
    rest = [row_numbers(batch) for batch in resumed]
    assert len(rest) == iterations - done % iterations
    rest += [row_numbers(batch) for batch in islice(chain(resumed, resumed), len(whole) - resumed.done)]
    assert before + rest == whole
    longer = TrainingBatches(numbered(rows), batch_size, piece_rows, seed, 2 * iterations + 3, done)
    assert [row_numbers(batch) for batch in longer][:-3] == whole[done:], "a resumed pass may be longer"


def test_scratch_files_hold_rows_unseen_or_name_the_folder_that_has_no_room(tmp_path: Path, monkeypatch: Any) -> None:
    cpu, values = torch.device("cpu"), torch.randn(1000, 3)
    rows = Store(cpu, tmp_path).empty(1000, 3).copy_(values)
    assert torch.equal(rows, values)
    assert Store(cpu, tmp_path).empty(0, 3).shape == (0, 3)
    monkeypatch.setattr(batches, "reserve", Mock(side_effect=OSError(28, "No space left on device")))
    with pytest.raises(OSError, match=r"No space left on device .scratch file of the rows") as caught:
        Store(cpu, tmp_path).empty(10, 2)
    assert (caught.value.errno, caught.value.filename, list(tmp_path.iterdir())) == (28, str(tmp_path), [])


def test_every_reserved_byte_is_written_where_nothing_reserves_them(tmp_path: Path, monkeypatch: Any) -> None:
    """A file that was merely lengthened would meet the full disk later, when nothing but a signal can tell."""
    size, write = 3 * 2**20 + 5, Mock(side_effect=lambda file, data, write=os.write: write(file, data[: 2**18]))
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    monkeypatch.setattr(os, "write", write)
    with (tmp_path / "file").open("wb") as file:
        reserve(file.fileno(), size)
        assert (os.fstat(file.fileno()).st_size, write.call_count) == (size, 13)


def test_rows_go_to_files_where_machine_or_container_cannot_hold_them(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Mock(available=4000))
    monkeypatch.setattr(batches, "CONTAINER", tmp_path)
    (tmp_path / "memory.current").write_text("1000\n")
    for limit, free in ("9", 0), ("max", 4000), ("2000", 1000):
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        assert free_memory() == free
    cpu, meta = torch.device("cpu"), torch.device("meta")
    assert choose_store(125, cpu, 1, tmp_path) == choose_store(62, cpu, 2, tmp_path) == Store(cpu)
    assert choose_store(126, cpu, 1, tmp_path) == choose_store(63, cpu, 2, tmp_path) == Store(cpu, tmp_path)
    assert choose_store(10**9, meta, 1, tmp_path) == Store(meta), "which holds nothing"
