"""Every folding leaves every spike as it is, on graphs that need it."""

from __future__ import annotations

import copy
from itertools import pairwise

import nir
import numpy as np
import pytest
import torch

from interop.graphs import DT, lif
from mpo_snn.errors import ExportError
from mpo_snn.export.foldings import (
    above_threshold,
    affine,
    channels_last,
    dense_as_convolution,
    edge_order,
    exponential,
    flat_input,
    gain,
    hidden_synapse,
    loops,
    no_leak,
    one_tau,
    one_threshold,
    one_way,
    plain_convolution,
    pools,
    resting,
    scales,
    subtraction,
    weights,
)
from mpo_snn.export.foldings.flow import Flow
from mpo_snn.export.readers.wiring import flattened_batches
from mpo_snn.graph.connections import count_connections
from mpo_snn.graph.simulate import Simulator
from tests.export.flows import assert_same_spikes, random_flow
from tests.export.networks import Dense, settled
from tests.graph.graphs import graph, ports

SEEDS = range(12)
FOLDS = {
    "gain, r = 1": lambda flow: gain.set_gain(flow, "one"),
    "gain, r = tau / dt": lambda flow: gain.set_gain(flow, "step"),
    "IF": no_leak.write_if_as_lif,
    "threshold": one_threshold.fold_threshold,
    "resting potential": resting.fold_resting_potential,
    "average": pools.write_average_as_sum,
    "padding": pools.write_padded_pools_as_convolutions,
    "scales": scales.fold_scales,
    "convolution": lambda flow: dense_as_convolution.write_dense_as_convolution(
        scales.fold_scales(flow)
    ),
    "loop bias": lambda flow: loops.move_loop_bias(scales.fold_scales(flow)),
    "neutral": loops.add_neutral_nodes,
    "edges": edge_order.sort_edges,
    "order": one_way.put_branches_in_order,
    "affine": affine.write_linear_as_affine,
    "small gain": hidden_synapse.write_small_gain,
    "split": one_tau.split_by_tau,
}


@pytest.mark.parametrize("fold", FOLDS.values(), ids=FOLDS)
def test_spikes_stay(fold) -> None:
    changed = 0
    for seed in SEEDS:
        flow = random_flow(seed)
        before = copy.deepcopy(flow.nodes)
        folded = fold(flow)
        changed += folded.nodes != flow.nodes or folded.edges != flow.edges
        for name, node in before.items():
            for key, value in vars(node).items():
                if isinstance(value, np.ndarray):
                    np.testing.assert_array_equal(getattr(flow.nodes[name], key), value)
        if fold is FOLDS["split"]:
            folded = one_tau.join_split_layers(folded)
        assert_same_spikes(flow, folded, seed)
    assert changed, "no graph needed it"


def test_gain_and_threshold_reach_their_form() -> None:
    for seed in SEEDS:
        flow = scales.fold_scales(random_flow(seed))
        for form, expected in (("one", lambda n: 1.0), ("step", lambda n: n.tau / DT)):
            folded = one_threshold.fold_threshold(gain.set_gain(flow, form))
            for name in folded.named("LIF"):
                node = folded.nodes[name]
                np.testing.assert_allclose(node.r, np.broadcast_to(expected(node), node.r.shape))
                assert np.unique(node.v_threshold).size == 1
        assert not folded.named("Scale")


@pytest.mark.parametrize("shape", ((2, 3, 3), (2, 3, 5), (2, 4, 3)))
def test_a_flatten_goes_where_a_square_kernel_can_hold_the_image(shape) -> None:
    rng = np.random.default_rng(0)
    size = int(np.prod(shape))
    nodes = {
        **ports(shape, (4,)),
        "flat": nir.Flatten({"input": np.array(shape)}, 0, -1),
        "fc": nir.Affine(rng.normal(size=(4, size)), rng.normal(size=4)),
        "lif": lif((4,)),
    }
    chain = ["input", "flat", "fc", "lif", "output"]
    flow = Flow.of(graph(nodes, list(pairwise(chain))), DT)
    folded = dense_as_convolution.write_dense_as_convolution(flow)
    assert bool(folded.named("Flatten")) == (shape == (2, 4, 3))
    told = [f.help for f in flattened_batches(folded)]
    assert [t.split(",")[0] for t in told] == ["its map is 4x3"] * len(told)
    assert_same_spikes(flow, folded)
    assert count_connections(folded.nodes["fc"]) == 4 * size


