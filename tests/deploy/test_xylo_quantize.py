"""Networks on Xylo: every rule broken once, integers against slow rounding, and the same spikes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mpo_snn.deploy.layers import INPUT, ChipGraph, Layer, Projection
from mpo_snn.deploy.real_run import run_real, with_values
from mpo_snn.deploy.xylo_check import check_xylo
from mpo_snn.deploy.xylo_quantize import XyloIntegers, quantize_xylo
from mpo_snn.profiles.chip import load_chip_profile

from .speck_graphs import convolution
from .speck_graphs import dense as dense_map
from .speck_graphs import layer as speck_layer
from .speck_graphs import network as speck_network

AUDIO3 = load_chip_profile("xylo-audio3")
T, B = 20, 8


def layer(name: str, size: int, sources: dict[str, int], seed: int, **given) -> Layer:
    generator = torch.Generator().manual_seed(seed)
    ones = torch.ones(size, dtype=torch.float64)
    projections = tuple(
        Projection(
            source,
            f"w {source}",
            "dense",
            torch.randn(size, n, generator=generator, dtype=torch.float64)
            * (0.2 if source == name else 1.0)
            / n**0.5,
            (n,),
            (size,),
        )
        for source, n in sources.items()
    )
    values = {
        "alpha": 0.5 * ones,
        "beta": 0.875 * ones,
        "threshold": (1 + torch.rand(size, generator=generator, dtype=torch.float64)),
        "bias": 0 * ones,
        "reset": "subtract",
        "most_spikes": 31,
    }
    return Layer(name, (size,), projections, **(values | given))


def chain(**output) -> ChipGraph:
    """8 inputs, 20 recurrent neurons, 12 more, 4 outputs."""
    layers = (
        layer("a", 20, {INPUT: 8, "a": 20}, 1),
        layer("b", 12, {"a": 20}, 2),
        layer("c", 4, {"b": 12}, 3, **({"most_spikes": 1} | output)),
    )
    return ChipGraph(layers, (8,), T, "counts")


def events(seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 4, (T, B, 8), generator=torch.Generator().manual_seed(seed))


def changed(graph: ChipGraph, name: str, **values) -> ChipGraph:
    layers = [replace(x, **values) if x.name == name else x for x in graph]
    return replace(graph, layers=tuple(layers))


def test_a_network_that_fits_has_no_finding_and_its_size_is_told() -> None:
    result = check_xylo(chain(), AUDIO3)
    assert result.findings == ()
    used = {one.resource: one.used for one in result.usage}
    assert used == {
        "input channels": 8,
        "hidden neurons": 32,
        "output neurons": 4,
        "largest fan-out": 32,  # of a neuron of a: 20 of its own layer and 12
        "recurrent and output weights": 20 * 20 + 20 * 12 + 12 * 4,
        "hidden neurons that inputs reach": 20,
        "hidden neurons that outputs read": 12,
    }


FULL = torch.full
BROKEN = {
    "without a synapse": changed(chain(), "b", alpha=None),
    "leak of the membrane 0.9": changed(chain(), "a", beta=FULL((20,), 0.9, dtype=torch.float64)),
    "leak of the synapse 0.6": changed(chain(), "c", alpha=FULL((4,), 0.6, dtype=torch.float64)),
    # dash 0: a synapse that loses its input, a membrane of one step
    "leak of the synapse 0.25": changed(chain(), "b", alpha=FULL((12,), 0.25, dtype=torch.float64)),
    "leak of the membrane 0.25": changed(chain(), "a", beta=FULL((20,), 0.25, dtype=torch.float64)),
    "leak of the membrane 0;": changed(chain(), "a", beta=FULL((20,), 0.0, dtype=torch.float64)),
    "leak of the membrane 1;": changed(chain(), "a", beta=FULL((20,), 1.0, dtype=torch.float64)),
    "reset to zero": changed(chain(), "a", reset="zero"),
    "1 as the most spikes": changed(chain(), "a", most_spikes=1),
    "31 as the most spikes": chain(most_spikes=31),
    "a lowest membrane": changed(chain(), "a", lower=-1.0),
    "one layer of neurons": ChipGraph((layer("a", 4, {INPUT: 8}, 1, most_spikes=1),), (8,), T, ""),
    "output neurons that feed each other": ChipGraph(
        (*chain().layers[:2], layer("c", 4, {"b": 12, "c": 4}, 3, most_spikes=1)), (8,), T, ""
    ),
    "inputs that reach output neurons": ChipGraph(
        (*chain().layers[:2], layer("c", 4, {"b": 12, INPUT: 8}, 3, most_spikes=1)), (8,), T, ""
    ),
    "ahead from 'a' over 2 layers": ChipGraph(
        (*chain().layers[:2], layer("c", 4, {"b": 12, "a": 20}, 3, most_spikes=1)), (8,), T, ""
    ),
    "back from 'b'": ChipGraph(
        (layer("a", 20, {INPUT: 8, "b": 12}, 1), *chain().layers[1:]), (8,), T, ""
    ),
    "17 input channels": ChipGraph(
        (layer("a", 20, {INPUT: 17}, 1), *chain().layers[1:]), (17,), T, ""
    ),
    "33 output neurons": ChipGraph(
        (*chain().layers[:2], layer("c", 33, {"b": 12}, 3, most_spikes=1)), (8,), T, ""
    ),
    "129 hidden neurons that inputs reach": ChipGraph(
        (layer("a", 129, {INPUT: 8}, 1), layer("c", 4, {"a": 129}, 3, most_spikes=1)), (8,), T, ""
    ),
}


def test_convolutions_are_told_what_the_chip_runs() -> None:
    """Maps of neurons fill it at once: smaller dense layers would be no help."""
    maps = speck_layer("a", convolution(INPUT, (1, 12, 12), 8))
    graph = speck_network(maps, speck_layer("b", dense_map("a", (8, 12, 12), 10)))
    findings = {one.found: one.fix for one in check_xylo(graph, AUDIO3).findings}
    fix = findings["1152 hidden neurons"]
    assert "--network.name mlp --network.hidden '[128, 128]'" in fix and "--target" in fix
    assert "--encoding rows" in findings["144 input channels"]


@pytest.mark.parametrize("words", BROKEN)
def test_a_broken_rule_is_found(words: str) -> None:
    findings = check_xylo(BROKEN[words], AUDIO3).findings
    assert any(words in str(one) for one in findings), [str(one) for one in findings]
    assert all(one.fix and one.allowed for one in findings)


def test_layers_lie_in_the_order_of_their_hops() -> None:
    """Inputs reach the first hidden neurons alone, outputs read from the last."""
    a, b, c = chain().layers
    late = layer("late", 30, {INPUT: 8}, 4)
    b = replace(b, projections=(*b.projections, *layer("b", 12, {"late": 30}, 5).projections))
    graphs = [ChipGraph(order, (8,), T, "counts") for order in ((a, late, b, c), (late, a, b, c))]
    for graph in graphs:
        used = {one.resource: one.used for one in check_xylo(graph, AUDIO3).usage}
        assert used["hidden neurons that inputs reach"] == 50
        assert used["hidden neurons that outputs read"] == 12
    # A branch that nothing reads runs in between: what inputs reach lies in front of it.
    dead = layer("dead", 40, {"a": 20}, 6)
    graph = ChipGraph((a, dead, late, b, c), (8,), T, "counts")
    network = XyloIntegers(graph, AUDIO3, 3).network
    assert network.weights_in.any(2).any(0).nonzero().flatten().tolist() == list(range(50))
    used = {one.resource: one.used for one in check_xylo(graph, AUDIO3).usage}
    assert used["hidden neurons that inputs reach"] == 50
    output = [XyloIntegers(g, AUDIO3, 3).run(events()).output for g in (graph, graphs[1])]
    assert torch.equal(*output) and bool(output[0].any())


def test_what_is_read_is_counted_from_the_end() -> None:
    """A layer behind those that outputs read from takes their place among the last neurons."""
    a, b, c = chain().layers
    dead = layer("dead", 100, {"b": 12}, 6)
    graph = ChipGraph((a, b, dead, c), (8,), T, "counts")
    used = {one.resource: one.used for one in check_xylo(graph, AUDIO3).usage}
    assert used["hidden neurons that outputs read"] == 112


def test_fan_out_beyond_the_vendors_check() -> None:
    graph = ChipGraph(
        (
            layer("a", 70, {INPUT: 8, "a": 70}, 1),
            layer("c", 4, {"a": 70}, 3, most_spikes=1),
        ),
        (8,),
        T,
        "",
    )
    assert check_xylo(graph, AUDIO3).findings == ()
    (finding,) = check_xylo(graph, load_chip_profile("xylo-audio2")).findings
    assert str(finding).startswith("network: 74 largest fan-out; allowed is up to 64")


def test_integers_are_those_of_slow_rounding() -> None:
    graph, shift = chain(), 3
    bias = torch.linspace(-0.3, 0.3, 12, dtype=torch.float64)
    graph = changed(graph, "b", bias=bias)
    network = XyloIntegers(graph, AUDIO3, shift).network
    matrix = {(x.name, p.source): p.weight for x in graph for p in x.projections}
    assert network.hidden.dash_mem.unique().tolist() == [3]
    assert network.hidden.dash_syn.unique().tolist() == [1]
    for j in range(32):
        own, sources = ("a", (INPUT, "a")) if j < 20 else ("b", ("a",))
        row = j if j < 20 else j - 20
        real = [float(w) / 0.5 for s in sources for w in matrix[own, s][row]]
        scale = 127 / max(map(abs, real))
        rows = [network.weights_in[:, j, 0], network.weights_rec[:, j, 0]]
        got = torch.cat(rows).tolist()
        wanted = [round(w * scale) for w in real]
        wanted = wanted + [0] * 12 if own == "a" else [0] * 8 + wanted + [0] * 12
        assert got == wanted
        theta = float(graph.layer(own).threshold[row])
        assert int(network.hidden.threshold[j]) == round(theta * scale * 8)
        of_b = float(bias[row]) if own == "b" else 0.0
        assert int(network.hidden.bias[j]) == round(of_b * scale * 8)


def test_more_state_bits_bring_the_chip_to_the_real_network() -> None:
    """What is left of a difference is the rounding of leaks, which a shift makes finer."""
    graph = chain()
    without, fine = XyloIntegers(graph, AUDIO3, 0), quantize_xylo(graph, AUDIO3, events())
    assert fine.shift >= 2

    def same(tried: XyloIntegers) -> float:
        rounded = run_real(with_values(tried.graph, tried.on_grid()), events()).output
        return float((tried.run(events()).output == rounded).double().mean())

    assert same(fine) > 0.95
    assert same(fine) > same(without)


def test_delays_are_taken_off_and_operations_counted() -> None:
    graph = chain()
    tried = XyloIntegers(graph, AUDIO3, 3)
    run = tried.run(events())
    real = run_real(graph, events())
    assert run.output.shape == (T, B, 4)
    assert float(((run.output > 0) == (real.output > 0)).double().mean()) > 0.9
    assert run.updates == 36 * (T + 2) * B
    network = tried.network
    fan_in = (network.weights_in != 0).sum((1, 2))
    from_a = (network.weights_rec[:20] != 0).sum((1, 2)).double().mean()
    assert run.synaptic_events >= int((events().sum((0, 1)) * fan_in).sum())
    assert run.synaptic_events <= int((events().sum((0, 1)) * fan_in).sum()) + round(
        float(run.spikes["a"] * (from_a + 1) + run.spikes["b"] * 4)
    )


def test_saturation_is_counted_and_shifts_stop_before_it() -> None:
    graph = chain()
    many = events() * 2
    shift = quantize_xylo(graph, AUDIO3, many).shift
    assert XyloIntegers(graph, AUDIO3, shift).run(many).events["saturated"] == 0
    assert XyloIntegers(graph, AUDIO3, 7).run(events() * 45).events["saturated"] > 0
    assert XyloIntegers(graph, AUDIO3, 0).run(events() * 45).events["dropped input events"] > 0


def test_errors_are_those_of_the_values_on_the_grid() -> None:
    graph = chain()
    tried = quantize_xylo(graph, AUDIO3, events())
    grid = tried.on_grid()
    for error, one in zip(tried.errors, tried.graph, strict=True):
        pairs = [
            (p.weight, w) for p, w in zip(one.projections, grid[one.name].weights, strict=True)
        ]
        off = sum(float((a - b).square().sum()) for a, b in pairs) ** 0.5
        size = sum(float(a.square().sum()) for a, _ in pairs) ** 0.5
        assert error.weight_error == pytest.approx(off / size)
        assert error.largest_error <= 0.5 + 1e-9
        assert 0 < error.weight_error < 0.02
        assert error.decay == pytest.approx(0, abs=1e-12)
        assert error.weights == sum(p.weight.numel() for p in one.projections)
