from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

from mpo_snn.errors import GraphError
from mpo_snn.graph.metadata import (
    KEY,
    GraphMetadata,
    known_timestep,
    known_timesteps,
    read_metadata,
    write_metadata,
)
from mpo_snn.graph.read import read_graph
from tests.graph.graphs import chain, li, lif

METADATA = GraphMetadata(
    dt=1e-4,
    timesteps=4,
    encoding="direct",
    readout="mean",
    dataset="digits",
    input_scaling="value / 16",
    reset="zero",
    reset_timing="step",
    class_names=("zero", "één"),
    spiking={"layers.1": "layers_1"},
    folds=("bn1 into conv1",),
    notes=(),
    writer="mpo-snn 0.1.0",
    nir_version="1.0.8",
    equivalence={"identical": 1.0, "layers": ["a", "b"]},
)


def graph_with(metadata: GraphMetadata = METADATA) -> nir.NIRGraph:
    graph = chain((2,), n=li(dt=1e-4))
    graph.metadata["other"] = "kept"
    write_metadata(graph, metadata)
    return graph


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read_metadata(graph_with()) == METADATA
    nir.write(tmp_path / "a.nir", graph_with())
    for loaded in (read_graph(tmp_path / "a.nir"), nir.read(tmp_path / "a.nir")):
        assert read_metadata(loaded) == METADATA
        assert loaded.metadata["other"] == "kept"
        assert loaded.metadata["dt"] == 1e-4
        assert loaded.metadata["timesteps"] == 4


def test_writing_again_replaces() -> None:
    graph = graph_with()
    later = dataclasses.replace(METADATA, dt=1e-3, equivalence=None)
    write_metadata(graph, later)
    assert read_metadata(graph) == later


def test_foreign_graphs_have_none() -> None:
    graph = chain((2,), n=li())
    assert read_metadata(graph) is None
    assert known_timestep(graph) is None
    graph.metadata["dt"] = 1e-3
    assert read_metadata(graph) is None
    assert known_timestep(graph) == 1e-3
    for useless in ("soon", -1, 0, float("nan"), [1, 2]):
        graph.metadata["dt"] = useless
        assert known_timestep(graph) is None


def test_timesteps_of_foreign_graphs() -> None:
    graph = chain((2,), n=li())
    assert known_timesteps(graph) is None
    for stated in (7, 7.0, np.array([7]), np.int64(7)):
        graph.metadata["timesteps"] = stated
        assert known_timesteps(graph) == 7
    for useless in ("seven", 0, -3, 7.5, float("nan"), float("inf"), [1, 2], True, None):
        graph.metadata["timesteps"] = useless
        assert known_timesteps(graph) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"dt": 0.0}, "dt is 0.0, expected a positive number of seconds"),
        ({"dt": float("inf")}, "dt is inf"),
        ({"timesteps": 0}, "timesteps is 0, expected an integer >= 1"),
        ({"timesteps": 2.0}, "timesteps is 2.0"),
        (
            {"readout": "max"},
            "readout is 'max', expected one of ('mean', 'sum', 'last', 'spike_count')",
        ),
        ({"class_names": ["a"]}, "class_names is ['a'], expected a tuple of texts"),
        ({"spiking": {"a": 1}}, "spiking is {'a': 1}, expected a mapping of texts to texts"),
        ({"dataset": 3}, "dataset is 3, expected text or None"),
    ],
)
def test_values_out_of_range(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(GraphError) as caught:
        dataclasses.replace(METADATA, **changes)
    assert expected in str(caught.value)


def damaged(**changes: Any) -> nir.NIRGraph:
    graph = graph_with()
    content = {**json.loads(graph.metadata[KEY]), **changes}
    graph.metadata[KEY] = json.dumps({k: v for k, v in content.items() if v != "DROP"})
    return graph


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"writer": "DROP"}, "'writer' is missing"),
        ({"colour": "red"}, "'colour' is unknown"),
        ({"timesteps": 5}, "timesteps is 5, but beside it stands 4"),
        ({"dt": "fast"}, "dt is 'fast', but beside it stands 0.0001"),
        ({"readout": 3}, "readout is 3, expected one of"),
        ({"folds": "all"}, "folds is 'all', expected a tuple of texts"),
    ],
)
def test_damaged_metadata(changes: dict[str, Any], expected: str, tmp_path: Path) -> None:
    with pytest.raises(GraphError) as caught:
        read_metadata(damaged(**changes))
    start = "cannot read the metadata 'mpo_snn' of the graph: "
    assert str(caught.value).startswith(start + expected)
    nir.write(tmp_path / "a.nir", damaged(**changes))
    with pytest.raises(GraphError, match=re.escape(start + expected)):
        read_graph(tmp_path / "a.nir")


@pytest.mark.parametrize("content", ["{", "[1]", 3.5])
def test_metadata_that_is_no_json_object(content: Any) -> None:
    graph = graph_with()
    graph.metadata[KEY] = content
    with pytest.raises(GraphError, match="it is no JSON"):
        read_metadata(graph)


def test_every_fault_of_a_files_metadata_has_its_own_line(tmp_path):
    graph = chain((2,), n=lif())
    graph.metadata["mpo_snn"] = "{}"
    nir.write(tmp_path / "g.nir", graph)
    with pytest.raises(GraphError) as caught:
        read_graph(tmp_path / "g.nir")
    told = "cannot read the metadata 'mpo_snn' of the graph: 'encoding' is missing"
    assert told in caught.value.findings
