"""A network that is read out by a membrane, in NIR: the same membranes, or a reason why not."""

from __future__ import annotations

import copy
import re

import nir
import nirtorch
import numpy as np
import pytest
import torch
from hypothesis import event, given, settings
from hypothesis import strategies as st

from mpo_snn.deploy.read_layers import read_layers
from mpo_snn.errors import ExportError, UnrollError
from mpo_snn.export.compare import compare
from mpo_snn.export.explain import explain_file
from mpo_snn.export.for_reader import export_for_reader, export_preferred
from mpo_snn.export.nir_export import export_nir
from mpo_snn.export.nir_file import write_nir
from mpo_snn.export.readers import READERS
from mpo_snn.export.readers.nirtorch_map import full_map
from mpo_snn.export.sources import GraphSource, NetworkSource
from mpo_snn.export.to_onnx.build import build_onnx
from mpo_snn.graph.read import read_graph
from mpo_snn.graph.simulate import Simulator
from mpo_snn.leaky import MPOLeaky
from mpo_snn.unroll import Unrolled
from tests.membrane_networks import INPUTS, MembraneNetwork, adapted, loop, slow_layer
from tests.to_onnx.run import all_steps, in_onnxruntime, in_reference

T, B, DT = 12, 4, 1e-4
FORMS = [("none", True), ("subtract", True), ("subtract", False)]
HIDDEN = {"beta": 0.7, "threshold": 0.3, "reset": "zero", "late": False}


def drive(seed: int = 1, samples: int = B) -> torch.Tensor:
    return 2.0 * torch.from_numpy(np.random.default_rng(seed).normal(size=(T, samples, INPUTS)))


def simulated(graph: nir.NIRGraph, x: torch.Tensor, dtype: torch.dtype = torch.float64):
    return Simulator(graph, DT, dtype=dtype).run(x, record="membrane")


def drawn(reset: str, late: bool, synaptic: bool = False, **last) -> torch.nn.Module:
    return adapted(MembraneNetwork(synaptic, reset_mechanism=reset, reset_delay=late, **last))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    form=st.sampled_from(FORMS),
    synaptic=st.booleans(),
    alpha=st.sampled_from([0.0, 0.3, 0.95, 1.0]),
    beta=st.sampled_from([0.0, 0.25, 0.5, 0.9, 0.99, 1.0]),
    threshold=st.floats(0.1, 2.0),
    gain=st.sampled_from(["unit", "decay"]),
    seed=st.integers(0, 2**16),
)
def test_three_ways_agree_with_a_slow_loop(form, synaptic, alpha, beta, threshold, gain, seed):
    reset, late = form
    if gain == "decay" and beta == 1.0:
        beta = 0.9  # refused by the neuron: nothing would enter
    network = drawn(
        reset,
        late,
        synaptic,
        seed=seed,
        beta=beta,
        threshold=threshold,
        **_synapse(synaptic, alpha),
    )
    network.lif2.input_gain = gain
    x = drive(seed)
    weights = [p.detach().numpy() for p in (*network.fc1.parameters(), *network.fc2.parameters())]
    spk1, _ = slow_layer(x.numpy() @ weights[0].T + weights[1], **HIDDEN)
    current = spk1 @ weights[2].T + weights[3]
    theta = float(network.lif2.threshold)  # as snnTorch keeps it, in float32
    alphas = {"alpha": float(network.lif2.alpha)} if synaptic else {}
    spk2, mem2 = slow_layer(
        current, float(network.lif2.beta), theta, reset, late, gain=gain, **alphas
    )
    event(f"the last layer spikes: {bool(spk2.any())}")
    own, own_spikes = loop(network, x)
    export = export_nir(network, INPUTS, DT)
    run = simulated(export.graph, x)
    for name, found in (("own", own), ("all", Unrolled(network, T)(x)), ("nir", run.output)):
        assert float(np.abs(found.detach().numpy() - mem2).max()) <= 1e-9 * theta, name
    assert np.array_equal(own_spikes.detach().numpy(), spk2)
    assert np.array_equal(run.spikes[export.spiking["lif1"]].numpy(), spk1 > 0)
    if reset == "subtract":
        assert np.array_equal(run.spikes[export.spiking["lif2"]].numpy(), spk2 > 0)
    else:
        assert set(export.spiking) == {"lif1"}


def _synapse(synaptic: bool, alpha: float) -> dict[str, float]:
    return {"alpha": alpha} if synaptic else {}


