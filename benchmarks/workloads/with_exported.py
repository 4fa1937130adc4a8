"""Runtimes for inference, given the torch module: ONNX Runtime and OpenVINO."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from workloads.definition import Build, Ready
from workloads.described import Description
from workloads.networks import Case
from workloads.with_torch import Twin, channels_first


def _module(folder: Path) -> tuple[Twin, torch.Tensor]:
    given = Description(folder)
    return Twin(given, logits=False).eval(), channels_first(given.x).contiguous()


def onnxruntime(case: Case, folder: Path) -> Build:
    """A session of the exported module; it takes NumPy arrays."""
    import onnxruntime

    module, x = _module(folder)
    torch.onnx.export(module, (x,), str(folder / "model.onnx"), dynamo=False)

    def build() -> Ready:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options)
        given = {session.get_inputs()[0].name: x.numpy()}
        return Ready(lambda: session.run(None, given)[0])

    return build


def openvino(case: Case, folder: Path) -> Build:
    """The converted module, in float32."""
    import openvino

    module, x = _module(folder)
    made = openvino.convert_model(module, example_input=x)
    settings = {
        "INFERENCE_NUM_THREADS": int(os.environ["OMP_NUM_THREADS"]),
        "INFERENCE_PRECISION_HINT": "f32",
    }

    def build() -> Ready:
        compiled, given = openvino.Core().compile_model(made, "CPU", settings), x.numpy()
        return Ready(lambda: compiled(given)[0])

    return build
