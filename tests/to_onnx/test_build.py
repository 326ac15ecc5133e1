"""Models of networks against the networks, in onnxruntime and in ONNX's own reference."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from mpo_snn.encoding import encode
from mpo_snn.errors import ExportError, GraphError
from mpo_snn.export.nir_export import export_nir
from mpo_snn.export.to_onnx.build import build_onnx
from mpo_snn.readout import READOUTS
from mpo_snn.unroll import Unrolled
from tests.export.networks import NETWORKS, ConvNet, Dense, Residual, Synaptic, T, settled
from tests.to_onnx.run import all_steps, in_onnxruntime, in_reference

RESETS = [("zero", "step"), ("zero", "next"), ("subtract", "step"), ("subtract", "next")]
RESETS += [("none", "step")]
STATES = {
    ConvNet: ["lif1.membrane", "lif2.membrane"],
    Residual: ["lif0.membrane", "lif1.membrane", "lif2.membrane"],
    Dense: ["lif1.membrane", "lif2.membrane"],
    Synaptic: ["lif1.membrane", "lif1.synapse", "lif2.membrane", "lif2.synapse"],
}


def outputs_of(network: torch.nn.Module, samples: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return Unrolled(network, T)(encode(samples, T))


def built(kind: type, reset: str = "zero", timing: str = "step", **options):
    network, samples = settled(kind, reset=reset, reset_timing=timing)
    export = export_nir(network, kind.input_shape)
    return network, samples, build_onnx(export.graph, 1e-4, export.spiking, **options)


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize(("reset", "timing"), RESETS)
def test_one_timestep_equals_the_network(kind, reset, timing):
    network, samples, model = built(kind, reset, timing)
    onnx.checker.check_model(model, full_check=True)
    assert sorted(v.name for v in model.graph.input) == ["input", *STATES[kind]]
    assert sorted(v.name for v in model.graph.output) == [
        *(f"{name}.next" for name in STATES[kind]),
        "output",
    ]
    found = all_steps(model, in_onnxruntime(model), encode(samples, T).numpy())
    np.testing.assert_allclose(found, outputs_of(network, samples).numpy(), atol=2e-6)


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize(("reset", "timing"), RESETS)
def test_all_timesteps_equal_the_network_in_float64(kind, reset, timing):
    network, samples, model = built(kind, reset, timing, timesteps=T, precision="float64")
    onnx.checker.check_model(model, full_check=True)
    given = in_reference(model)({"input": samples.double().numpy()})
    expected = outputs_of(network.double(), samples.double()).mean(0)
    assert list(given) == ["scores"]
    np.testing.assert_allclose(given["scores"], expected.numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("kind", [ConvNet, Dense])
def test_every_read_out(kind, readout):
    network, samples, model = built(kind, timesteps=T, readout=readout)
    logits = outputs_of(network, samples)
    by_hand = {
        "mean": sum(logits) / T,
        "sum": sum(logits),
        "spike_count": sum(logits),
        "last": logits[T - 1],
    }
    scores = in_onnxruntime(model)({"input": samples.numpy()})["scores"]
    np.testing.assert_allclose(scores, by_hand[readout].numpy(), atol=5e-6)


@pytest.mark.parametrize("batch", [1, 3, 16])
@pytest.mark.parametrize("timesteps", [None, T])
def test_any_batch(batch, timesteps):
    network, samples, model = built(ConvNet, "subtract", timesteps=timesteps)
    run, samples = in_onnxruntime(model), samples[:batch]
    expected = outputs_of(network, samples)
    if timesteps is None:
        found = all_steps(model, run, encode(samples, T).numpy())
    else:
        found, expected = run({"input": samples.numpy()})["scores"], expected.mean(0)
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-6)


@pytest.mark.parametrize("timesteps", [None, 3])
@pytest.mark.parametrize("kind", NETWORKS)
def test_every_value_has_a_shape_and_no_training_is_left(kind, timesteps):
    *_, model = built(kind, timesteps=timesteps)
    inferred = onnx.shape_inference.infer_shapes(
        model, check_type=True, strict_mode=True, data_prop=True
    )
    known = {v.name: v.type.tensor_type.shape for v in inferred.graph.value_info}
    known |= {v.name: v.type.tensor_type.shape for v in inferred.graph.output}
    for node in model.graph.node:
        assert node.op_type not in ("BatchNormalization", "Dropout", "Identity.training")
        for name in node.output:
            assert known[name].dim or node.op_type == "Gather", name
    batch = [v.type.tensor_type.shape.dim[0].dim_param for v in model.graph.input]
    assert set(batch) == {"batch"}


def test_the_same_network_gives_the_same_bytes():
    first, second = (built(Residual)[2].SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


def test_a_constant_first_layer_is_there_once():
    *_, model = built(ConvNet, timesteps=T)
    convolutions = [n.name for n in model.graph.node if n.op_type == "Conv"]
    assert convolutions == ["conv1@0", *(f"conv2@{t}" for t in range(T))]
    *_, model = built(ConvNet, timesteps=T, encoding="frames")
    assert sum(n.op_type == "Conv" for n in model.graph.node) == 2 * T


def test_parameters_that_are_the_same_in_a_layer_take_no_room():
    *_, model = built(ConvNet)
    sizes = {t.name: tuple(t.dims) for t in model.graph.initializer}
    assert sizes["lif1.decay"] == () and sizes["lif2.threshold"] == (6, 1, 1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"precision": "float16"}, ExportError, "unknown precision 'float16': choose one of"),
        ({"readout": "max"}, ExportError, "unknown readout 'max': choose one of"),
        ({"timesteps": 0}, ExportError, "unroll over 0 timesteps, allowed is 1 or more"),
    ],
)
def test_wrong_arguments_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        built(Dense, **options)


def test_what_does_not_fit_is_refused():
    export = export_nir(settled(Dense)[0], Dense.input_shape)
    with pytest.raises(GraphError, match="node 'fc1' does not spike; lif1, lif2 do"):
        build_onnx(export.graph, 1e-4, {"lif1": "fc1"})
    with pytest.raises(GraphError, match="tau"):
        build_onnx(export.graph, 1.0)
    export.graph.nodes["fc1"].weight[0, 0] = 1e39
    with pytest.raises(ExportError, match=r"'fc1.weight' in float32: its values reach 1e\+39"):
        build_onnx(export.graph, 1e-4)
    assert build_onnx(export.graph, 1e-4, precision="float64").graph.node
