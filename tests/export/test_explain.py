"""`--explain` on files of ours and of others: what each reader does, in its own column."""

from __future__ import annotations

import re

import nir
import numpy as np
import pytest

from interop.graphs import DT, dense, lif, recurrent
from mpo_snn.errors import ExportError, GraphError
from mpo_snn.export.explain import explain_file
from mpo_snn.export.foldings.flow import Flow
from mpo_snn.export.for_reader import export_for_reader
from mpo_snn.export.nir_export import export_nir
from mpo_snn.export.nir_file import write_nir
from mpo_snn.export.readers import READERS
from mpo_snn.graph.metadata import GraphMetadata, write_metadata
from tests.export.networks import Dense, settled
from tests.graph.graphs import graph, ports


def metadata(reader: str | None, dt: float, **reset: str) -> GraphMetadata:
    return GraphMetadata(
        dt=dt, timesteps=4, encoding="direct", readout="mean", dataset=None, input_scaling="",
        reset=reset.get("reset", "zero"), reset_timing=reset.get("reset_timing", "step"),
        class_names=(), spiking={}, folds=(), notes=(), writer="test", nir_version="1.0.8",
        reader=reader,
    )  # fmt: skip


def plain(unit: bool = True) -> nir.NIRGraph:
    rng = np.random.default_rng(0)
    nodes = {**ports((12,), (7,)), "fc": dense(rng, 12, 7, True), "lif": lif((7,), unit=unit)}
    return graph(nodes, [("input", "fc"), ("fc", "lif"), ("lif", "output")])


def verdicts(path, dt=None) -> dict[str, str]:
    return {e.reader.name: e.verdict for e in explain_file(path, dt).readers}


@pytest.mark.parametrize("reader", ("snntorch", "norse", "spikingjelly", "sinabs", "nirtorch"))
def test_a_file_for_a_reader_is_exact_in_it(reader, tmp_path) -> None:
    network, _ = settled(Dense)
    dt = READERS[reader].dt or DT
    flow = READERS[reader].fold(Flow.of(export_nir(network, Dense.input_shape, dt).graph, dt))
    written = flow.graph()
    write_metadata(written, metadata(reader, dt))
    path = tmp_path / "model.nir"
    write_nir(path, written, READERS[reader].nir_version)
    found = verdicts(path)
    assert found[reader] == ("exact after a step" if reader == "sinabs" else "exact")
    others = {"norse": "different", "sinabs": "exact"}
    for other in {"snntorch", "norse"} - {reader}:
        assert found[other] != others.get(reader), (reader, found)


def test_a_subtraction_written_for_snntorch_is_another_network_in_norse(tmp_path) -> None:
    reset = {"reset": "subtract", "reset_timing": "next"}
    network, _ = settled(Dense, **reset)
    flow = READERS["snntorch"].fold(Flow.of(export_nir(network, Dense.input_shape).graph, DT))
    written = flow.graph()
    write_metadata(written, metadata("snntorch", DT, **reset))
    write_nir(tmp_path / "model.nir", written)
    explained = {e.reader.name: e for e in explain_file(tmp_path / "model.nir").readers}
    assert explained["snntorch"].verdict == "exact after a step"
    assert "reset_delay" in explained["snntorch"].after
    assert explained["norse"].verdict == "different"
    assert any("instead of by subtraction" in f.what for f in explained["norse"].findings)


@pytest.mark.parametrize(
    "reset", [("zero", "step"), ("subtract", "next"), ("subtract", "step"), ("none", "step")]
)
def test_a_file_of_its_own_is_told_where_the_exporter_writes_one(reset, tmp_path) -> None:
    network, _ = settled(Dense, reset=reset[0], reset_timing=reset[1])
    export = export_nir(network, Dense.input_shape, DT)
    write_nir(tmp_path / "plain.nir", export.graph)
    for told in explain_file(tmp_path / "plain.nir").readers:
        obstacles: list[str] = []
        try:
            after = export_for_reader(export, told.reader, DT).after
            own = "exact after a step" if after else "exact"
        except ExportError as error:
            own, obstacles = None, error.findings
        named = "".join(finding.where + finding.what for finding in told.findings)
        for line in obstacles:
            assert any(node in named for node in re.findall("'[^']+'", line.partition(": ")[0]))
        assert told.own_file == (None if told.verdict.startswith("exact") else own)
        helps = [finding.help for finding in told.findings if finding.help]
        if told.own_file is not None:
            (line,) = helps
            assert f"mpo-export --reader {told.reader.name}, exact" in line
            assert ("step after loading" in line) == (own == "exact after a step")
        if told.reader.name == "snntorch" and reset[0] == "subtract":
            assert told.own_file == "exact after a step"


def test_foreign_files(tmp_path) -> None:
    nir.write(tmp_path / "unit.nir", plain())
    explained = explain_file(tmp_path / "unit.nir")
    assert explained.dt == DT and explained.dt_from == "assumed" and not explained.written_for
    found = verdicts(tmp_path / "unit.nir")
    assert found["snntorch"] == found["spikingjelly"] == found["nirtorch"] == "exact"
    assert found["norse"] == found["spyx"] == "different"
    assert found["sinabs"] == found["rockpool"] == "not at all", "the file holds v_reset"
    write_nir(tmp_path / "old.nir", plain(), "1.0.4")
    assert verdicts(tmp_path / "old.nir")["sinabs"] == "different"
    assert verdicts(tmp_path / "unit.nir", 5e-5)["snntorch"] == "different", "dt is 1e-4 there"
    with pytest.raises(GraphError, match="shorter than dt"):
        explain_file(tmp_path / "unit.nir", 1.0)


def test_loops(tmp_path) -> None:
    nir.write(tmp_path / "loop.nir", recurrent(bias=True))
    found = {e.reader.name: e for e in explain_file(tmp_path / "loop.nir").readers}
    assert found["snntorch"].verdict == "not at all"
    assert found["spikingjelly"].verdict == found["norse"].verdict == "different"
    assert "does not act at step 0" in found["nirtorch"].findings[0].what


def test_what_nir_itself_refuses(tmp_path) -> None:
    rng = np.random.default_rng(0)
    nodes = {
        **ports((4, 6, 6), (4, 6, 6)),
        "conv": nir.Conv2d((6, 6), rng.normal(size=(4, 2, 3, 3)), 1, 1, 1, 2, np.zeros(4)),
    }
    nir.write(tmp_path / "grouped.nir", graph(nodes, [("input", "conv"), ("conv", "output")]))
    nodes["conv"] = nir.Conv2d((6, 6), rng.normal(size=(4, 4, 3, 1)), 1, (1, 0), 1, 1, np.zeros(4))
    nir.write(tmp_path / "oblong.nir", graph(nodes, [("input", "conv"), ("conv", "output")]))
    for name in ("grouped", "oblong"):
        explained = explain_file(tmp_path / f"{name}.nir")
        assert {e.verdict for e in explained.readers} == {"not at all"}, name
        assert all("--reader" in e.findings[0].help for e in explained.readers), name
