from __future__ import annotations

import copy

import nir
import numpy as np
import pytest
import torch

from mpo_snn.errors import GraphError
from mpo_snn.graph.inline import inline
from mpo_snn.graph.simulate import Simulator
from tests.graph.graphs import DT, chain, full, graph, identity, li, lif, ports

X = torch.randn(12, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def outputs(candidate: nir.NIRGraph) -> torch.Tensor:
    return Simulator(candidate, DT, torch.float64).run(X).output


def recurrent() -> nir.NIRGraph:
    """A LIF with its own feedback, as a graph of its own."""
    return graph(
        {**ports((2,)), "lif": lif(), "w": identity(bias=0.25)},
        [("input", "lif"), ("lif", "w"), ("w", "lif"), ("lif", "output")],
    )


def test_a_subgraph_equals_its_parts() -> None:
    nested = graph(
        {**ports((2,)), "a": li(), "r": recurrent(), "b": li()},
        [("input", "a"), ("a", "r"), ("r", "b"), ("b", "output")],
    )
    flat = graph(
        {**ports((2,)), "a": li(), "r.lif": lif(), "r.w": identity(bias=0.25), "b": li()},
        [
            ("input", "a"),
            ("a", "r.lif"),
            ("r.lif", "r.w"),
            ("r.w", "r.lif"),
            ("r.lif", "b"),
            ("b", "output"),
        ],
    )
    before = copy.deepcopy(nested.to_dict())
    result = inline(nested)
    assert set(result.nodes) == set(flat.nodes)
    assert sorted(result.edges) == sorted(flat.edges)
    assert (result.inputs, result.outputs) == (["input"], ["output"])
    assert Simulator(nested, DT).spiking == ["r.lif"]
    assert torch.equal(outputs(nested), outputs(flat))
    np.testing.assert_equal(nested.to_dict(), before)


def test_subgraphs_inside_subgraphs() -> None:
    inner = chain((2,), s=nir.Scale(full((2,), 2)))
    outer = chain((2,), i=inner, t=nir.Scale(full((2,), 3)))
    result = inline(chain((2,), o=outer))
    assert set(result.nodes) == {"input", "output", "o.i.s", "o.t"}
    assert torch.equal(outputs(chain((2,), o=outer)), 6 * X)


def test_several_edges_at_both_borders() -> None:
    wide = graph(
        {**ports((2,)), "a": nir.Scale(full((2,), 2)), "b": nir.Scale(full((2,), 3))},
        [("input", "a"), ("input", "b"), ("a", "output"), ("b", "output")],
    )
    nested = graph(
        {**ports((2,)), "u": nir.Scale(full((2,), 5)), "v": nir.Scale(full((2,), 7)), "w": wide},
        [("input", "u"), ("input", "v"), ("u", "w"), ("v", "w"), ("w", "output")],
    )
    assert sorted(inline(nested).edges) == [
        ("input", "u"),
        ("input", "v"),
        *((first, second) for first in ("u", "v") for second in ("w.a", "w.b")),
        ("w.a", "output"),
        ("w.b", "output"),
    ]
    torch.testing.assert_close(outputs(nested), 60 * X)


def test_a_way_through_a_subgraph_counts_beside_the_direct_one() -> None:
    through = graph(ports((2,)), [("input", "output")])
    nested = graph(
        {**ports((2,)), "a": nir.Scale(full((2,), 2)), "p": through},
        [("input", "a"), ("a", "p"), ("p", "output"), ("a", "output")],
    )
    assert torch.equal(outputs(nested), 4 * X)


def test_edge_order_of_a_node_is_kept() -> None:
    sub = chain((2,), s=nir.Scale(full((2,), 1)))
    nodes = {**ports((2,)), "first": li(), "g": sub, "last": li()}
    edges = [("input", "first"), ("input", "g"), ("input", "last")]
    ends = [(name, "output") for name in ("first", "g", "last")]
    flat = inline(graph(nodes, edges + ends))
    leaving = [target for source, target in flat.edges if source == "input"]
    assert leaving == ["first", "g.s", "last"]


def test_borders_must_be_single() -> None:
    two = graph(
        {**ports((2,)), "more": nir.Input(np.array([2]))}, [("input", "output"), ("more", "output")]
    )
    with pytest.raises(GraphError, match=r"subgraph 'g' must have exactly one Input.*'more'"):
        inline(chain((2,), g=two))
    none = graph({"input": nir.Input(np.array([2])), "a": li()}, [("input", "a")])
    with pytest.raises(GraphError, match=r"subgraph 'g' must have exactly one Output, found none"):
        inline(chain((2,), g=none))


def test_two_nodes_with_one_dotted_name() -> None:
    clash = graph(
        {**ports((2,)), "g.s": li(), "g": chain((2,), s=li())},
        [("input", "g.s"), ("g.s", "g"), ("g", "output")],
    )
    with pytest.raises(GraphError, match=r"two nodes are called 'g\.s'"):
        inline(clash)


def test_edge_to_nowhere() -> None:
    with pytest.raises(GraphError, match=r"names 'g\.ghost', which is not in the graph"):
        inline(chain((2,), g=graph(ports((2,)), [("input", "ghost")])))


def test_a_subgraph_that_feeds_itself_through_nothing() -> None:
    nodes = {**ports((2,)), "p": graph(ports((2,)), [("input", "output")])}
    with pytest.raises(GraphError, match="feeds itself without a node in between"):
        inline(graph(nodes, [("input", "p"), ("p", "p"), ("p", "output")]))
