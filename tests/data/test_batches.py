"""Each row once an epoch, resumable anywhere, and pieces that add up to their batch."""

import json
import math
from itertools import chain, islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch import seed_everything
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy

from project.data.batches import Batch, Loader, Subset, TrainingBatches

seeds = st.just(0) | st.integers(0, 2**64 - 1)
piece_sizes = st.integers(1, 45)


def alone(features: Tensor, labels: Tensor) -> Subset:
    """A subset that one process holds whole."""
    rows = len(labels)
    return Subset(features, labels, rows, (range(rows // 2), range(rows // 2, rows)))


def numbered(rows: int) -> Subset:
    """Rows that tell their own number twice, so that a mixed-up row or label shows."""
    numbers = torch.arange(float(rows))
    return alone(torch.stack([numbers, -numbers], 1), numbers[:, None])


def row_numbers(batch: Batch) -> list[int]:
    features = torch.cat([piece.features for piece in batch])
    labels = torch.cat([piece.labels for piece in batch])
    assert torch.equal(features, torch.cat([labels, -labels], 1))
    return [int(number) for number in labels[:, 0].tolist()]


@st.composite
def sizes(draw: st.DrawFn) -> tuple[int, int]:
    """Rows of a subset, and a batch size it allows."""
    rows = draw(st.integers(1, 40))
    return rows, draw(st.integers(1, rows))


@given(rows=st.integers(1, 40), piece_rows=piece_sizes)
def test_pieces_are_the_batch_in_order_and_weigh_what_they_hold(rows: int, piece_rows: int) -> None:
    pieces = numbered(rows).whole(piece_rows)
    whole, rest = divmod(rows, piece_rows)
    assert [len(piece.labels) for piece in pieces] == [piece_rows] * whole + [rest] * (rest > 0)
    assert row_numbers(pieces) == list(range(rows))
    assert [piece.weight for piece in pieces] == [len(piece.labels) / rows for piece in pieces]
    assert math.fsum(piece.weight for piece in pieces) == pytest.approx(1, abs=1e-15)


@given(sizes=sizes(), piece_rows=piece_sizes, seed=seeds)
@settings(deadline=None)
def test_each_row_comes_once_an_epoch(sizes: tuple[int, int], piece_rows: int, seed: int) -> None:
    rows, batch_size = sizes
    per_epoch = -(-rows // batch_size)
    batches = TrainingBatches(numbered(rows), batch_size, piece_rows, seed, 3 * per_epoch)
    taken = [row_numbers(batch) for batch in batches]
    assert len(batches) == len(taken) == 3 * per_epoch
    for epoch in range(3):
        of_epoch = taken[epoch * per_epoch : (epoch + 1) * per_epoch]
        assert [len(numbers) for numbers in of_epoch[:-1]] == [batch_size] * (per_epoch - 1)
        assert sorted(number for numbers in of_epoch for number in numbers) == list(range(rows))


@given(sizes=sizes(), pieces=st.tuples(piece_sizes, piece_sizes), seed=seeds, iteration=st.integers(1, 10**9))
@settings(deadline=None)
def test_the_rows_depend_on_seed_and_iteration_alone(
    sizes: tuple[int, int], pieces: tuple[int, int], seed: int, iteration: int
) -> None:
    rows, batch_size = sizes
    seed_everything(0, verbose=False)
    first = TrainingBatches(numbered(rows), batch_size, pieces[0], seed, 10)
    for earlier in (1, 2, iteration + 3, iteration):
        first.rows(earlier)
    seed_everything(1, verbose=False)
    second = TrainingBatches(numbered(rows), batch_size, pieces[1], seed, 10**9, iteration)
    assert torch.equal(first.rows(iteration), second.rows(iteration))
    assert row_numbers(first.batch(iteration)) == row_numbers(second.batch(iteration))


def test_a_batch_holds_the_rows_of_its_iteration() -> None:
    batches = TrainingBatches(numbered(10), 4, 3, 0, 9)
    for iteration, batch in enumerate(batches, 1):
        assert row_numbers(batch) == batches.rows(iteration).tolist()
        assert [len(piece.labels) for piece in batch] == ([2] if iteration % 3 == 0 else [3, 1])


def test_seeds_and_epochs_have_orders_of_their_own() -> None:
    orders = {
        tuple(TrainingBatches(numbered(100), 50, 50, seed, 1).rows(2 * epoch + 1).tolist())
        for seed in range(5)
        for epoch in range(5)
    }
    assert len(orders) == 25


@given(sizes=sizes(), piece_rows=piece_sizes, seed=seeds, iterations=st.integers(1, 12), data=st.data())
@settings(deadline=None)
def test_a_resumed_pass_continues_exactly(
    sizes: tuple[int, int], piece_rows: int, seed: int, iterations: int, data: st.DataObject
) -> None:
    """Wherever two passes are stopped, also between them, the rest of the pass and the next one go on from there."""
    rows, batch_size = sizes
    done = data.draw(st.integers(0, 2 * iterations - 1))
    passes = TrainingBatches(numbered(rows), batch_size, piece_rows, seed, iterations)
    whole = [row_numbers(batch) for batch in chain(passes, passes)]
    assert len(whole) == passes.done == 2 * iterations
    stopped = TrainingBatches(numbered(rows), batch_size, piece_rows, seed, iterations)
    before = [row_numbers(batch) for batch in islice(chain(stopped, stopped), done)]
    assert stopped.done == done, "a batch handed out counts as done"
    resumed = TrainingBatches(numbered(rows), batch_size, piece_rows, seed + 1, iterations, done)
    resumed.rows(1)  # A look at the rows of the seed before must leave no trace.
    resumed.load_state_dict(json.loads(json.dumps(stopped.state_dict())))
    rest = [row_numbers(batch) for batch in resumed]
    assert len(rest) == iterations - done % iterations
    assert before + rest == whole[: done + len(rest)]
    next_pass = islice(chain(resumed, resumed), len(whole) - resumed.done)
    assert [row_numbers(batch) for batch in next_pass] == whole[done + len(rest) :]


def test_a_resumed_pass_may_be_longer() -> None:
    batches = TrainingBatches(numbered(10), 4, 4, 7, 5, 3)
    longer = TrainingBatches(numbered(10), 4, 4, 0, 8, 3)
    longer.load_state_dict(batches.state_dict())
    assert [row_numbers(batch) for batch in longer][:2] == [row_numbers(batch) for batch in batches]
    assert (longer.done, batches.done) == (8, 5)


def some_rows(rows: int, seed: int) -> Subset:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, 3, generator=generator)
    return alone(features, torch.randint(0, 2, (rows, 1), generator=generator).float())


def some_net(seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1), nn.Sigmoid()).double()


def mean_loss(net: nn.Module, features: Tensor, labels: Tensor) -> Tensor:
    return binary_cross_entropy(net(features.double()), labels.double())


def gradient(net: nn.Module) -> Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in net.parameters() if parameter.grad is not None])