@pytest.mark.parametrize("bias", (None, 0.25))
def test_a_diagonal_layer_has_as_many_connections_as_channels(bias) -> None:
    added = None if bias is None else np.full((3, 2, 2), bias)
    assert count_connections(weights.diagonal((3, 2, 2), 0.5, added)) == 3
    dense = weights.diagonal((5,), 0.5, None if bias is None else np.full(5, bias))
    assert count_connections(dense) == 5
    bare = weights.without_bias(dense)
    assert bare is not None and count_connections(bare) == 5
    assert count_connections(weights.with_bias(bare, np.ones(5), (5,))) == 5
    flow = Flow.of(graph({**ports((5,), (5,)), "d": bare}, [("input", "d"), ("d", "output")]), DT)
    assert count_connections(affine.write_linear_as_affine(flow).nodes["d"]) == 5
    column = dense_as_convolution._convolution(bare, (5, 1, 1))
    assert column.weight.shape == (5, 5, 1, 1) and count_connections(column) == 5


def test_a_pool_as_convolution_connects_each_channel_with_itself() -> None:
    pool = nir.AvgPool2d(*(np.array(pair) for pair in ((3, 2), (2, 2), (1, 1))))
    nodes = {**ports((4, 6, 6), (4, 3, 4)), "pool": pool}
    flow = Flow.of(graph(nodes, [("input", "pool"), ("pool", "output")]), DT)
    layer = pools.write_padded_pools_as_convolutions(flow).nodes["pool"]
    assert layer.weight.shape == (4, 4, 3, 2) and count_connections(layer) == 4 * 3 * 2


