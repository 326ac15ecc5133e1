"""Where the delay of a loop sits, case by case, against loops written by hand."""

from __future__ import annotations

from itertools import pairwise

import nir
import numpy as np
import pytest
import torch

from mpo_snn.errors import GraphError
from mpo_snn.graph.inline import inline
from mpo_snn.graph.order import Step, schedule
from mpo_snn.graph.simulate import Simulator
from tests.graph.graphs import DT, affine, full, graph, identity, integrator, li, lif, ports

T = 30


def signal(seed: int = 0, size: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).integers(-4, 9, (T, 2, size)) / 8


def run(candidate: nir.NIRGraph, x: np.ndarray) -> np.ndarray:
    return Simulator(candidate, DT, torch.float64).run(torch.from_numpy(x)).output.numpy()


def steps(candidate: nir.NIRGraph) -> dict[str, Step]:
    return {step.name: step for step in schedule(inline(candidate)).steps}


def clones(candidate: nir.NIRGraph) -> set[str]:
    return {step.clone_of for step in steps(candidate).values() if step.clone_of}


def test_a_bias_in_the_loop_acts_at_step_0() -> None:
    weight = np.array([[0.5, -0.25], [0.25, 0.5]])
    bias = np.array([0.75, 0.25])
    candidate = graph(
        {**ports((2,)), "lif": lif(), "back": affine(weight, bias)},
        [("input", "lif"), ("lif", "back"), ("back", "lif"), ("lif", "output")],
    )
    x = signal()
    v, spk = np.zeros((2, 2)), np.zeros((2, 2))
    expected = []
    for x_t in x:
        v = 0.5 * v + x_t + spk @ weight.T + bias
        spk = (v > 0.7).astype(float)
        v = np.where(spk > 0, 0, v)
        expected.append(spk)
    np.testing.assert_array_equal(run(candidate, x), expected)
    silent = np.zeros((1, 1, 2))
    assert run(candidate, silent).tolist() == [[[1.0, 0.0]]]
    assert clones(candidate) == set()


@pytest.mark.parametrize("timing", ["next", "step"])
@pytest.mark.parametrize("feedback_first", [False, True])
def test_soft_reset_composite_equals_subtraction(timing: str, feedback_first: bool) -> None:
    """The way out of the loop is not delayed, whichever edge is stored first."""
    beta, threshold, dt = 0.9, 0.8, 1e-4
    tau = dt / (1 - beta)
    r = tau / dt
    taken = threshold if timing == "next" else beta * threshold
    out = [("lif", "output"), ("lif", "lif.reset")]
    candidate = graph(
        {
            **ports((2,)),
            "lif.membrane": nir.LI(full((2,), tau), full((2,), r), full((2,), 0)),
            "lif": nir.Threshold(full((2,), threshold)),
            "lif.reset": nir.Scale(full((2,), -taken * tau / (dt * r))),
        },
        [
            ("input", "lif.membrane"),
            ("lif.membrane", "lif"),
            *(reversed(out) if feedback_first else out),
            ("lif.reset", "lif.membrane"),
        ],
    )
    x = np.random.default_rng(1).normal(0.2, 0.5, (200, 3, 2))
    result = Simulator(candidate, dt, torch.float64).run(torch.from_numpy(x), record="membrane")
    v, spk = np.zeros((3, 2)), np.zeros((3, 2))
    for t, x_t in enumerate(x):
        if timing == "next":
            v = beta * v + x_t - threshold * spk
            before = v
        else:  # the threshold goes at once, and what is left decays
            v = beta * v + x_t
            before = v
        spk = (v > threshold).astype(float)
        if timing == "step":
            v = v - threshold * spk
        np.testing.assert_array_equal(result.output[t], spk)
        np.testing.assert_allclose(result.v["lif"][t], before, atol=1e-9)
    assert clones(candidate) == set()
    assert result.spikes.keys() == {"lif"}


def test_a_threshold_below_zero_fires_before_the_first_step() -> None:
    """What the loop sees at step 0 is what the Threshold makes of a silent membrane."""
    candidate = graph(
        {**ports((1,)), "v": integrator((1,)), "gate": nir.Threshold(full((1,), -0.5))},
        [("input", "v"), ("v", "gate"), ("gate", "v"), ("v", "output")],
    )
    assert run(candidate, np.zeros((3, 1, 1))).flatten().tolist() == [1, 2, 3]


