"""A graph that computes something else is caught, and told where and when it first does."""

import copy
import math

import nir
import numpy as np
import pytest
import torch
from torch import nn

from mpo_snn.encoding import encode
from mpo_snn.errors import ExportError
from mpo_snn.export.compare import compare
from mpo_snn.export.nir_export import export_nir
from mpo_snn.export.parameters import have_same_form, parameter_differences
from mpo_snn.export.proof import Proof
from mpo_snn.export.rounding import membrane_bounds, output_bounds
from mpo_snn.export.sources import GraphSource, NetworkSource
from mpo_snn.unroll import Unrolled

from .networks import NETWORKS, ConvNet, Dense, Synaptic, T, lif, settled


def compared(network, graph, samples, spiking=None, timesteps=T):
    return compare(
        NetworkSource(Unrolled(network, timesteps)),
        GraphSource(graph, 1e-4, spiking),
        samples,
        timesteps,
        batch_size=5,
    )


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
def test_an_exported_network_is_equal(kind, reset):
    network, samples = settled(kind, reset=reset)
    export = export_nir(network, kind.input_shape)
    result = compared(network, export.graph, samples, export.spiking)
    assert result.is_equal and result.first_divergence is None
    exact = result.results[0]
    assert exact.precision == "float64"
    for layer in exact.layers:
        assert layer.identical == 1.0 and layer.jaccard == 1.0
        assert layer.replay.membrane_difference < 1e-13
    assert exact.layers[0].either > 100


def test_a_replay_is_only_computed_where_the_free_runs_differ(monkeypatch):
    network, samples = settled(ConvNet)
    graph = export_nir(network, ConvNet.input_shape).graph
    replays = []
    original = GraphSource.replay

    def replay(self, x, dtype, reference):
        replays.append(x.shape[1])
        return original(self, x, dtype, reference)

    monkeypatch.setattr(GraphSource, "replay", replay)
    assert compared(network, graph, samples).is_equal
    assert replays == []
    _threshold(graph)
    assert not compared(network, graph, samples).is_equal
    assert replays


def test_the_batch_follows_the_memory_and_changes_nothing(monkeypatch):
    network, samples = settled(ConvNet)
    export = export_nir(network, ConvNet.input_shape)
    neurons = 4 * 6 * 6 + 6 * 2 * 2
    sizes = []
    original = NetworkSource.run
    monkeypatch.setattr(
        NetworkSource,
        "run",
        lambda self, x, dtype: (sizes.append(x.shape[1]), original(self, x, dtype))[1],
    )
    source = GraphSource(export.graph, 1e-4, export.spiking)
    whole = compare(NetworkSource(Unrolled(network, T)), source, samples, T)
    assert sizes == [16, 16]
    monkeypatch.setattr("mpo_snn.export.compare.BATCH_BYTES", 6 * 48 * neurons * T)
    parts = compare(NetworkSource(Unrolled(network, T)), source, samples, T)
    assert sizes[2:] == [6, 6, 4] * 2
    assert parts.to_dict() == whole.to_dict()


class OneNeuron(nn.Module):
    """A spike decides between two classes; its membrane is (1 - margin) times threshold."""

    def __init__(self, margin):
        super().__init__()
        self.fc, self.lif, self.out = nn.Linear(1, 1, False), lif(beta=0.0), nn.Linear(1, 2, False)
        self.double().eval()
        self.lif.threshold.fill_(0.3)
        self.fc.weight.data.fill_(0.3 * (1.0 - margin))
        self.out.weight.data = torch.tensor([[0.0], [1.0]], dtype=torch.float64)

    def forward(self, x):
        return self.out(self.lif(self.fc(x)))


@pytest.mark.parametrize(
    ("margin", "dtype", "equal"),
    [(1e-6, "float32", True), (1e-3, "float32", False), (1e-12, "float64", False)],
)
def test_a_prediction_may_follow_from_rounding_in_float32_alone(margin, dtype, equal):
    graph = export_nir(OneNeuron(-margin), (1,)).graph
    result = compared(OneNeuron(margin), graph, torch.ones(7, 1), timesteps=2)
    (found,) = (r for r in result.results if r.precision == dtype)
    assert found.predictions_differing == 7 and found.layers[0].replay.roots == 7
    assert found.predictions_unexplained == (7 if dtype == "float64" else 0)
    assert found.is_equal is equal


