"""Graphs of other programs against each other: names, volts and time may differ, spikes decide."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import nir
import numpy as np
import pytest

from mpo_snn.cli.verify import main
from mpo_snn.export.pairing import pair_layers
from tests.graph.graphs import full

DT = 1e-4
RUN = "--data digits --samples 60 --timesteps 5 --encoding direct".split()


def network(dt: float = DT, unit: float = 1.0, names: tuple[str, str] = ("a", "b")) -> nir.NIRGraph:
    """Two dense spiking layers; `unit` volts of it are one volt of the plain one."""
    rng = np.random.default_rng(3)

    def lif(n: int) -> nir.LIF:
        tau, threshold = rng.uniform(2, 5, n) * dt, rng.uniform(0.2, 0.5, n)
        return nir.LIF(tau, full((n,), unit), full((n,), 0), unit * threshold, full((n,), 0))

    first, second = names
    nodes = {
        "input": nir.Input(np.array([1, 8, 8])),
        "flat": nir.Flatten({"input": np.array([1, 8, 8])}, 0, -1),
        "fc1": nir.Affine(rng.normal(0, 0.3, (20, 64)), rng.normal(size=20)),
        first: lif(20),
        "fc2": nir.Affine(rng.normal(0, 0.5, (10, 20)), rng.normal(size=10)),
        second: lif(10),
        "output": nir.Output(np.array([10])),
    }
    return nir.NIRGraph(nodes, list(zip(nodes, list(nodes)[1:], strict=False)))


@pytest.fixture
def compared(tmp_path, capsys):
    """compared(a, b, *words) -> exit code, what was printed, record."""

    def compare(
        a: nir.NIRGraph, b: nir.NIRGraph, *words: str, output: Path | None = None
    ) -> tuple[int, str, dict]:
        paths = [str(tmp_path / "a.nir"), str(tmp_path / "b.nir")]
        for path, graph in zip(paths, (a, b), strict=True):
            nir.write(path, graph)
        record = tmp_path / "record.json"
        record.unlink(missing_ok=True)
        code = main([*paths, *words, "--output", str(output or record)])
        out, err = capsys.readouterr()
        return code, out + err, json.loads(record.read_text()) if record.exists() else {}

    return compare


def test_equal_files_are_equal_in_any_volts_and_any_time(compared) -> None:
    other = network(1e-3, unit=2.5)
    other.metadata["dt"] = 1e-3
    code, out, record = compared(network(), other, *RUN, "--dt", "1e-4")
    assert code == 0 and "equal: every spike is the same" in out
    assert [layer["layer"] for layer in record["float32"]["layers"]] == ["a", "b"]
    assert all(layer["jaccard"] == 1 for layer in record["float64"]["layers"])
    assert record["float64"]["layers"][0]["spikes_in_both"] > 0
    assert any("tau of node 'a' differs" in note for note in record["notes"])


def test_layers_of_other_names_are_paired_in_order(compared) -> None:
    code, out, record = compared(network(), network(names=("a", "lif2")), *RUN, "--dt", "1e-4")
    assert code == 0 and [layer["layer"] for layer in record["float64"]["layers"]] == ["a", "b"]
    assert "paired in the order in which they run: b is lif2." in out


def test_a_changed_weight_is_found_with_layer_and_timestep(compared) -> None:
    damaged = network(names=("x", "y"))
    damaged.nodes["fc2"].weight[3, :] += 0.2
    code, out, _ = compared(network(), damaged, *RUN, "--dt", "1e-4")
    assert code == 1 and "first divergence in layer 'b' at timestep 0" in out


def test_a_higher_threshold_is_found_though_volts_do_not_count(compared) -> None:
    damaged = network()
    damaged.nodes["a"].v_threshold[4] *= 1.01
    code, out, _ = compared(network(), damaged, *RUN, "--dt", "1e-4")
    assert code == 1 and "first divergence in layer 'a'" in out


def test_a_layer_without_partner_is_left_out_and_float64_alone_is_run(compared) -> None:
    longer = network()
    longer.nodes["gate"] = nir.Threshold(full((10,), 0.5))
    longer.edges = [e for e in longer.edges if e != ("b", "output")]
    longer.edges += [("b", "gate"), ("gate", "output")]
    code, out, record = compared(network(), longer, *RUN, "--dt", "1e-4")
    assert code == 0 and "has the name: gate; the comparison is made in float64 alone" in out
    assert "float32" not in record and record["float64"]["equal"]


def test_a_page_of_what_differs(compared, tmp_path) -> None:
    damaged = network(names=("<a>", "b"))
    damaged.nodes["fc1"].weight[3, :] += 0.05
    page = tmp_path / "page.html"
    code, out, _ = compared(network(), damaged, *RUN, "--dt", "1e-4", output=page)
    assert code == 1 and f"wrote  {page}" in out
    text = page.read_text()
    assert 'aria-label="Spikes that differ in float64, by layer and timestep"' in text
    assert ">different<" in text and "<a>" not in text and "http" not in text


def test_no_layer_in_common(compared) -> None:
    without = copy.deepcopy(network())
    for name in ("a", "b"):
        without.nodes[name] = nir.Scale(full(without.nodes[name].tau.shape, 1))
    code, out, record = compared(network(), without, *RUN, "--dt", "1e-4")
    assert code == 1 and "first divergence in the output at timestep 0" in out
    assert record["float64"]["layers"] == []
    assert compared(without, without, *RUN, "--dt", "1e-4")[0] == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", "please give --data NAME, --timesteps N, --dt SECONDS, --encoding direct|rate"),
        ("--data digits --timesteps 5 --encoding direct", "please give --dt SECONDS."),
        ("--data digits --timesteps 0 --encoding direct --dt 1e-4", "timesteps is 0, expected at"),
        ("--data digits --timesteps 5 --encoding direct --dt 1", "shorter than dt = 1 s"),
    ],
)
def test_what_is_missing_is_asked_for(words: str, expected: str, compared) -> None:
    code, out, _ = compared(network(), network(), *words.split())
    assert code == 2 and expected in out and out.count("\n") <= 5


def test_what_the_second_file_lacks_is_asked_for(compared) -> None:
    stated = network()
    stated.metadata["dt"] = DT
    code, out, _ = compared(stated, network(), *RUN)
    assert code == 2 and "b.nir' does not state its timestep; please give --dt" in out
    assert compared(stated, network(), *RUN, "--dt", "1e-4")[0] == 0
    code, out, _ = compared(stated, stated, *RUN, "--dt", "1e-3")
    assert code == 2 and "both files state their timestep: leave out --dt." in out


def test_pairs() -> None:
    by_name = pair_layers({"a": (3,), "b": (4,)}, {"b": (4,), "a": (3,)})
    assert by_name.pairs == {"a": "a", "b": "b"} and not by_name.notes
    assert pair_layers({"a": (3,)}, {"x": (3, 1, 1)}).pairs == {"a": "x"}
    for other in ({"x": (4,)}, {"x": (3,), "y": (3,)}, {}):
        apart = pair_layers({"a": (3,)}, other)
        assert apart.pairs == {} and set(apart.lonely) == {"a", *other}


def test_a_file_that_is_not_there(tmp_path: Path, capsys) -> None:
    nir.write(tmp_path / "a.nir", network())
    assert main([str(tmp_path / "a.nir"), str(tmp_path / "none.nir"), *RUN]) == 2
    assert "there is no such file" in capsys.readouterr().err


def test_a_second_file_with_a_layer_more_is_compared_in_what_both_have(compared) -> None:
    shorter = network(names=("a", "b"))
    edges = [(s, t) for s, t in shorter.edges if "b" not in (s, t)]
    del shorter.nodes["b"]
    shorter.edges = [*edges, ("fc2", "output")]
    longer = network(names=("a", "b"))
    for first, second in ((shorter, longer), (longer, shorter)):
        code, told, _ = compared(first, second, *RUN, "--dt", "1e-4")
        assert code == 1 and "no layer of the other file has the name: b" in told
        assert "first divergence in the output" in told
