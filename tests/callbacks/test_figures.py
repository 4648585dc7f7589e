"""What the callback hands to the figures: all rows, each in its class and subset, as dots or as densities."""

from pathlib import Path

import numpy as np
import pytest

from project.callbacks import Figures
from project.callbacks import figures as module
from project.data import NpyDataModule
from project.figures.density import Density


@pytest.mark.parametrize("most", [20_000, 10])
def test_every_row_is_drawn_in_its_class(blobs: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(module, "MAX_DOTS", most)
    data = NpyDataModule(blobs)
    data.setup("fit")
    figures = Figures()
    figures._look_at(data)
    for name, clouds in figures.clouds.items():
        subset = getattr(data, name)
        for label, cloud in enumerate(clouds):
            expected = subset.features.numpy()[subset.labels[:, 0].numpy() == label]
            if isinstance(cloud, Density):
                assert cloud.rows == len(expected)
                centres = [(edges[1:] + edges[:-1]) / 2 for edges in cloud.edges]
                mean = [(cloud.counts.sum(0) @ centres[0]), (cloud.counts.sum(1) @ centres[1])]
                np.testing.assert_allclose(np.array(mean) / cloud.rows, expected.mean(0), atol=0.1)
            else:
                np.testing.assert_array_equal(cloud, expected)
