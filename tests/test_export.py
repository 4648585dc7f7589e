"""Exported models."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from project.__main__ import main
from project.data import sample
from project.export import load_classifier
from project.run import Run


@pytest.mark.parametrize("name", ["bce", "notebook"])
def test_the_exported_model_answers_as_the_checkpoint_in_another_runtime(workplace: Path, name: str) -> None:
    output = workplace / "model.onnx"
    assert main(["export", "--name", name, "--output", str(output)]) == 0
    session = onnxruntime.InferenceSession(output.read_bytes())
    features = np.load(sample.ROOT / "class_0.npy").astype(np.float32)
    model = load_classifier(Run(workplace / "lightning_logs" / name).last)
    for rows in features, features[:1], features[:7]:
        (probability,) = session.run(["probability"], {"features": rows})
        with torch.no_grad():
            np.testing.assert_allclose(probability, model(torch.from_numpy(rows)), atol=1e-6)


def test_the_file_goes_into_the_run_unless_named(workplace: Path) -> None:
    checkpoint = workplace / "lightning_logs" / "mse" / "checkpoints" / "best.ckpt"
    assert main(["export", "--ckpt_path", str(checkpoint)]) == 0
    assert (workplace / "lightning_logs" / "mse" / "model.onnx").exists()
