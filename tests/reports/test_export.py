"""Exported models."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from project import Run
from project.__main__ import main
from project.data import sample

pytestmark = pytest.mark.process


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize(("name", "output"), [("bce", "elsewhere.onnx"), ("notebook", None)])
def test_the_exported_model_answers_as_the_checkpoint_in_another_runtime(name: str, output: str | None) -> None:
    assert main(["export", "--name", name, *(["--output", output] if output else [])]) == 0
    session = onnxruntime.InferenceSession(Path(output or Run(name).path / "model.onnx").read_bytes())
    features = np.load(sample.ROOT / "class_0.npy").astype(np.float32)
    for rows in features, features[:1]:
        (probability,) = session.run(["probability"], {"features": rows})
        np.testing.assert_allclose(probability, Run(name).model()(rows).detach(), atol=1e-6)
