"""What profiles promise: the file as its reader runs it is the graph, or the reasons are told."""

from __future__ import annotations

from itertools import pairwise

import nir
import numpy as np
import pytest
from torch import nn

from interop.graphs import DT, cuba_lif, dense, lif
from mpo_snn.errors import ExportError
from mpo_snn.export.foldings.flow import Flow, with_fields
from mpo_snn.export.nir_export import export_nir
from mpo_snn.export.readers import READERS
from mpo_snn.export.readers.finding import Finding, merged
from tests.export.flows import assert_same_spikes, random_flow
from tests.export.networks import ConvNet, Dense, Residual, Synaptic, settled
from tests.graph.graphs import graph, ports


class Unbiased(Dense):
    """No bias behind the first neurons."""

    def __init__(self, **neuron) -> None:
        super().__init__(**neuron)
        self.fc2 = nn.Linear(12, 4, bias=False)


ZERO, NEXT, STEP = (
    {"reset": "zero"},
    {"reset": "subtract", "reset_timing": "next"},
    {"reset": "subtract", "reset_timing": "step"},
)
IF = {"beta": 1.0, "input_gain": "unit"}
TAKEN = {
    (Dense, "zero"): {"snntorch", "norse", "spikingjelly", "sinabs", "nirtorch", "portable"},
    (Dense, "next"): {"snntorch", "nirtorch"},
    (Dense, "step"): {"snntorch", "sinabs", "rockpool", "nirtorch"},
    (Unbiased, "next"): {"snntorch", "spyx", "nirtorch"},
    (ConvNet, "zero"): {"snntorch", "norse", "spikingjelly", "nirtorch", "portable"},
    (ConvNet, "if"): {"snntorch", "norse", "spikingjelly", "sinabs", "nirtorch", "portable"},
    (Residual, "zero"): {"snntorch", "norse", "spikingjelly", "nirtorch", "portable"},
    (Synaptic, "zero"): {"snntorch", "norse", "nirtorch"},
}
SETTINGS = {"zero": ZERO, "next": NEXT, "step": STEP, "if": IF}


def chain(*nodes: nir.NIRNode, shape=(12,), out=(7,)) -> Flow:
    named = {f"n{i}": node for i, node in enumerate(nodes)}
    names = ["input", *named, "output"]
    edges = list(pairwise(names))
    return Flow.of(graph({**ports(shape, out), **named}, edges), DT)


def severities(reader: str, flow: Flow) -> set[str]:
    return {f.severity for f in READERS[reader].findings(flow)} - {"note"}


@pytest.mark.parametrize(
    ("case", "taken"), TAKEN.items(), ids=[f"{kind.__name__}-{reset}" for kind, reset in TAKEN]
)
def test_who_takes_a_network_and_that_its_file_is_it(case, taken) -> None:
    kind, reset = case
    network, _ = settled(kind, **SETTINGS[reset])
    flow = Flow.of(export_nir(network, kind.input_shape).graph, DT)
    found = set()
    for name, reader in READERS.items():
        try:
            folded = reader.fold(flow)
        except ExportError as error:
            assert all(f.startswith(("'", "its", "the")) for f in error.findings)
            continue
        found.add(name)
        assert_same_spikes(flow, reader.as_read(folded))
        assert reader.nir_version == ("1.0.4" if name in ("sinabs", "rockpool") else "1.0.8")
    assert found == taken | {"nir"}


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs_are_exact_or_refused(seed: int) -> None:
    """No profile writes a file that its reader, as the profile reads it, would run otherwise."""
    flow = random_flow(seed)
    for reader in READERS.values():
        try:
            folded = reader.fold(flow)
        except ExportError as error:
            assert error.findings
            continue
        assert_same_spikes(flow, reader.as_read(folded), seed)


def test_what_each_reader_does_with_a_plain_file() -> None:
    """interop.md's table: a LIF with r = tau / dt, and with r = 1."""
    rng = np.random.default_rng(0)
    unit = chain(dense(rng, 12, 7, True), lif((7,)))
    decay = chain(dense(rng, 12, 7, True), lif((7,), unit=False))
    expected = {
        "snntorch": (set(), set()),
        "norse": ({"different"}, set()),
        "spikingjelly": (set(), set()),
        "sinabs": ({"different"}, {"different"}),
        "rockpool": ({"fails"}, {"fails"}),
        "spyx": ({"different"}, {"different"}),
        "nirtorch": (set(), set()),
    }
    for name, (first, second) in expected.items():
        assert severities(name, unit) == first, name
        assert severities(name, decay) == second, name


