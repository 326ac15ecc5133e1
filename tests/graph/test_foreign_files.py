"""Files of other writers, put together by h5py alone: read as documented, or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

import mpo_snn
from mpo_snn.errors import GraphError
from mpo_snn.graph.read import read_graph
from mpo_snn.graph.simulate import Simulator
from tests.graph.foreign_files import AFFINE, CHAIN, INPUT, LIF, OUTPUT, write_file
from tests.graph.graphs import DT

BETWEEN = [("input", "k"), ("k", "output")]
SUBGRAPH = {"type": "NIRGraph", "nodes": {"input": INPUT, "k": LIF, "output": OUTPUT}}
BYTES = np.array([[name.encode() for name in edge] for edge in CHAIN])
LIF_2D = {key: value if key == "type" else np.array([value]) for key, value in LIF.items()}
CONV = {"type": "Conv1d", "weight": np.eye(1)[None], "stride": 1, "padding": 0, "dilation": 1}
CONV |= {"groups": 1, "bias": [0.1]}
ROW = {"input": {"type": "Input", "shape": [1, 2]}, "output": {"type": "Output", "shape": [1, 2]}}


@pytest.fixture
def usual(tmp_path: Path) -> torch.Tensor:
    """What the example gives when every field is an array of float64."""
    return run(write_file(tmp_path / "usual.nir"))


def run(path: Path) -> torch.Tensor:
    simulator = Simulator(read_graph(path), DT, torch.float64)
    x = torch.randn(40, 3, *simulator.input_shape, generator=torch.Generator().manual_seed(0))
    output = simulator.run(x).output
    assert 0 < output.mean() < 1
    return output


@pytest.mark.parametrize(
    "changes",
    [
        {"v_reset": None},
        {"v_reset": 0},
        {"tau": 2 * DT},
        {"tau": [2 * DT], "r": [[2.0]]},
        {"tau": 2 * DT, "r": 2, "v_leak": 0.0, "v_threshold": 0.7, "v_reset": [0.0]},
        {"r": np.array([2, 2], np.int16), "v_leak": np.zeros(2, bool)},
        {"r": np.array([2, 2], ">f8"), "tau": np.array([2 * DT] * 2, np.float32)},
        {"type": np.bytes_("LIF")},
        {"metadata": {"made by": "hand", "layers": [1, 2]}},
        {"edges": BYTES},
        {"nodes": {"fc": {**AFFINE, "weight": np.array(AFFINE["weight"], order="F")}}},
        {"nodes": {"input": {"type": "Input", "shape": 2}}},
        {"nodes": {"input": {"type": "Input", "shape": [2.0]}}},
        {"nodes": {"n": {**SUBGRAPH, "edges": BETWEEN}}},
    ],
)
def test_read_as_documented(changes: dict[str, Any], usual: torch.Tensor, tmp_path: Path) -> None:
    assert torch.equal(run(write_file(tmp_path / "a.nir", **changes)), usual)


def test_a_bias_of_one_value_holds_for_all(tmp_path: Path) -> None:
    one = write_file(tmp_path / "a.nir", {"fc": {**AFFINE, "bias": 0.2}})
    two = write_file(tmp_path / "b.nir", {"fc": {**AFFINE, "bias": [0.2, 0.2]}})
    assert torch.equal(run(one), run(two))


@pytest.mark.parametrize("padding", [0, [0], "same", np.bytes_("valid")])
def test_padding_in_numbers_and_words(padding: Any, tmp_path: Path) -> None:
    nodes = {**ROW, "fc": {**CONV, "padding": padding}, "n": LIF_2D}
    plain = {**ROW, "fc": CONV, "n": LIF_2D}
    a, b = (write_file(tmp_path / name, one) for name, one in (("a", nodes), ("b", plain)))
    assert torch.equal(run(a), run(b))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"r": None}, "node 'n' (LIF) has no r"),
        ({"type": None}, "node 'n' has no type"),
        ({"type": "lif"}, "node 'n' is of the unknown kind lif; supported: Input, Output"),
        ({"type": np.array([b"LIF"])}, "node 'n' has the type an array of shape (1,)"),
        ({"tau": "long"}, "tau of node 'n' (LIF) is 'long', expected numbers"),
        ({"tau": np.array([b"1", b"2"])}, "tau of node 'n' (LIF) is an array of shape (2,)"),
        ({"tau": np.array([1j, 1])}, "type complex128, expected numbers"),
        ({"tau": np.zeros(0)}, "its parameters differ in shape: tau (0,), r (2,)"),
        ({"tau": [1.0, 2, 3]}, "its parameters differ in shape: tau (3,), r (2,)"),
        ({"tau": [np.nan, 1]}, "tau of 'n' (LIF) has 1 NaN of 2 values"),
        ({"v_threshold": [np.inf, 1]}, "v_threshold of 'n' (LIF) has 1 infinite of 2 values"),
        ({"tau": -1.0}, "tau of 'n' (LIF) is -1 s in 2 of 2 values, expected > 0 s"),
        ({"beta": 0.5}, "node 'n' (LIF) has the unknown field 'beta'"),
        ({"edges": None}, "the graph (NIRGraph) has no edges"),
        ({"edges": [*CHAIN, ("fc", "n")]}, "edge ('fc', 'n') stands 2 times, expected once"),
        ({"edges": [*CHAIN, ("n", "x")]}, "edge ('n', 'x') names 'x', which is not in the graph"),
        ({"edges": [*CHAIN, ("fc", "fc")]}, "the loop 'fc' -> 'fc' has no node with state"),
        ({"edges": np.array([[0, 1]])}, "are no list of pairs of node names"),
        ({"edges": np.array([[b"a", b"b", b"c"]])}, "are no list of pairs of node names"),
        ({"nodes": {"x": AFFINE}}, "missing edge: 'x' (Affine) is not reached from the Input"),
        ({"nodes": {"input": None}}, "the graph must have exactly one Input, found none"),
        ({"nodes": {"input": {"type": "Input"}}}, "node 'input' (Input) has no shape"),
        ({"nodes": {"fc": {**AFFINE, "bias": None}}}, "node 'fc' (Affine) has no bias"),
        ({"nodes": {"fc": {**AFFINE, "weight": [1.0, 2]}}}, "Weight must be at least 2D"),
        (
            {"nodes": {"fc": {**AFFINE, "weight": np.ones((2, 3))}}},
            "'input' (Input) gives (2,), but 'fc' (Affine) takes (3,)",
        ),
        (
            {"nodes": {"n": {**SUBGRAPH, "edges": BETWEEN}}, "edges": [*CHAIN[:1], ("fc", "n.k")]},
            "edge ('fc', 'n.k') names 'n.k', which is not in the graph",
        ),
        (
            {
                "nodes": {"n": {"type": "NIRGraph", "nodes": {"input": INPUT, "output": OUTPUT}}},
                "edges": [*CHAIN, ("n", "n")],
            },
            "node 'n' (NIRGraph) has no edges",
        ),
    ],
)
def test_refused_by_name(changes: dict[str, Any], expected: str, tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.nir", **changes)
    for attempt in (read_graph, mpo_snn.from_nir):
        with pytest.raises(GraphError) as caught:
            attempt(path)
        assert expected in str(caught.value)
        assert str(caught.value).startswith(f"cannot read '{path}'")


def test_a_subgraph_that_holds_itself(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.nir", {"n": {**SUBGRAPH, "edges": BETWEEN}})
    with h5py.File(path, "r+") as file:
        file["node/nodes/n/nodes/again"] = file["node/nodes/n"]
    with pytest.raises(GraphError, match="is linked more than once"):
        read_graph(path)


def test_subgraphs_that_feed_each_other_through_nothing(tmp_path: Path) -> None:
    empty = {"type": "NIRGraph", "nodes": {"input": INPUT, "output": OUTPUT}}
    empty["edges"] = [("input", "output")]
    edges = [*CHAIN, ("fc", "a"), ("a", "b"), ("b", "a"), ("b", "n")]
    path = write_file(tmp_path / "a.nir", {"a": empty, "b": empty}, edges)
    with pytest.raises(GraphError, match="has no node with state"):
        read_graph(path)


def test_every_finding_of_a_file_at_once(tmp_path: Path) -> None:
    nodes = {"fc": {**AFFINE, "bias": None}, "x": {"type": "Sigmoid"}, "y": {"weight": [1.0]}}
    with pytest.raises(GraphError) as caught:
        read_graph(write_file(tmp_path / "a.nir", nodes, [*CHAIN, ("n", "z")], tau="long"))
    assert len(caught.value.findings) == 4  # the edge is told once nodes can be read
