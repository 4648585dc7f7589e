"""A checkpoint as a self-contained ONNX file: raw features in, probability out."""

import importlib.util
from pathlib import Path

import torch

from project.errors import InputError
from project.model import BinaryClassifier
from project.runs.checkpoint import load, rebuild
from project.runs.disk import write_whole


def export(checkpoint: Path, output: Path, kind: type[BinaryClassifier] = BinaryClassifier) -> None:
    """Write an ONNX model: input ``features`` float32 (N, j), any N; output ``probability`` float32 (N, 1)."""
    if missing := [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]:
        raise InputError(f"export: {' and '.join(missing)} missing; install the extra with pip install 'project[onnx]'")
    model = rebuild(load(checkpoint, kind), kind)
    num_features = model.hparams["num_features"]
    rows, shapes = (torch.zeros(2, num_features),), {"features": {0: torch.export.Dim("N", min=1)}}
    program = torch.onnx.export(
        model, rows, input_names=["features"], output_names=["probability"], dynamic_shapes=shapes, verbose=False
    )
    assert program is not None
    write_whole(output, program.model_proto.SerializeToString())
    print(f"written: {output}, raw features (N, {num_features}) to probability (N, 1)")