def _weight(graph):
    graph.nodes["conv2"].weight[2, 1, 1, 1] += 0.5


def _small_weight(graph):
    graph.nodes["conv2"].weight[2, 1, 1, 1] += 1e-6


def _threshold(graph):
    graph.nodes["lif2"].v_threshold[3, 1, 0] *= 0.5


def _leak(graph):
    graph.nodes["lif2"].tau[4, 0, 1] *= 1.5


def _reset(graph):
    graph.nodes["lif2"].v_reset[:] = 0.1


def _bias(graph):
    graph.nodes["conv2"].bias[5] -= 0.25


@pytest.mark.parametrize(
    ("damage", "channel", "earliest"),
    [
        (_weight, 2, 0),
        (_small_weight, 2, 0),
        (_threshold, 3, 0),
        (_leak, 4, 0),
        (_reset, None, 1),
        (_bias, 5, 0),
    ],
)
def test_damage_is_reported_with_layer_and_timestep(damage, channel, earliest):
    network, samples = settled(ConvNet)
    graph = export_nir(network, ConvNet.input_shape).graph
    damaged = copy.deepcopy(graph)
    damage(damaged)
    result = compared(network, damaged, samples)
    assert not result.is_equal
    place = result.first_divergence
    assert place.layer == "lif2" and place.timestep >= earliest
    assert channel is None or place.neuron[0] == channel
    assert have_same_form(graph, damaged) and len(parameter_differences(graph, damaged)) == 1


def test_damage_in_front_of_a_layer_is_seen_in_the_step_in_which_it_acts():
    """The layer's own membrane at the reported place, by a float64 loop over the damaged file."""
    network, samples = settled(ConvNet)
    graph = export_nir(network, ConvNet.input_shape).graph
    damaged = copy.deepcopy(graph)
    damaged.nodes["lif1"].v_threshold[1, 2, 3] = 0.11
    place = compared(network, damaged, samples).first_divergence
    weight, bias = graph.nodes["conv1"].weight, graph.nodes["conv1"].bias
    current = torch.conv2d(
        samples.double(), torch.from_numpy(weight), torch.from_numpy(bias), padding=1
    )[:, 1, 2, 3]
    beta, first = 1 - 1e-4 / graph.nodes["lif1"].tau[1, 2, 3], T
    for i in current.tolist():
        spikes = []
        for theta in (graph.nodes["lif1"].v_threshold[1, 2, 3], 0.11):
            v, row = 0.0, []
            for _ in range(T):
                v = beta * v + (1 - beta) * i
                row.append(v > theta)
                v = 0.0 if row[-1] else v
            spikes.append(row)
        first = min([first, *(t for t in range(T) if spikes[0][t] != spikes[1][t])])
    assert first < T, "the damage must show"
    assert place.layer == "lif1" and place.neuron == (1, 2, 3) and place.timestep == first


def test_damage_of_the_readout_shows_in_the_output():
    network, samples = settled(ConvNet)
    graph = export_nir(network, ConvNet.input_shape).graph
    graph.nodes["fc"].bias[2] += 1e-6
    result = compared(network, graph, samples)
    assert result.first_divergence.layer == "output"
    assert result.first_divergence.neuron == (2,)
    assert all(layer.identical == 1.0 for layer in result.results[0].layers)


def test_subtraction_as_a_plain_lif_is_not_equal():
    network, samples = settled(ConvNet, reset="subtract")
    export = export_nir(network, ConvNet.input_shape, plain_reset=True)
    result = compared(network, export.graph, samples, export.spiking)
    assert not result.is_equal
    assert result.results[0].layers[0].jaccard < 0.9