@given(sizes=sizes(), piece_rows=piece_sizes, seed=st.integers(0, 999), iteration=st.integers(1, 30))
@settings(deadline=None, max_examples=50)
def test_the_pieces_add_up_to_the_loss_and_the_gradient_of_the_uncut_batch(
    sizes: tuple[int, int], piece_rows: int, seed: int, iteration: int
) -> None:
    rows, batch_size = sizes
    subset = some_rows(rows, seed)
    batches = TrainingBatches(subset, batch_size, piece_rows, seed, 30)
    cut_net, uncut_net = some_net(seed), some_net(seed)
    losses = []
    for features, labels, weight in batches.batch(iteration):
        loss = weight * mean_loss(cut_net, features, labels)
        loss.backward()
        losses.append(loss.item())
    numbers = batches.rows(iteration)
    uncut = mean_loss(uncut_net, subset.features[numbers], subset.labels[numbers])
    uncut.backward()
    assert math.fsum(losses) == pytest.approx(uncut.item(), rel=1e-12)
    torch.testing.assert_close(gradient(cut_net), gradient(uncut_net), rtol=1e-10, atol=1e-14)


def test_a_loader_is_sized_and_can_be_read_again() -> None:
    loader = Loader(["a", "b"])
    assert len(loader) == 2
    assert list(loader) == list(loader) == ["a", "b"]
