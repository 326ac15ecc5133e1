"""ONNX models against the loop over timesteps, in onnxruntime and in ONNX's own reference."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from mpo_snn.encoding import encode
from mpo_snn.export.nir_export import export_nir
from mpo_snn.export.to_onnx.build import build_onnx
from mpo_snn.unroll import Unrolled

from .networks import NETWORKS, T, settled

RESETS = [("zero", "step"), ("zero", "next"), ("subtract", "step"), ("subtract", "next")]
RESETS += [("none", "step")]


def steps_of(model: onnx.ModelProto, inputs: np.ndarray) -> np.ndarray:
    """Outputs of all timesteps as a user of onnxruntime gets them."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    batch = inputs.shape[1]
    states = {
        value.name: np.zeros((batch, *value.shape[1:]), np.float32)
        for value in session.get_inputs()
        if value.name != "input"
    }
    outputs = []
    for x in inputs:
        output, *after = session.run(
            ["output", *(f"{name}.next" for name in states)], {"input": x, **states}
        )
        outputs.append(output)
        states = dict(zip(states, after, strict=True))
    return np.stack(outputs)


def outputs_of(network: torch.nn.Module, samples: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return Unrolled(network, T)(encode(samples, T))


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize(("reset", "timing"), RESETS)
def test_a_model_of_one_timestep_equals_the_network(kind, reset, timing):
    network, samples = settled(kind, reset=reset, reset_timing=timing)
    export = export_nir(network, kind.input_shape)
    model = build_onnx(export.graph, 1e-4, export.spiking)
    onnx.checker.check_model(model, full_check=True)
    outputs = steps_of(model, encode(samples, T).numpy())
    np.testing.assert_allclose(outputs, outputs_of(network, samples).numpy(), atol=2e-6)


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize(("reset", "timing"), RESETS)
def test_a_model_over_all_timesteps_equals_the_network_in_float64(kind, reset, timing):
    network, samples = settled(kind, reset=reset, reset_timing=timing)
    export = export_nir(network, kind.input_shape)
    model = build_onnx(export.graph, 1e-4, export.spiking, timesteps=T, precision="float64")
    onnx.checker.check_model(model, full_check=True)
    (scores,) = ReferenceEvaluator(model).run(None, {"input": samples.double().numpy()})
    expected = outputs_of(network.double(), samples.double()).mean(0)
    np.testing.assert_allclose(scores, expected.numpy(), rtol=1e-12, atol=1e-13)