def test_a_tail_that_sees_the_present_and_only_serves_the_loop_is_evaluated_once() -> None:
    candidate = graph(
        {**ports((2,)), "lif": lif(), "mix": identity(bias=0.125)},
        [("input", "lif"), ("lif", "mix"), ("input", "mix"), ("mix", "lif"), ("lif", "output")],
    )
    x = signal()
    v, spk, expected = np.zeros((2, 2)), np.zeros((2, 2)), []
    for x_t in x:
        v = 0.5 * v + x_t + (spk + x_t + 0.125)
        spk = (v > 0.7).astype(float)
        v = np.where(spk > 0, 0, v)
        expected.append(spk)
    np.testing.assert_array_equal(run(candidate, x), expected)
    assert clones(candidate) == set()
    assert set(steps(candidate)) == set(candidate.nodes)


def test_a_tail_that_sees_the_present_and_leads_out_is_evaluated_twice() -> None:
    candidate = graph(
        {**ports((2,)), "lif": lif(), "mix": identity(bias=0.125)},
        [("input", "lif"), ("lif", "mix"), ("input", "mix"), ("mix", "lif"), ("mix", "output")],
    )
    x = signal()
    v, spk, expected = np.zeros((2, 2)), np.zeros((2, 2)), []
    for x_t in x:
        v = 0.5 * v + x_t + (spk + x_t + 0.125)
        spk = (v > 0.7).astype(float)
        v = np.where(spk > 0, 0, v)
        expected.append(spk + x_t + 0.125)
    np.testing.assert_allclose(run(candidate, x), expected, atol=1e-12)
    assert clones(candidate) == {"mix"}
    assert steps(candidate)["mix"].clone_of is None


def test_the_edge_order_decides_which_edge_closes_the_loop() -> None:
    """a -> b -> a, entered at both: the walk starts at the first stored edge."""
    nodes = {**ports((1,)), "a": integrator((1,)), "b": integrator((1,))}
    loop = [("a", "b"), ("b", "a"), ("b", "output")]
    x = np.array([1.0, 0, 0]).reshape(3, 1, 1)
    from_a = graph(nodes, [("input", "a"), ("input", "b"), *loop])
    from_b = graph(nodes, [("input", "b"), ("input", "a"), *loop])
    # from a: a += x + b[t-1], b += x + a.   from b: b += x + a[t-1], a += x + b.
    assert run(from_a, x).flatten().tolist() == [2, 5, 13]
    assert run(from_b, x).flatten().tolist() == [1, 3, 8]


def test_a_loop_hidden_in_the_tails_of_others_is_found() -> None:
    """Taking the delays once leaves i -> mix -> sum -> i; see rule 4 of the module."""
    candidate = graph(
        {
            **ports((2,)),
            "i": integrator(),
            "sum": nir.Scale(full((2,), -0.5)),
            "li": li(),
            "mix": identity(bias=0.125),
        },
        [
            ("input", "i"),
            ("i", "sum"),
            ("sum", "li"),
            ("li", "mix"),
            ("mix", "sum"),
            ("li", "sum"),
            ("sum", "output"),
            ("sum", "i"),
            ("i", "mix"),
            ("input", "li"),
            ("input", "mix"),
        ],
    )
    x = signal()[:8]
    i, li_, expected = np.zeros((2, 2)), np.zeros((2, 2)), []
    for x_t in x:
        late_mix = li_ + i + x_t + 0.125
        i_now = i + x_t - 0.5 * (i + late_mix + li_)
        mix = li_ + i_now + x_t + 0.125
        total = -0.5 * (i_now + mix + li_)
        i, li_ = i_now, 0.5 * li_ + total + x_t
        expected.append(total)
    np.testing.assert_allclose(run(candidate, x), expected, atol=1e-12)


def test_a_loop_without_state_is_named() -> None:
    candidate = graph(
        {**ports((2,)), "a": identity(), "b": identity(), "lif": lif()},
        [("input", "a"), ("a", "b"), ("b", "a"), ("b", "lif"), ("lif", "output")],
    )
    with pytest.raises(GraphError, match=r"loop '(a' -> 'b' -> 'a|b' -> 'a' -> 'b)' has no node"):
        schedule(inline(candidate))


def test_a_chain_of_thousands_of_nodes() -> None:
    names = [f"n{i:04d}" for i in range(3000)]
    nodes = {**ports((1,)), **{name: nir.Scale(full((1,), 1)) for name in names}, "li": li((1,))}
    way = ["input", "li", *names, "output"]
    edges = [*pairwise(way), (names[-1], "li")]
    groups = schedule(inline(graph(nodes, edges))).groups
    assert [len(group.steps) for group in groups] == [1, 3001, 1]