@pytest.mark.parametrize(
    ("reset", "late", "last", "kinds"),
    [
        ("none", True, {}, {"lif2": "LI"}),
        ("none", False, {"beta": 1.0}, {"lif2": "I"}),
        ("none", True, {"beta": 0.0}, {"lif2": "LI"}),
        ("none", True, {"synaptic": True}, {"lif2": "CubaLI"}),
        (
            "subtract",
            True,
            {},
            {"lif2": "Threshold", "lif2.membrane": "LI", "lif2.reset": "Scale"},
        ),
        (
            "subtract",
            False,
            {"beta": 0.0},
            {"lif2": "Threshold", "lif2.membrane": "LI", "lif2.after": "Scale"},
        ),
    ],
)
def test_form(reset, late, last, kinds):
    graph = export_nir(drawn(reset, late, **last), INPUTS, DT).graph
    found = {n: type(x).__name__ for n, x in graph.nodes.items() if n.startswith("lif2")}
    assert found == kinds
    ends = [a for a, b in graph.edges if b == "output"]
    assert set(ends) == {n for n in kinds if kinds[n] != "Threshold" and n != "lif2.reset"}


@pytest.mark.parametrize(("reset", "late"), FORMS)
@pytest.mark.parametrize("synaptic", (False, True))
def test_the_file_is_proved_equal_and_damage_is_found(reset, late, synaptic, tmp_path):
    network = drawn(reset, late, synaptic)
    export = export_nir(network, INPUTS, DT)
    write_nir(tmp_path / "m.nir", export.graph)
    graph = read_graph(tmp_path / "m.nir")
    source, samples = NetworkSource(Unrolled(network, T)), drive(samples=40)[0]
    proof = compare(source, GraphSource(graph, DT, export.spiking), samples, T)
    assert proof.is_equal, proof.first_divergence
    assert all(result.output_difference < 1e-6 for result in proof.results)
    layers = [tally.layer for tally in proof.results[0].layers]
    assert layers == (["lif1"] if reset == "none" else ["lif1", "lif2"])
    assert all(tally.either > 0 for tally in proof.results[0].layers)
    damaged = copy.deepcopy(graph)
    node = damaged.nodes["lif2" if reset == "none" else "lif2.membrane"]
    node.r = node.r * 1.001
    assert not compare(source, GraphSource(damaged, DT, export.spiking), samples, T).is_equal
    if "lif2.after" in graph.nodes:
        damaged = copy.deepcopy(graph)
        damaged.edges.remove(("lif2.after", "output"))
        damaged.nodes.pop("lif2.after")
        damaged.edges.remove(("lif2", "lif2.after"))
        proof = compare(source, GraphSource(damaged, DT, export.spiking), samples, T)
        assert proof.first_divergence.layer == "output"


@pytest.mark.parametrize(("reset", "late"), FORMS)
def test_notes_say_what_the_output_is(reset, late):
    notes = export_nir(drawn(reset, late), INPUTS, DT).notes
    assert notes[0] == "the output is the membrane of 'lif2' in volt, not its spikes."
    assert not any("without reset" in note for note in notes)


@pytest.mark.parametrize("late", (False, True))
def test_a_reset_to_zero_is_refused_with_the_way_out(late):
    network = MembraneNetwork(reset_mechanism="zero", reset_delay=late)
    with pytest.raises(ExportError, match=r"'lif2', which resets to zero.*'none' or 'subtract'"):
        export_nir(adapted(network), INPUTS, DT)


@pytest.mark.parametrize(
    ("options", "told"),
    [({"chip": True}, "chips give spikes"), ({"plain_reset": True}, "leave plain_reset out")],
)
def test_other_forms_are_refused(options, told):
    network = drawn("subtract", False)
    with pytest.raises(ExportError, match=rf"the output is the membrane of layer 'lif2'.*{told}"):
        export_nir(network, INPUTS, DT, **options)


def test_the_current_of_a_synapse_is_refused():
    network = drawn("none", True, synaptic=True)
    forward = type(network).forward

    class ReadsCurrent(type(network)):
        def forward(self, x, mem1=None, syn=None, mem2=None):
            mem2, spk2, mem1, syn = forward(self, x, mem1, syn, mem2)
            return syn, mem2, spk2

    network.__class__ = ReadsCurrent
    with pytest.raises(UnrollError, match="is the current of the synapse of neuron 'lif2'"):
        export_nir(network, INPUTS, DT)


