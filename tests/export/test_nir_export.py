"""The exported graph fires the spikes of the network, and files load in the plain nir package."""

import copy

import h5py
import nir
import numpy as np
import pytest
import torch
from torch import nn

from mpo_snn.encoding import encode
from mpo_snn.errors import ExportError, UnrollError
from mpo_snn.export.nir_export import export_nir
from mpo_snn.export.nir_file import write_nir
from mpo_snn.graph.read import read_graph
from mpo_snn.graph.simulate import Simulator
from mpo_snn.unroll import Unrolled

from .networks import NETWORKS, ConvNet, Dense, Residual, T, lif, settled

RESETS = [("zero", "step"), ("zero", "next"), ("subtract", "step"), ("subtract", "next")]
NEURONS = [
    {},
    {"input_gain": "unit", "threshold": 0.8},
    {"beta": 1.0, "input_gain": "unit", "threshold": 1.5},
    {"beta": 0.0},
]


def spikes_of(network, samples):
    found = {}
    double = copy.deepcopy(network).double()
    with torch.no_grad():
        out = Unrolled(double, T)(
            encode(samples.double(), T), observe=lambda name, spk, v: found.update({name: spk})
        )
    return found, out


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize(("reset", "timing"), [*RESETS, ("none", "step")])
@pytest.mark.parametrize("neuron", NEURONS)
def test_float64_spikes_are_identical(kind, reset, timing, neuron, tmp_path):
    network, samples = settled(kind, reset=reset, reset_timing=timing, **neuron)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    export = export_nir(network, kind.input_shape)
    write_nir(tmp_path / "m.nir", export.graph)
    graph = read_graph(tmp_path / "m.nir")
    run = Simulator(graph, 1e-4, dtype=torch.float64).run(encode(samples, T), record="spikes")
    expected, out = spikes_of(network, samples)
    assert set(export.spiking) == set(expected)
    for name, spk in expected.items():
        assert torch.equal(run.spikes[export.spiking[name]], spk.bool()), name
    first = next(iter(expected.values()))
    assert 0.01 < float(first.mean()) < 0.99, "a silent network proves nothing"
    assert torch.allclose(run.output, out, rtol=1e-12, atol=1e-12)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


@pytest.mark.parametrize("kind", NETWORKS)
def test_files_load_with_type_checks_on(kind, tmp_path):
    export = export_nir(settled(kind)[0], kind.input_shape)
    write_nir(tmp_path / "m.nir", export.graph)
    graph = nir.read(tmp_path / "m.nir", type_check=True)
    assert set(graph.nodes) == set(export.graph.nodes)
    assert all(
        node.weight.dtype == np.float64
        for node in graph.nodes.values()
        if isinstance(node, nir.Affine | nir.Linear | nir.Conv2d)
    )


def test_zero_reset_is_a_plain_lif_and_if():
    graph = export_nir(settled(ConvNet)[0], ConvNet.input_shape).graph
    node = graph.nodes["lif1"]
    assert isinstance(node, nir.LIF)
    assert np.allclose(1 - 1e-4 / node.tau, 0.6, rtol=1e-7)
    assert node.tau.shape == (4, 6, 6)
    assert np.all(node.r == 1) and np.all(node.v_reset == 0)
    network = settled(ConvNet, beta=1.0, input_gain="unit")[0]
    graph = export_nir(network, ConvNet.input_shape).graph
    assert isinstance(graph.nodes["lif1"], nir.IF)


def test_subtraction_is_never_a_plain_lif_without_the_users_word():
    network = settled(ConvNet, reset="subtract", reset_timing="next")[0]
    export = export_nir(network, ConvNet.input_shape)
    assert not any(isinstance(n, nir.LIF | nir.IF) for n in export.graph.nodes.values())
    assert "exact form" in export.notes[0]
    plain = export_nir(network, ConvNet.input_shape, plain_reset=True)
    assert isinstance(plain.graph.nodes["lif1"], nir.LIF)
    assert "NOT the trained network" in plain.notes[0]