@pytest.mark.parametrize(("groups", "kernel"), [(2, (3, 3)), (1, (1, 3)), (4, (3, 1))])
def test_a_plain_convolution_has_the_connections_of_the_one_before(groups, kernel) -> None:
    weight = np.random.default_rng(5).normal(size=(4, 4 // groups, *kernel))
    padding = (kernel[0] // 2, kernel[1] // 2)
    conv = nir.Conv2d((5, 5), weight, (1, 1), padding, (1, 1), groups, np.zeros(4))
    nodes = {**ports((4, 5, 5), (4, 5, 5)), "conv": conv, "lif": lif((4, 5, 5))}
    edges = list(pairwise(["input", "conv", "lif", "output"]))
    stated = nir.NIRGraph(nodes, edges, type_check=False)
    plain = plain_convolution.write_plain_convolutions(Flow.of(stated, DT))
    assert plain.nodes["conv"].weight.shape == (4, 4, 3, 3)
    assert count_connections(plain.nodes["conv"]) == weight.size
    x = torch.rand(9, 3, 4, 5, 5, generator=torch.Generator().manual_seed(2)).double() * 3
    before, after = (
        Simulator(one, DT, dtype=torch.float64).run(x).output for one in (stated, plain.graph())
    )
    assert 0.0 < before.mean() < 1.0
    assert torch.equal(before, after)


@pytest.mark.parametrize(
    ("kernel", "padding", "reason"),
    [
        ((3, 2), (1, 1), "make both sides odd or both even"),
        ((2, 4), "same", "another number of zeros before than behind"),
        ((3, 2), "same", "another number of zeros before than behind"),
    ],
)
def test_a_kernel_without_a_middle_is_refused_with_its_reason(kernel, padding, reason) -> None:
    conv = nir.Conv2d((6, 6), np.ones((2, 2, *kernel)), 1, padding, 1, 1, np.zeros(2))
    end = (2, 6, 6) if padding == "same" else (2, 6, 7)
    nodes = {**ports((2, 6, 6), end), "conv": conv}
    stated = nir.NIRGraph(nodes, list(pairwise(["input", "conv", "output"])), type_check=False)
    with pytest.raises(ExportError, match=reason):
        plain_convolution.write_plain_convolutions(Flow.of(stated, DT))


def test_a_flatten_that_no_dense_layer_follows_says_so() -> None:
    nodes = {
        **ports((2, 3, 3), (18,)),
        "flat": nir.Flatten({"input": np.array((2, 3, 3))}, 0, -1),
        "lif": lif((18,)),
    }
    flow = Flow.of(graph(nodes, list(pairwise(["input", "flat", "lif", "output"]))), DT)
    (told,) = flattened_batches(flow)
    assert told.help.startswith("dense layers must follow it directly")


@pytest.mark.parametrize("timing", ("next", "step"))
@pytest.mark.parametrize("beta", (0.6, 1.0))
def test_a_subtraction_as_lif_reads_back_as_itself(timing, beta) -> None:
    from mpo_snn.export.nir_export import export_nir

    gain = "unit" if beta == 1.0 else "decay"
    network, _ = settled(Dense, beta=beta, input_gain=gain, reset="subtract", reset_timing=timing)
    flow = Flow.of(export_nir(network, Dense.input_shape).graph, DT)
    plain = subtraction.write_subtraction_as_lif(flow, timing)
    assert plain.stands_for == timing and not plain.named("Threshold", "Scale", "LI", "I")
    assert_same_spikes(flow, subtraction.meaning(plain))
    other = "step" if timing == "next" else "next"
    kept = subtraction.write_subtraction_as_lif(flow, other)
    assert (kept.stands_for == other) == (beta == 1.0), "without a leak both are the same"


def test_next_float32_decides_as_greater_does() -> None:
    rng = np.random.default_rng(0)
    thresholds = np.concatenate([rng.uniform(0.1, 2.0, 50), np.float32(rng.uniform(0.1, 2.0, 50))])
    raised = above_threshold.next_float32(thresholds)
    for theta, above in zip(thresholds, raised, strict=True):
        near = np.float32(theta)
        for v in (np.nextafter(near, np.float32(0)), near, np.nextafter(near, np.float32(9))):
            assert (v >= np.float32(above)) == (np.float64(v) > theta)


def test_an_input_flatten_goes_with_the_shape_of_the_input() -> None:
    nodes = {
        **ports((2, 3, 3), (4,)),
        "flat": nir.Flatten({"input": np.array((2, 3, 3))}, 0, -1),
        "fc": nir.Linear(np.random.default_rng(0).normal(size=(4, 18))),
        "lif": lif((4,)),
    }
    chain = ["input", "flat", "fc", "lif", "output"]
    flow = Flow.of(graph(nodes, list(pairwise(chain))), DT)
    folded = flat_input.drop_input_flatten(flow)
    assert folded.shapes["input"] == (18,) and not folded.named("Flatten")
    x = torch.rand(9, 3, 2, 3, 3, dtype=torch.float64)
    a = Simulator(flow.graph(), DT, torch.float64).run(x).output
    b = Simulator(folded.graph(), DT, torch.float64).run(x.flatten(2)).output
    assert torch.equal(a, b) and bool(a.any())


@pytest.mark.parametrize("stride", (1, 2))
def test_branches_side_by_side_get_an_order(stride) -> None:
    """A residual block with a convolution in both branches, as in ResNet."""
    rng = np.random.default_rng(0)
    size = 6 // stride

    def conv(source: int, kernel: int, step: int, shape: int) -> nir.Conv2d:
        weight = rng.normal(0.1, 0.5, (4, source, kernel, kernel))
        fields = {"padding": kernel // 2, "dilation": 1, "groups": 1, "bias": np.zeros(4)}
        return nir.Conv2d(input_shape=(shape, shape), weight=weight, stride=step, **fields)

    nodes = {
        **ports((2, 6, 6), (4, size, size)),
        "conv1": conv(2, 3, stride, 6),
        "lif1": lif((4, size, size)),
        "conv2": conv(4, 3, 1, size),
        "skip": conv(2, 1, stride, 6),
        "lif2": lif((4, size, size)),
    }
    way = ["input", "conv1", "lif1", "conv2", "lif2", "output"]
    edges = [*pairwise(way), ("input", "skip"), ("skip", "lif2")]
    flow = Flow.of(graph(nodes, edges), DT)
    ordered = one_way.put_branches_in_order(flow)
    order = {name: i for i, name in enumerate(edge_order.run_order(ordered))}
    assert all(order[a] < order[b] for a, b in ordered.edges)
    assert max(order, key=order.__getitem__) == "output"
    assert_same_spikes(flow, ordered)
    dropped = one_way.drop_zero_layers(ordered)
    assert dropped.nodes.keys() == flow.nodes.keys() and set(dropped.edges) == set(flow.edges)


def test_dialects_read_back() -> None:
    """tau in steps, the hidden synapse and channels last say something else, and come back."""
    for seed in SEEDS:
        flow = gain.set_gain(resting.fold_resting_potential(random_flow(seed)), "step")
        steps = exponential.write_tau_in_steps(flow)
        assert_same_spikes(flow, exponential.read_tau_in_steps(steps), seed)
        last = channels_last.write_channels_last(flow)
        assert_same_spikes(flow, channels_last.read_channels_last(last), seed)
        small = hidden_synapse.write_small_gain(flow)
        hidden = hidden_synapse.write_lif_as_synaptic(small)
        read = hidden_synapse.read_synaptic(hidden)
        for name in flow.named("LIF"):
            np.testing.assert_allclose(read.nodes[name].tau, flow.nodes[name].tau, rtol=1e-9)
