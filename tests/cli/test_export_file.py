"""`mpo-export FILE --reader NAME`: any NIR file in the form that is exact in a reader."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest

from mpo_snn.cli.export import main as export
from mpo_snn.cli.verify import main as verify
from mpo_snn.export.foldings.flow import Flow, with_fields
from mpo_snn.export.foldings.input_name import name_input
from mpo_snn.export.foldings.timestep import with_timestep
from mpo_snn.graph.metadata import read_metadata
from mpo_snn.graph.read import read_graph
from tests.export.flows import assert_same_spikes, random_flow

INPUT = "--data digits --timesteps 6 --dt 1e-3 --encoding direct --samples 20".split()
"""How the file is run; its timestep is no reader's own."""


def foreign(path: Path, dt: float = 1e-3, **changed: np.ndarray) -> Path:
    """A file as another program writes it: unit gain, thresholds of its own, no metadata."""
    rng = np.random.default_rng(0)
    neuron = {
        "tau": np.full(12, 5 * dt),
        "r": np.full(12, 5.0),
        "v_leak": np.zeros(12),
        "v_threshold": rng.uniform(0.8, 1.2, 12),
        "v_reset": np.zeros(12),
        **changed,
    }
    nodes = {
        "input": nir.Input(input_type={"input": np.array([64])}),
        "first": nir.Affine(rng.normal(0, 0.3, (12, 64)), rng.normal(0, 0.1, 12)),
        "cells": nir.LIF(**neuron),
        "last": nir.Linear(rng.normal(0, 0.5, (10, 12))),
        "output": nir.Output(output_type={"output": np.array([10])}),
    }
    names = list(nodes)
    nir.write(path, nir.NIRGraph(nodes, list(pairwise(names))))
    return path


