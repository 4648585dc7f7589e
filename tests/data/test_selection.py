"""Subsets where they lie in the files, gathered into memory or streamed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from project.__main__ import main
from project.data import datamodule, selection
from project.data.batches import CPU
from project.data.selection import Selection, StreamedSubset
from project.data.split import TEST, TRAIN, VAL, split
from project.run import Run


def halved(features: Tensor) -> Tensor:
    return features / 2


def make(rows: int, seed: int, subset: int) -> tuple[Selection, torch.Tensor, torch.Tensor]:
    """Return a selection of numbered rows, and what it selects, by a loop over the rows."""
    arrays = [np.arange(2.0 * rows).reshape(rows, 2) + 1000 * label for label in (0, 1)]
    assignments = [split(rows, rows, seed, label) for label in (0, 1)]
    chosen = [
        (arrays[label][row], label) for label in (0, 1) for row in range(rows) if assignments[label][row] == subset
    ]
    features = torch.tensor(np.array([row for row, _ in chosen]), dtype=torch.float32)
    labels = torch.tensor([[label] for _, label in chosen], dtype=torch.uint8)
    return Selection(arrays, assignments, subset), features, labels


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(5, 60),
    seed=st.integers(0, 99),
    subset=st.sampled_from([TRAIN, VAL, TEST]),
    piece_rows=st.integers(1, 70),
    block_rows=st.integers(1, 70),
    data=st.data(),
)
def test_gathered_and_streamed_rows_are_those_of_a_loop(
    rows: int, seed: int, subset: int, piece_rows: int, block_rows: int, data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "BLOCK_ROWS", block_rows)
        chosen, features, labels = make(rows, seed, subset)
        gathered = chosen.gather(halved, CPU, torch.uint8)
        assert torch.equal(gathered.features, features / 2)
        assert torch.equal(gathered.labels, labels)
        streamed = StreamedSubset(chosen, halved, CPU)
        assert streamed.rows == len(labels)
        pieces = list(streamed.pieces(piece_rows))
        assert torch.equal(torch.cat([piece.features for piece in pieces]), features / 2)
        assert torch.equal(torch.cat([piece.labels for piece in pieces]), labels)
        assert sum(piece.weight for piece in pieces) == pytest.approx(1)
        assert all(piece.weight == len(piece.labels) / len(labels) for piece in pieces)
        numbers = torch.tensor(data.draw(st.permutations(range(len(labels)))))[: data.draw(st.integers(1, len(labels)))]
        taken = streamed.take(numbers)
        assert torch.equal(taken.features, features[numbers] / 2)
        assert torch.equal(taken.labels, labels[numbers])


@pytest.mark.parametrize("options", [[], ["--data.batch_size", "16"]], ids=["full batch", "mini-batch"])
def test_training_from_files_gives_the_history_of_training_in_memory(
    blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["fit", "--data.root", str(blobs), "--trainer.max_steps", "60", "--data.piece_rows", "13", *options]
    assert main([*command, "--name", "memory"]) == 0
    monkeypatch.setattr(datamodule, "free_memory", lambda _: 0)
    assert main([*command, "--name", "files"]) == 0
    memory, files = (Run(tmp_path / "lightning_logs" / name).history.read() for name in ("memory", "files"))
    for column in ("train_loss", "val_loss", "val_accuracy"):
        np.testing.assert_allclose(files[column], memory[column], rtol=1e-5)
