"""A model that computes something else is caught, with layer and timestep; rounding is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
from onnx import ModelProto, helper, numpy_helper

from mpo_snn.cli import verify
from mpo_snn.encoding import encode
from mpo_snn.errors import GraphError, ShapeError
from mpo_snn.export.compare import compare
from mpo_snn.export.nir_export import export_nir
from mpo_snn.export.sources import GraphSource, NetworkSource
from mpo_snn.export.to_onnx.build import build_onnx
from mpo_snn.export.to_onnx.difference import have_same_form, parameter_differences
from mpo_snn.export.to_onnx.onnx_file import open_onnx, write_onnx
from mpo_snn.export.to_onnx.onnx_source import REFERENCE_SAMPLES, OnnxSource
from mpo_snn.unroll import Unrolled
from tests.export.networks import NETWORKS, ConvNet, Dense, Residual, T, settled
from tests.export.test_graph_proof import network as dense_graph


def models(kind, timesteps=None, **neuron):
    """Network, samples, and its model in float32 and float64."""
    network, samples = settled(kind, **neuron)
    export = export_nir(network, kind.input_shape)
    pair = [
        build_onnx(export.graph, 1e-4, export.spiking, timesteps=timesteps, precision=precision)
        for precision in ("float32", "float64")
    ]
    return network, samples, *pair


def compared(network, samples, model, twin=None, timesteps=T):
    source = OnnxSource(open_onnx(model), "model", twin=twin)
    first = NetworkSource(Unrolled(network, timesteps))
    return compare(first, source, samples, timesteps, batch_size=5)


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
@pytest.mark.parametrize("timesteps", [None, T])
def test_a_model_is_equal_in_both_precisions(kind, reset, timesteps):
    network, samples, single, double = models(kind, timesteps, reset=reset)
    result = compared(network, samples, single, double)
    assert result.is_equal
    exact, rounded = result.results
    assert (exact.precision, exact.samples) == ("float64", REFERENCE_SAMPLES)
    assert (rounded.precision, rounded.samples) == ("float32", 16)
    for layer in exact.layers:
        assert layer.identical == 1.0 and layer.replay.membrane_difference < 1e-13
    assert all(layer.jaccard > 0.999 for layer in rounded.layers)
    assert rounded.layers[0].either > 100


def test_a_file_alone_is_run_in_its_own_precision():
    network, samples, single, double = models(Dense)
    assert [r.precision for r in compared(network, samples, single).results] == ["float32"]
    assert [r.precision for r in compared(network, samples, double).results] == ["float64"]


def changed(model: ModelProto, name: str, change) -> ModelProto:
    copy = ModelProto.FromString(model.SerializeToString())
    tensor = next(t for t in copy.graph.initializer if t.name == name)
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor).copy()), name))
    return copy


def at(index, change):
    def edit(array):
        array[index] = change(array[index])
        return array

    return edit


@pytest.mark.parametrize("timesteps", [None, T])
@pytest.mark.parametrize(
    ("name", "change", "channel"),
    [
        ("conv2.weight", at((2, 1, 1, 1), lambda w: w + 0.5), 2),
        ("lif2.threshold", at((3, 0, 0), lambda v: v * 0.5), 3),
        ("lif2.decay", lambda decay: decay * 0.5, None),
        ("lif2.reset", lambda reset: reset + 0.1, None),
        ("conv2.bias", at(5, lambda b: b - 0.25), 5),
    ],
)
def test_damage_is_reported_with_layer_and_timestep(timesteps, name, change, channel):
    network, samples, single, _ = models(ConvNet, timesteps)
    damaged = changed(single, name, lambda a: change(a).astype(a.dtype))
    result = compared(network, samples, damaged)
    assert not result.is_equal
    place = result.first_divergence
    assert place.layer == "lif2" and (channel is None or place.neuron[0] == channel)
    assert all(layer.replay.unexplained == 0 for layer in result.results[0].layers[:1])
    assert have_same_form(single, damaged)
    (line,) = parameter_differences(single, damaged)
    assert line.startswith(f"'{name}' differs in 1 of ")


def test_one_flip_does_not_hide_behind_another():
    """With both layers damaged, replay finds each on its own."""
    network, samples, single, _ = models(ConvNet)
    damaged = changed(single, "lif1.threshold", lambda v: v * np.float32(0.9))
    damaged = changed(damaged, "lif2.threshold", at((3, 0, 0), lambda v: v * 0.5))
    layers = compared(network, samples, damaged).results[0].layers
    assert all(layer.replay.unexplained for layer in layers)
    only_second = compared(
        network, samples, changed(single, "lif2.threshold", at((3, 0, 0), lambda v: v * 0.5))
    ).results[0]
    assert layers[1].replay.unexplained == only_second.layers[1].replay.unexplained


@pytest.mark.parametrize("timesteps", [None, T])
def test_a_replayed_layer_sees_the_spikes_that_it_is_given(timesteps):
    """The graph simulator, forced to the same random spikes, is the independent witness."""
    network, samples = settled(Residual)
    export = export_nir(network, Residual.input_shape)
    graph = GraphSource(export.graph, 1e-4, export.spiking)
    model = build_onnx(export.graph, 1e-4, export.spiking, timesteps=timesteps, precision="float64")
    source, x = OnnxSource(open_onnx(model), "model"), encode(samples, T)
    reference = graph.run(x, torch.float64)
    generator = torch.Generator().manual_seed(0)
    for spikes in reference.spikes.values():
        spikes ^= torch.rand(spikes.shape, generator=generator) < 0.3
    expected, found = (s.replay(x, torch.float64, reference) for s in (graph, source))
    for layer in expected.spikes:
        assert torch.equal(found.spikes[layer], expected.spikes[layer])
        torch.testing.assert_close(found.v[layer], expected.v[layer], rtol=0, atol=1e-13)
    torch.testing.assert_close(found.output, expected.output, rtol=0, atol=1e-13)


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_bounds_are_those_of_the_graph(reset):
    network, samples = settled(ConvNet, reset=reset)
    export = export_nir(network, ConvNet.input_shape)
    graph = GraphSource(export.graph, 1e-4, export.spiking)
    model = build_onnx(export.graph, 1e-4, export.spiking)
    source, x = OnnxSource(open_onnx(model), "model"), encode(samples, T)
    reference = graph.run(x, torch.float32)
    expected = graph.membrane_bounds(x, reference, torch.float32)
    for layer, bound in source.membrane_bounds(x, reference, torch.float32).items():
        assert float((bound / expected[layer]).max()) < 1.05
        if reset == "zero":
            assert float((bound / expected[layer]).min()) > 1.0
    outputs = source.output_bounds(x, reference, torch.float32)
    ratio = outputs / graph.output_bounds(x, reference, torch.float32)
    assert 1.0 < float(ratio.min()) and float(ratio.max()) < 1.05


def test_a_flip_within_rounding_is_a_root():
    network, samples, single, _ = models(Dense)
    v = NetworkSource(Unrolled(network, T)).run(encode(samples, T), torch.float64).v["lif1"]
    neuron = int(v[0, 0].argmax())
    theta = float(v[0, 0, neuron])
    with torch.no_grad():
        thresholds = torch.full((12,), 0.3)
        thresholds[neuron] = theta * (1 - 1e-6)
        network.lif1.threshold = thresholds
    array = thresholds.numpy().copy()
    array[neuron] = theta * (1 + 1e-6)
    result = compared(network, samples, changed(single, "lif1.threshold", lambda _: array))
    layer = result.results[0].layers[0]
    assert layer.replay.roots >= 1 and layer.replay.unexplained == 0
    assert {root.place.neuron for root in layer.replay.listed} == {(neuron,)}


def test_a_read_out_that_lies_is_found():
    """Scores of the file itself are compared, not those of its single timesteps."""
    network, samples, single, _ = models(ConvNet, T)
    single.graph.node[-1].op_type = "Neg"
    result = compared(network, samples, single)
    assert not result.is_equal and result.results[0].predictions_unexplained == 16


def test_parameters_may_differ_by_their_rounding_alone():
    *_, single, _ = models(ConvNet)
    next_float = changed(single, "conv2.weight", lambda w: np.nextafter(w, np.float32(9)))
    assert parameter_differences(single, next_float) == []
    off = changed(single, "conv2.weight", at((0, 0, 0, 0), lambda w: w * np.float32(1.00001)))
    assert len(parameter_differences(single, off)) == 1
    other = ModelProto.FromString(single.SerializeToString())
    other.graph.node[0].attribute[0].ints[0] += 1
    assert not have_same_form(single, other)


def test_what_a_runtime_refuses_is_one_line():
    network, samples, single, _ = models(ConvNet)
    with pytest.raises(GraphError, match="cannot run model: onnxruntime") as error:
        compared(network, samples, changed(single, "conv2.weight", lambda w: w[:, :-1]))
    assert "\n" not in str(error.value)
    stranger = ModelProto.FromString(single.SerializeToString())
    node = helper.make_node("Relu", ["input"], ["nowhere"], domain="com.example")
    stranger.graph.node.append(node)
    stranger.opset_import.append(helper.make_opsetid("com.example", 1))
    with pytest.raises(GraphError, match="cannot run model: onnxruntime refuses it") as error:
        compared(network, samples, stranger)
    assert "\n" not in str(error.value)


def test_samples_of_another_shape_are_refused():
    _, samples, single, _ = models(ConvNet)
    source = OnnxSource(open_onnx(single), "model")
    with pytest.raises(ShapeError, match=r"of shape \(2, 6, 5\): it takes any number of timesteps"):
        source.run(encode(samples[..., :5], T), torch.float32)
    *_, whole, _ = models(ConvNet, T)
    with pytest.raises(ShapeError, match="it takes 6 timesteps of shape"):
        OnnxSource(open_onnx(whole), "model").run(encode(samples, T + 1), torch.float32)


def test_a_comparison_of_nothing_is_no_proof(tmp_path: Path, capsys: Any) -> None:
    """float64 alone compares files of which one has a layer more, and onnxruntime has none."""
    paths = [str(tmp_path / "a.nir"), str(tmp_path / "b.onnx")]
    longer = dense_graph()
    shorter = dense_graph()
    del shorter.nodes["b"]
    shorter.edges = [edge for edge in shorter.edges if "b" not in edge] + [("fc2", "output")]
    nir.write(paths[0], shorter)
    write_onnx(paths[1], build_onnx(longer, dt=1e-4))
    words = "--data digits --samples 5 --timesteps 4 --dt 1e-4 --encoding direct".split()
    assert verify.main([*paths, *words]) == 2
    assert "Compare files of the same layers" in capsys.readouterr().err