@pytest.mark.parametrize("reader", ["norse", "snntorch", "spikingjelly", "portable", "nirtorch"])
def test_a_foreign_file_for_a_reader(
    reader: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = foreign(tmp_path / "a.nir")
    assert export([str(source), "--reader", reader, *INPUT]) == 0
    told = capsys.readouterr().out
    output = tmp_path / f"a.{reader}.nir"
    assert "equal" in told and f"wrote  {output}" in told and "# in " in told
    metadata = read_metadata(read_graph(output))
    assert metadata is not None and metadata.reader == reader
    assert (metadata.dataset, metadata.timesteps) == ("digits", 6)
    assert verify([str(source), str(output), *INPUT]) == 0


def test_a_file_of_ours_needs_nothing_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = foreign(tmp_path / "a.nir")
    assert export([str(source), "--reader", "nir", *INPUT]) == 0
    ours = tmp_path / "a.nir.nir"
    assert export([str(ours), "--reader", "norse", "--samples", "10"]) == 0
    assert verify([str(ours), str(tmp_path / "a.nir.norse.nir"), "--samples", "10"]) == 0
    assert export([str(ours), "--reader", "norse", "--dt", "1e-5"]) == 2
    assert "states its timestep: leave out --dt" in capsys.readouterr().err


def test_all_readers_in_one_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = foreign(tmp_path / "a.nir", v_leak=np.full(12, 0.1))
    assert export([str(source), "--reader", "all", *INPUT]) == 0
    told = capsys.readouterr().out
    assert (tmp_path / "a.nirtorch.nir").is_file() and "what stands in the way" in told


def renamed(path: Path, **names: str) -> Path:
    """The same graph in a file beside it, some nodes under other names."""
    graph = nir.read(path)
    nodes = {names.get(name, name): node for name, node in graph.nodes.items()}
    edges = [(names.get(a, a), names.get(b, b)) for a, b in graph.edges]
    output = path.with_name("renamed.nir")
    nir.write(output, nir.NIRGraph(nodes, edges))
    return output


def test_ports_of_any_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SpikingJelly calls its Input `input_1`; spyx finds none but `input`."""
    source = renamed(foreign(tmp_path / "a.nir"), input="input_1", output="spikes")
    assert export([str(source), "--reader", "spikingjelly", *INPUT]) == 0
    told = capsys.readouterr().out
    assert "(6, 2, 64)" in told and "(6, 2, 10)" in told
    assert export([str(source), "--reader", "all", *INPUT]) == 0
    assert "is not found" not in capsys.readouterr().out


def test_spyx_gets_the_name_that_it_looks_for(tmp_path: Path) -> None:
    source = foreign(tmp_path / "a.nir")
    flow = Flow.of(read_graph(renamed(source, input="first", first="input")), 1e-3)
    assert name_input(flow) is flow
    flow = Flow.of(read_graph(renamed(source, input="input_1")), 1e-3)
    assert name_input(flow).flat.inputs == ["input"]
    assert_same_spikes(flow, name_input(flow))


def grouped(path: Path, kernel: tuple[int, int] = (3, 3), groups: int = 2) -> Path:
    """A convolution that nir's own type check refuses, on 8x8 images."""
    rng, (tall, wide) = np.random.default_rng(0), kernel
    flow = Flow.of(read_graph(foreign(path)), 1e-3)
    shape = (4, 11 - tall, 11 - wide)
    nodes = {
        "input": nir.Input({"input": np.array([1, 8, 8])}),
        "wide": nir.Conv2d((8, 8), rng.normal(0, 1, (4, 1, 1, 1)), 1, 0, 1, 1, np.zeros(4)),
        "groups": nir.Conv2d(
            (8, 8), rng.normal(0, 0.5, (4, 4 // groups, *kernel)), 1, 1, 1, groups, np.zeros(4)
        ),
        "fire": with_fields(
            flow.nodes["cells"],
            **{
                name: np.full(shape, value)
                for name, value in (
                    ("tau", 5e-3),
                    ("r", 5.0),
                    ("v_leak", 0.0),
                    ("v_threshold", 1.0),
                    ("v_reset", 0.0),
                )
            },
        ),
        "flat": nir.Flatten({"input": np.array(shape)}, 0, -1),
        "last": nir.Linear(rng.normal(0, 0.5, (10, int(np.prod(shape))))),
        "output": nir.Output({"output": np.array([10])}),
    }
    nir.write(path, nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False))
    return path


@pytest.mark.parametrize(("kernel", "groups"), [((3, 3), 2), ((3, 3), 4), ((3, 1), 1)])
def test_convolutions_become_plain(
    kernel: tuple[int, int], groups: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = grouped(tmp_path / "a.nir", kernel, groups)
    assert export([str(source), "--reader", "nir", *INPUT]) == 0
    assert "equal" in capsys.readouterr().out
    written = nir.read(tmp_path / "a.nir.nir").nodes["groups"]
    assert written.weight.shape == (4, 4, 3, 3) and int(np.prod(written.groups)) == 1


def test_a_kernel_without_a_middle_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = grouped(tmp_path / "a.nir", (3, 2))
    assert export([str(source), "--reader", "nir", *INPUT]) == 2
    assert "make both sides odd or both even" in capsys.readouterr().err


def test_what_a_file_cannot_be_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(foreign(tmp_path / "a.nir"))
    for options, message in (
        ([], "say for whom it is to be written, --reader NAME"),
        (["--reader", "norse"], "--data NAME, --timesteps N, --dt SECONDS, --encoding"),
        (["--reader", "abacus", *INPUT], "unknown --reader 'abacus'"),
        (["--reader", "norse", "--plain-reset"], "--plain-reset is for runs"),
        (["--reader", "norse", "--output", source, *INPUT], "the file that is read"),
    ):
        assert export([source, *options]) == 2
        assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.nir"]


def test_a_run_says_itself_how_it_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export([str(tmp_path), "--timesteps", "4"]) == 2
    assert "says how it is run: leave out --timesteps" in capsys.readouterr().err


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("dt", [1e-3, 3e-5])
def test_another_timestep_is_the_same_network(seed: int, dt: float) -> None:
    flow = random_flow(seed)
    assert flow.dt != dt
    assert_same_spikes(flow, with_timestep(flow, dt))


def test_what_differs_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Membranes that no spike shows: said so, not called a divergence of spikes."""
    one = foreign(tmp_path / "a.nir")
    other = foreign(tmp_path / "b.nir", v_leak=np.full(12, 1e-7))
    assert verify([str(one), str(other), *INPUT]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "no spike differs on this data, but membranes or outputs do, by up to" in told


def test_files_of_float32_are_held_to_what_that_explains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = foreign(tmp_path / "a.nir")
    graph = nir.read(one)
    for node in graph.nodes.values():
        for name in ("weight", "bias", "tau", "r", "v_threshold"):
            if hasattr(node, name):
                rounded = getattr(node, name).astype(np.float32).astype(np.float64)
                setattr(node, name, rounded)
    nir.write(tmp_path / "b.nir", graph)
    assert verify([str(one), str(tmp_path / "b.nir"), *INPUT]) == 0
    assert "are numbers of float32" in " ".join(capsys.readouterr().out.split())


def test_explain_on_either_side_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(foreign(tmp_path / "a.nir"))
    told = []
    for words in (["--explain", source], [source, "--explain"]):
        assert export([*words, "--dt", "1e-3"]) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]
    assert "are keys of a recipe" in told[0] and "--reader all tries each" in told[0]
    for words in (["--explain"], [str(tmp_path), "--explain"], [source, "--explain", source]):
        assert export(words) == 2
        assert "mpo-export --explain FILE" in capsys.readouterr().err