def test_damage_of_a_synapse_is_found_and_its_parameters_compared():
    network, samples = settled(Synaptic)
    graph = export_nir(network, Synaptic.input_shape).graph
    damaged = copy.deepcopy(graph)
    damaged.nodes["lif1"].tau_syn[5] *= 1.01
    place = compared(network, damaged, samples).first_divergence
    assert place.layer == "lif1" and place.neuron == (5,)
    (line,) = parameter_differences(graph, damaged)
    assert line.startswith("tau_syn of node 'lif1' differs in 1 of 12 values, first [5]")


def test_tallies_equal_a_loop_over_every_spike():
    network, samples = settled(ConvNet)
    damaged = export_nir(network, ConvNet.input_shape).graph
    damaged.nodes["conv1"].weight[:] *= 1.3
    result = compared(network, damaged, samples).results[0]
    a = NetworkSource(Unrolled(network, T)).run(encode(samples, T), torch.float64).spikes["lif2"]
    b = GraphSource(damaged, 1e-4).run(encode(samples, T), torch.float64).spikes["lif2"]
    pairs = list(zip(a.flatten().tolist(), b.flatten().tolist(), strict=True))
    layer = result.layers[1]
    assert layer.identical == pytest.approx(sum(x == y for x, y in pairs) / len(pairs))
    assert layer.jaccard == pytest.approx(
        sum(x and y for x, y in pairs) / sum(x or y for x, y in pairs)
    )
    assert layer.jaccard < 1.0
    by_loop = [int((x != y).sum()) for x, y in zip(a, b, strict=True)]
    assert layer.by_timestep == by_loop and sum(by_loop) == layer.differing > 0


def test_a_flip_within_rounding_is_listed_and_explained():
    """Threshold moved by one part in 1e6: float32 cannot tell, float64 can."""
    network, samples = settled(Dense)
    graph = export_nir(network, Dense.input_shape).graph
    source = GraphSource(graph, 1e-4)
    v = NetworkSource(Unrolled(network, T)).run(encode(samples, T), torch.float64).v["lif1"]
    at = v[0, 0].argmax()
    graph.nodes["lif1"].v_threshold[at] = float(v[0, 0, at]) * (1 + 1e-6)
    with torch.no_grad():
        network.lif1.threshold = torch.tensor(
            graph.nodes["lif1"].v_threshold * (1 - 2e-6 * (np.arange(12) == int(at)))
        ).float()
    result = compared(network, source.graph, samples)
    single = result.results[1]
    roots = single.layers[0].replay.listed
    assert [r.place.neuron for r in roots] == [(int(at),)] * len(roots) and roots
    assert all(r.is_explained and r.distance < 1e-4 for r in roots)
    decades = [str(math.floor(math.log10(r.distance))) for r in roots]
    expected = {decade: decades.count(decade) for decade in decades}
    assert single.layers[0].replay.distances == expected
    assert result.to_dict()["float32"]["roots_by_distance"] == {"lif1": expected}
    assert single.layers[0].replay.unexplained == 0
    assert result.results[0].first_divergence.layer == "lif1"


def with_larger_weights(layer, scale):
    """A source with the weights of a layer scaled, its input, and its run in float64."""
    network, samples = settled(ConvNet)
    graph = export_nir(network, ConvNet.input_shape).graph
    graph.nodes[layer].weight *= scale
    source, x = GraphSource(graph, 1e-4), encode(samples, T)
    return source, x, source.run(x, torch.float64)


@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_rounding_stays_below_its_bound(scale):
    source, x, reference = with_larger_weights("conv2", scale)
    bounds = membrane_bounds(source, x, reference, torch.float32)
    single = source.replay(x, torch.float32, reference)
    for layer, bound in bounds.items():
        same = (reference.spikes[layer] ^ single.spikes[layer]).cumsum(0) == 0
        gap = (reference.v[layer] - single.v[layer].double()).abs()
        assert bool((gap <= bound)[same].all())
        assert float(gap[same].max()) > 1e-4 * float(bound.max()), "the bound says something"