@pytest.mark.parametrize(("reset", "late"), FORMS)
def test_a_layer_in_other_units_is_read_in_volt(reset, late):
    network, x = drawn(reset, late), drive()
    expected = simulated(export_nir(network, INPUTS, DT).graph, x).output
    network.lif2.membrane_unit = torch.tensor([2.0, 0.5, 1.0], dtype=torch.float64)
    export = export_nir(network, INPUTS, DT)
    assert "lif2.volt" in export.graph.nodes
    assert torch.allclose(simulated(export.graph, x).output, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("reset", "late"), FORMS)
def test_only_readers_that_run_it_take_it(reset, late, tmp_path):
    export = export_nir(drawn(reset, late), INPUTS, DT)
    for name, reader in READERS.items():
        dt = reader.dt or DT
        plain = export_nir(drawn(reset, late), INPUTS, dt)
        if name in ("nir", "nirtorch"):
            found = export_for_reader(plain, reader, dt)
            joined = {"output.sum"} if name == "nirtorch" and (reset, late) == FORMS[2] else set()
            assert found.graph.nodes.keys() == export.graph.nodes.keys() | joined
            continue
        with pytest.raises(ExportError) as told:
            export_for_reader(plain, reader, dt)
        assert any("'lif2" in line for line in told.value.findings or [str(told.value)]), name
    assert export_preferred(export, DT).reader.name == "nir"
    write_nir(tmp_path / "m.nir", export.graph)
    verdicts = {e.reader.name: e.verdict for e in explain_file(tmp_path / "m.nir", DT).readers}
    exact = {name for name, verdict in verdicts.items() if verdict.startswith("exact")}
    assert exact == (set() if (reset, late) == FORMS[2] else {"nirtorch"})
    assert verdicts["snntorch"] == "not at all"


@pytest.mark.parametrize(("reset", "late"), FORMS)
@pytest.mark.parametrize("synaptic", (False, True))
def test_nirtorch_runs_it(reset, late, synaptic, tmp_path):
    export = export_for_reader(
        export_nir(drawn(reset, late, synaptic), INPUTS, DT), READERS["nirtorch"], DT
    )
    write_nir(tmp_path / "m.nir", export.graph)
    network = nirtorch.nir_to_torch(str(tmp_path / "m.nir"), full_map(DT))
    state, outputs, x = None, [], drive()
    with torch.no_grad():
        for step in x.float():
            output, state = network(step, state)
            outputs.append(output)
    expected = simulated(export.graph, x)
    assert float((torch.stack(outputs) - expected.output).abs().max()) < 1e-4
    assert expected.output.abs().max() > 0.5


@pytest.mark.parametrize(("reset", "late"), FORMS)
@pytest.mark.parametrize("synaptic", (False, True))
def test_as_an_onnx_model_it_gives_the_same(reset, late, synaptic):
    export, x = export_nir(drawn(reset, late, synaptic), INPUTS, DT), drive()
    expected = simulated(export.graph, x).output.numpy()
    for precision, run, atol in (
        ("float64", in_reference, 1e-12),
        ("float32", in_onnxruntime, 1e-5),
    ):
        model = build_onnx(export.graph, DT, export.spiking, precision=precision)
        found = all_steps(model, run(model), x.numpy().astype(precision))
        np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


@pytest.mark.parametrize(("reset", "late"), FORMS)
@pytest.mark.parametrize("synaptic", (False, True))
def test_chips_refuse_it_in_one_finding(reset, late, synaptic):
    graph = export_nir(drawn(reset, late, synaptic), INPUTS, DT).graph
    read = read_layers(graph, DT, T, "counts")
    assert read.layers is None
    (told,) = read.findings
    assert re.search("membrane of 'lif2", str(told)) and "chips give" in str(told)


class Alone(torch.nn.Module):
    """One pure integrator."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.fc = torch.nn.Linear(INPUTS, 3)
        self.lif = MPOLeaky(0.8, reset="none", input_gain="unit")

    def forward(self, x, mem=None):
        _, mem = self.lif(self.fc(x), mem)
        return mem


def test_a_network_of_one_integrator_has_no_layer_that_spikes():
    network = Alone().double()
    export, source = export_nir(network, INPUTS, DT), NetworkSource(Unrolled(network, T))
    assert export.spiking == {} and source.layers() == []
    graph = GraphSource(export.graph, DT, export.spiking)
    assert compare(source, graph, drive()[0], T).is_equal
    export.graph.nodes["lif"].tau *= 1.01
    wrong = GraphSource(export.graph, DT, export.spiking)
    assert not compare(source, wrong, drive()[0], T).is_equal