def test_file_for_the_old_package_has_no_v_reset(tmp_path):
    graph = export_nir(settled(ConvNet)[0], ConvNet.input_shape).graph
    write_nir(tmp_path / "old.nir", graph, "1.0.4")
    found = []
    with h5py.File(tmp_path / "old.nir") as file:
        file.visit(lambda name: found.append(name.rpartition("/")[2]))
        assert file["version"][()] == b"1.0.4"
    assert "v_reset" not in found and "v_threshold" in found
    nir.read(tmp_path / "old.nir")
    graph.nodes["lif1"].v_reset = graph.nodes["lif1"].v_reset + 0.1
    with pytest.raises(ExportError, match="node 'lif1' resets to other values"):
        write_nir(tmp_path / "no.nir", graph, "1.0.4")
    assert not (tmp_path / "no.nir").exists()


def test_a_term_added_twice_counts_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 4)
            self.lif1 = lif()
            self.lif2 = lif(threshold=0.6)

        def forward(self, x):
            a = self.lif1(self.fc(x))
            return self.lif2(a + a + (a + a))

    torch.manual_seed(1)
    network, samples = Twice().eval(), torch.rand(9, 3) * 3
    export = export_nir(network, (3,))
    run = Simulator(export.graph, 1e-4, dtype=torch.float64).run(
        encode(samples, T), record="spikes"
    )
    expected, _ = spikes_of(network, samples)
    assert expected["lif2"].sum() > 0
    assert torch.equal(run.spikes["lif2"], expected["lif2"].bool())


class Refused(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([nn.Conv2d(1, 2, 3), lif(), nn.MaxPool2d(2)], "MaxPool2d.*NIR has no maximum"),
        ([nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), lif()], "pads with 'circular'"),
        ([nn.Conv2d(1, 2, 3), lif(), nn.BatchNorm2d(2)], "its input comes from Neuron"),
        ([nn.Conv2d(1, 2, (2, 3)), lif()], r"kernel \(2, 3\).*square"),
        ([nn.Conv2d(1, 2, 3), lif(), nn.AvgPool2d(2, ceil_mode=True)], "ceil_mode"),
        ([nn.Conv2d(1, 2, 3), nn.ReLU(), lif()], r"'layers.1' \(ReLU\) has no form in NIR"),
        ([nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, track_running_stats=False), lif()], "no running"),
        ([nn.Linear(8, 2), lif()], "one axis; put nn.Flatten"),
        ([nn.Conv2d(1, 2, 3)], "no spiking layer"),
        ([nn.Conv2d(3, 2, 3), lif()], "does not run on one sample"),
    ],
)
def test_what_nir_cannot_state_is_refused_by_name(layers, message):
    with pytest.raises(ExportError, match=message):
        export_nir(Refused(*layers).eval(), (1, 8, 8))


def test_all_refusals_come_at_once():
    layers = [nn.Conv2d(1, 2, 3), nn.ReLU(), lif(), nn.MaxPool2d(2)]
    with pytest.raises(ExportError) as caught:
        export_nir(Refused(*layers).eval(), (1, 8, 8))
    assert len(caught.value.findings) == 2
    with pytest.raises(UnrollError, match="LSTM"):
        export_nir(Refused(nn.LSTM(3, 3)), (4, 3))


def test_values_that_are_not_numbers_are_refused():
    network = settled(Dense)[0]
    with torch.no_grad():
        network.fc1.weight[2, 3] = float("nan")
    with pytest.raises(ExportError, match="layer 'fc1': 1 of 84 values of weight are NaN"):
        export_nir(network, (7,))


def test_a_batchnorm_that_another_layer_bypasses_is_refused():
    class Branch(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn, self.lif = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), lif()

        def forward(self, x):
            y = self.conv(x)
            return self.lif(self.bn(y) + y)

    with pytest.raises(ExportError, match="'conv' also feeds"):
        export_nir(Branch().eval(), (1, 4, 4))


def test_folding_leaves_the_residual_sum_as_edges():
    export = export_nir(settled(Residual)[0], Residual.input_shape)
    into = sorted(a for a, b in export.graph.edges if b == "lif2")
    assert into == ["conv2", "lif1", "skip"]
    assert any("groups" in line for line in export.folds)
    assert any("into 3x3" in line for line in export.folds)


def test_an_unrolled_network_is_exported_like_the_bare_one():
    network = settled(ConvNet)[0]
    bare = export_nir(network, ConvNet.input_shape).graph
    unrolled = export_nir(Unrolled(network, T), ConvNet.input_shape).graph
    assert list(bare.nodes) == list(unrolled.nodes) and bare.edges == unrolled.edges