class TwoWays(nn.Module):
    """Each input fires a neuron of its own; the first output adds up their weights."""

    def __init__(self, weights):
        super().__init__()
        n = len(weights)
        self.fc, self.lif = nn.Linear(n, n, False), lif(beta=0.0)
        self.out = nn.Linear(n, 2, False)
        self.eval()
        self.fc.weight.data = torch.eye(n)
        self.out.weight.data = torch.tensor([weights, [0.0] * n])

    def forward(self, x):
        return self.out(self.lif(self.fc(x)))


def of_outputs(weights, damaged, samples, batch_size):
    graph = export_nir(TwoWays(damaged), (len(weights),)).graph
    network = NetworkSource(Unrolled(TwoWays(weights), 2))
    return compare(network, GraphSource(graph, 1e-4), samples, 2, batch_size=batch_size)


def test_a_large_output_does_not_hide_damage_in_another_sample():
    parts, whole = (
        of_outputs([1.0, 1e7], [1.001, 1e7], torch.eye(2), batch_size) for batch_size in (1, 2)
    )
    assert not whole.is_equal and whole.to_dict() == parts.to_dict()
    place = whole.first_divergence
    assert (place.layer, place.sample, place.neuron) == ("output", 0, (0,))
    assert whole.results[1].output_difference == pytest.approx(1e-3, rel=1e-3)


def test_outputs_that_cancel_are_held_to_the_rounding_of_their_sum():
    samples = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    weights = [1e7 + 1.0, -1e7, 3e-3]  # 1.003, of which float32 knows a part in 1e7 of 1e7
    single = of_outputs(weights, [1e7 + 2.0, -1e7, 3e-3], samples, 2).results[1]
    assert single.output_difference < 1e-4 and single.output_first is None
    assert not of_outputs(weights, [1e7 + 200.0, -1e7, 3e-3], samples, 2).results[1].is_equal


@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_rounding_of_outputs_stays_below_its_bound(scale):
    source, x, reference = with_larger_weights("fc", scale)
    bounds = output_bounds(source, x, reference, torch.float32)
    gap = (reference.output - source.replay(x, torch.float32, reference).output.double()).abs()
    assert bool((gap <= bounds).all()) and float(gap.max()) > 1e-4 * float(bounds.max())


def test_what_cannot_be_compared_is_refused():
    network, samples = settled(ConvNet)
    graph = export_nir(network, ConvNet.input_shape).graph
    with pytest.raises(ExportError, match="no samples"):
        compared(network, graph, samples[:0])
    with pytest.raises(ExportError, match="does not spike in the graph"):
        compared(network, graph, samples, {"lif1": "conv1", "lif2": "lif2"})
    with pytest.raises(ExportError, match="has spiking layers lif1, lif2, the second lif2"):
        compared(network, graph, samples, {"lif2": "lif2"})


def test_parameters_of_equal_graphs_do_not_differ():
    graph = export_nir(settled(ConvNet)[0], ConvNet.input_shape).graph
    assert parameter_differences(graph, copy.deepcopy(graph)) == []
    other = copy.deepcopy(graph)
    other.nodes["pool"].kernel_size[0] = 3
    other.nodes["fc"].weight = other.nodes["fc"].weight[:, :-1]
    assert len(parameter_differences(graph, other)) == 2
    assert not have_same_form(
        graph, nir.NIRGraph(dict(graph.nodes), graph.edges[:-1], type_check=False)
    )


def test_a_layer_that_never_fires_is_named_beside_the_verdict():
    graph = export_nir(OneNeuron(0.5), (1,)).graph  # half the threshold: it never fires
    silent = Proof(compared(OneNeuron(0.5), graph, torch.ones(7, 1), timesteps=2))
    assert silent.is_equal and silent.equivalence.silent_layers == ("lif",)
    (told,) = silent.to_dict()["notes"]
    assert told.startswith("no neuron of 'lif' fires on this data")
    firing = Proof(compared(OneNeuron(0.5), graph, torch.full((7, 1), 3.0), timesteps=2))
    assert firing.equivalence.silent_layers == () and firing.to_dict()["notes"] == []