def test_a_leak_per_channel_is_one_finding_that_names_the_setting() -> None:
    rng = np.random.default_rng(0)
    tau = np.linspace(2, 6, 7) * DT
    mixed = chain(dense(rng, 12, 7, True), with_fields(lif((7,)), tau=tau, r=np.ones(7)))
    with pytest.raises(ExportError) as refused:
        READERS["portable"].fold(mixed)
    (finding,) = refused.value.findings
    assert "differ in tau (SpikingJelly); one leak per layer (neuron.granularity" in finding


def test_values_that_a_reader_ignores_or_refuses() -> None:
    rng = np.random.default_rng(0)
    neuron = lif((7,))
    reset = chain(dense(rng, 12, 7, True), with_fields(neuron, v_reset=np.full(7, 0.2)))
    leak = chain(dense(rng, 12, 7, True), with_fields(neuron, v_leak=np.full(7, 0.2)))
    steps = np.linspace(2, 6, 7)
    mixed = chain(dense(rng, 12, 7, True), with_fields(neuron, tau=steps * DT, r=np.ones(7)))
    assert severities("snntorch", reset) == severities("norse", reset) == {"different"}
    assert severities("snntorch", leak) == severities("spikingjelly", leak) == {"fails"}
    assert severities("snntorch", mixed) == {"different"}, "the first of r dt / tau is taken"
    assert severities("spikingjelly", mixed) == {"fails"}
    assert not severities("norse", mixed)
    assert "fails" in severities("sinabs", chain(dense(rng, 12, 7, False), lif((7,))))
    cuba = chain(dense(rng, 12, 7, True), cuba_lif((7,)))
    assert not severities("snntorch", cuba) | severities("spikingjelly", cuba)
    assert severities("rockpool", cuba) == {"different"}


def test_a_refusal_names_every_reason_with_its_way_out() -> None:
    network, _ = settled(ConvNet, reset="subtract", reset_timing="next")
    flow = Flow.of(export_nir(network, ConvNet.input_shape).graph, DT)
    with pytest.raises(ExportError) as error:
        READERS["norse"].fold(flow)
    (finding,) = error.value.findings
    assert "'lif1', 'lif2'" in finding and "train with neuron.reset zero" in finding
    with pytest.raises(ExportError) as error:
        READERS["rockpool"].fold(flow)
    assert len(error.value.findings) == 4


def test_one_dt_for_snntorch() -> None:
    rng = np.random.default_rng(0)
    flow = chain(dense(rng, 12, 7, True), lif((7,)))
    slow = Flow(flow.nodes, flow.edges, 2 * DT)
    assert severities("snntorch", slow) == {"different"}
    (finding,) = READERS["snntorch"].findings(slow)
    assert "keeps 0.8 of its membrane in a step instead of 0.6" in finding.what


def test_code_after_loading_compiles() -> None:
    for reader in READERS.values():
        code = f"{reader.load}\n{reader.run}"
        values = {"path": '"model.nir"', "folder": '"."', "dt": DT, "samples": 2, "late": 1}
        compile(code.format(**values), reader.name, "exec")
        for timing in (None, "next", "step"):
            compile(reader.after(timing), reader.name, "exec")


def test_the_same_of_many_nodes_is_told_once() -> None:
    findings = [Finding(f"lif{k}", "r is ignored", "different", "fold it") for k in range(6)]
    (one,) = merged(findings)
    assert str(one) == "'lif0', 'lif1', 'lif2' and 3 more: r is ignored; fold it"
    assert merged([one]) == [one]
    (four,) = merged(findings[:4])
    assert str(four) == "'lif0', 'lif1', 'lif2', 'lif3': r is ignored; fold it"
    assert str(merged([Finding("", "no version fits", "fails")])[0]) == "no version fits"
