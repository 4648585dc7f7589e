"""A checkpoint as a self-contained model file: raw features in, probability out."""

import importlib.util
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from project.checkpoint import load, rebuild
from project.disk import write_whole
from project.errors import InputError
from project.model import BinaryClassifier

TOLERANCE = 1e-5  # of a probability; float32 leaves about 1e-7


def export(checkpoint: Path, output: Path, kind: type[BinaryClassifier] = BinaryClassifier) -> None:
    """Write an ONNX model: input ``features`` float32 (N, j), any N; output ``probability`` float32 (N, 1).

    Raises:
        InputError: if the checkpoint is not valid, or the packages of the extra ``onnx`` are missing.
        RuntimeError: if the exported model does not answer as the checkpoint's model does.
    """
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"export: {' and '.join(missing)} missing; install the extra with pip install 'project[onnx]'")
    model = rebuild(load(checkpoint, kind), kind)
    features = torch.from_numpy(probe(model))
    program = torch.onnx.export(
        model,
        (features,),
        input_names=["features"],
        output_names=["probability"],
        dynamic_shapes={"features": {0: torch.export.Dim("N", min=1)}},
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    exported = program.model_proto.SerializeToString()
    check(exported, model, features)
    write_whole(output, exported)
    print(f"written: {output}, raw features (N, {model.hparams['num_features']}) to probability (N, 1)")


def probe(model: BinaryClassifier) -> npt.NDArray[np.float32]:
    """Draw 64 rows of raw features from about where the training features lay."""
    scale = torch.where(model.scale > 0, 1 / model.scale, 1).numpy()
    normal = np.random.default_rng(0).normal(size=(64, len(scale)))
    return (model.mean.numpy() + 2 * scale * normal).astype(np.float32)


def check(exported: bytes, model: BinaryClassifier, features: torch.Tensor) -> None:
    """Compare the exported model, in the reference interpreter of ONNX, with the model itself, for two batch sizes."""
    import onnx.reference  # noqa: PLC0415 (an optional extra)

    evaluator = onnx.reference.ReferenceEvaluator(onnx.load_from_string(exported))
    for rows in features, features[:1]:
        (answer,) = evaluator.run(None, {"features": rows.numpy()})
        with torch.no_grad():
            expected = model(rows).numpy()
        assert isinstance(answer, np.ndarray)
        worst = float(np.abs(answer - expected).max())
        if answer.shape != expected.shape or not worst <= TOLERANCE:
            raise RuntimeError(f"the exported model differs from the checkpoint's by {worst} in probability")
