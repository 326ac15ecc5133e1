"""What an MPO network cannot express is refused by node, with the way out, all at once."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import pytest
import torch

import mpo_snn
from mpo_snn.errors import GraphError
from tests.graph.graphs import DT, affine, chain, full, graph, identity, li, lif, ports


def refusal(candidate: nir.NIRGraph, **options: Any) -> GraphError:
    with pytest.raises(GraphError) as caught:
        mpo_snn.from_nir(candidate, **{"dt": DT, **options})
    return caught.value


def around(**changes: Any) -> nir.NIRGraph:
    """LI -> Threshold with a feedback Scale, one thing of it changed."""
    nodes = {"m": li(), "t": nir.Threshold(full((2,), 0.7)), "s": nir.Scale(full((2,), -0.7))}
    nodes |= changes
    edges = [("input", "m"), ("m", "t"), ("t", "s"), ("s", "m"), ("t", "output")]
    return graph({**ports((2,)), **nodes}, edges)


def cuba(**changes: Any) -> nir.CubaLIF:
    fields = {"tau_syn": 2 * DT, "tau_mem": 2 * DT, "r": 2, "v_leak": 0, "v_threshold": 0.5}
    fields |= {"v_reset": 0, "w_in": 2, **changes}
    return nir.CubaLIF(**{name: full((2,), value) for name, value in fields.items()})


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (chain((2,), n=lif(v_reset=-0.1)), "node 'n' (LIF) resets to v_reset = -0.1"),
        (chain((2,), n=lif(threshold=0.0)), "node 'n' (LIF) has a threshold of 0"),
        (
            chain((2,), n=nir.IF(full((2,), -1), full((2,), 1), full((2,), 0))),
            "node 'n' (IF) has a gain r that is not above 0: turn the sign of the weights",
        ),
        (chain((2,), n=cuba(w_in=0)), "a gain w_in or r of the synapse that is not above 0"),
        (chain((2,), n=lif(v_leak=0.1)), "node 'n' has v_leak != 0, a constant current"),
        (
            chain((2,), fc=identity(), n=cuba(v_leak=0.1)),
            "node 'n' (CubaLIF) has v_leak behind a synapse with a memory",
        ),
        (
            chain((2,), d=nir.Delay(full((2,), DT)), n=lif()),
            "node 'd' is a Delay",
        ),
        (chain((2,), n=lif(), o=li(), fc=identity()), "node 'o' (LI) shows its membrane to 'fc'"),
        (chain((2,), fc=identity()), "it has no spiking node (CubaLIF, IF, LIF, Threshold)"),
        (chain((2,), fc=identity(), o=li()), "it has no spiking node (CubaLIF, IF, LIF, Thr"),
        (
            around(s=nir.Scale(full((2,), -0.5))),
            "node 's' (Scale), the reset of 't', takes 0.5 off a membrane with threshold 0.7",
        ),
        (
            around(
                m=nir.CubaLI(full((2,), 2 * DT), full((2,), 2 * DT), full((2,), 2), full((2,), 0))
            ),
            "node 's' (Scale), the reset of 't', passes through the synapse of 'm'",
        ),
        (
            around(s=nir.Linear(-np.eye(2))),
            "the loop 'm' -> 't' -> 's' -> 'm' is recurrence",
        ),
        (
            chain((2,), forward=lif()),
            "node 'forward' has a name that no layer of torch can have",
        ),
        (
            chain((2, 3), (2, 3), w=nir.Linear(np.ones((2, 3, 3))), n=lif((2, 3))),
            "node 'w' (Linear) cannot be a layer: its weight has shape (2, 3, 3)",
        ),
        (
            chain(
                (1, 4, 4),
                (1, 4, 4),
                c=nir.Conv2d((4, 4), np.ones((1, 1, 2, 2)), 1, "same", 1, 1, np.zeros(1)),
                n=lif((1, 4, 4)),
            ),
            "node 'c' (Conv2d) cannot be a layer: it pads 'same' unevenly for kernel (2, 2)",
        ),
        (
            chain(
                (1, 4, 4),
                (1, 7, 7),
                p=nir.SumPool2d(np.array([2, 2]), np.array([1, 1]), np.array([2, 2])),
                n=lif((1, 7, 7)),
            ),
            "node 'p' (SumPool2d) cannot be a layer: it pads (2, 2) for windows of (2, 2)",
        ),
    ],
)
def test_refused(candidate: nir.NIRGraph, expected: str) -> None:
    error = refusal(candidate)
    assert str(error).startswith("cannot import the graph: ")
    assert any(line.startswith(expected) or expected in line for line in error.findings), error
    assert len(error.findings) == 1


def test_recurrence_is_refused_wherever_it_is() -> None:
    nodes = {**ports((2,)), "n": lif(), "w": identity()}
    loop = graph(nodes, [("input", "n"), ("n", "w"), ("w", "n"), ("n", "output")])
    assert "the loop 'n' -> 'w' -> 'n' is recurrence" in str(refusal(loop))
    itself = graph({**ports((2,)), "n": lif()}, [("input", "n"), ("n", "n"), ("n", "output")])
    assert "the loop 'n' -> 'n' is recurrence" in str(refusal(itself))


def test_a_membrane_that_feeds_more_than_its_threshold() -> None:
    nodes = {**ports((2,)), "m": li(), "t": nir.Threshold(full((2,), 0.5))}
    edges = [("input", "m"), ("m", "t"), ("m", "output"), ("t", "output")]
    error = refusal(graph(nodes, edges))
    assert error.findings[0].startswith("node 'm' (LI) shows its membrane to 't', 'output'")


def test_everything_is_told_at_once() -> None:
    nodes = {
        "d": nir.Delay(full((2,), DT)),
        "n": lif(v_reset=0.1, threshold=-1),
        "fc": affine(np.eye(2)),
        "k": lif(v_leak=0.5),
        "o": li(),
    }
    candidate = chain((2,), **nodes, train=nir.Scale(full((2,), 1)))
    candidate.edges.append(("k", "fc"))
    error = refusal(candidate)
    assert len(error.findings) == 6
    assert str(error).splitlines()[0] == "cannot import the graph: 6 findings"


def test_what_the_caller_gets_wrong() -> None:
    sound = chain((2,), n=lif())
    assert "it does not say its timestep" in str(refusal(sound, dt=None))
    assert "in torch.float16, expected torch.float32" in str(refusal(sound, dtype=torch.float16))
    assert "shorter than dt" in str(refusal(sound, dt=1.0))
    assert "dt is -1" in str(refusal(sound, dt=-1))
    low = chain((2,), n=lif(threshold=5e-4))
    assert "a learnt threshold stays above 0.001" in str(refusal(low, learn_threshold=True))
    assert mpo_snn.from_nir(low, dt=DT).n.threshold == pytest.approx(5e-4)


def test_what_makes_no_sense_is_told_by_the_check() -> None:
    broken = graph({**ports((2,)), "n": lif()}, [("input", "output")])
    assert "'n' (LIF) is not reached from the Input" in str(refusal(broken))


def test_a_file_that_is_not_there(tmp_path: Any) -> None:
    with pytest.raises(GraphError, match="there is no such file"):
        mpo_snn.from_nir(tmp_path / "none.nir")


@pytest.mark.parametrize("source", [None, {}, [], b"model.nir", nir.Threshold(full((2,), 1.0))])
def test_what_is_no_graph_and_no_path_is_refused(source: Any) -> None:
    assert "expected a nir.NIRGraph or a path" in str(refusal(source))


@pytest.mark.parametrize(
    ("field", "value"),
    [("nodes", None), ("edges", None), ("edges", [("input",)]), ("edges", [7]), ("metadata", None)],
)
def test_a_graph_taken_apart_is_refused(field: str, value: Any) -> None:
    broken = chain((2,), n=lif())
    setattr(broken, field, value)
    assert "the graph cannot be used" in str(refusal(broken))


@pytest.mark.parametrize(
    "options", [{"width": "a"}, {"width": -1}, {"learn_leak": "yes"}, {"learn_threshold": None}]
)
def test_options_of_a_wrong_type_are_refused(options: dict[str, Any]) -> None:
    (name, value), *_ = options.items()
    assert f"with {name} {value!r}, expected" in str(refusal(chain((2,), n=lif()), **options))


def test_values_that_float32_loses_are_refused() -> None:
    error = refusal(chain((2,), w=identity(), n=lif(threshold=1e-300)))
    assert "n.threshold is 1e-300, which is 0 in torch.float32" in str(error)
    large = chain((2,), w=nir.Linear(full((2, 2), 1e300)), n=lif())
    assert "w.weight has values up to 1e+300" in str(refusal(large))
    assert mpo_snn.from_nir(large, dt=DT, dtype=torch.float64).dt == DT
