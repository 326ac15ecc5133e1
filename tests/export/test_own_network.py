"""A network of one's own, without a run: one call writes a file that says all it needs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from torch import nn

import mpo_snn
from mpo_snn.cli.evaluate import main as evaluate
from mpo_snn.data import load_dataset
from mpo_snn.data.dataset import Dataset
from mpo_snn.errors import ExportError, MpoError
from mpo_snn.export.compare import compare
from mpo_snn.export.nir_export import export_nir
from mpo_snn.export.nir_file import write_nir
from mpo_snn.export.own_network import OwnFile, export_network
from mpo_snn.export.sources import GraphSource, NetworkSource
from mpo_snn.graph.metadata import behaviour_of, read_metadata
from mpo_snn.graph.read import read_graph
from mpo_snn.graph.simulate import Simulator

T = 5


class Own(nn.Module):
    """Two layers of snnTorch's, one with batchnorm in front; one timestep."""

    def __init__(self, **neuron: Any) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.fc1, self.bn, self.fc2 = nn.Linear(64, 24), nn.BatchNorm1d(24), nn.Linear(24, 10)
        self.lif1 = snntorch.Leaky(beta=0.8, threshold=0.4, **neuron)
        self.lif2 = snntorch.Leaky(beta=0.9, threshold=0.3, **neuron)

    def forward(self, x: Any, mem1: Any = None, mem2: Any = None) -> Any:
        spk1, mem1 = self.lif1(self.bn(self.fc1(self.flatten(x))), mem1)
        spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
        return spk2, mem1, mem2


ZERO = {"reset_mechanism": "zero", "reset_delay": False}


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits")


def own(seed: int = 0, **neuron: Any) -> nn.Module:
    torch.manual_seed(seed)
    network = mpo_snn.adapt(Own(**neuron))
    unrolled = mpo_snn.Unrolled(network, T)
    for x in torch.rand(20, 1, 32, 1, 8, 8):  # statistics for batchnorm
        unrolled(x.expand(T, -1, -1, -1, -1))
    return network.eval()


def written(network: nn.Module, folder: Path, data: Any, **changed: Any) -> OwnFile:
    settings = {"timesteps": T, "readout": "spike_count", "samples": 30}
    return export_network(network, folder / "own.nir", data, **{**settings, **changed})


def test_the_file_fires_what_snntorch_fires(tmp_path: Path, digits: Dataset) -> None:
    network = own(**ZERO)
    file = written(network, tmp_path, digits)
    assert file.proof.is_equal and file.metadata.reader == "portable"
    x = digits.test_x[:40]
    plain = Own(**ZERO).eval()
    state = {k: v for k, v in network.state_dict().items() if k in plain.state_dict()}
    plain.load_state_dict(state)
    spikes, mem1, mem2 = [], None, None
    with torch.no_grad():
        for _ in range(T):
            spk, mem1, mem2 = plain(x, mem1, mem2)
            spikes.append(spk)
    run = Simulator(read_graph(file.path), file.metadata.dt).run(x.expand(T, -1, -1, -1, -1))
    assert torch.stack(spikes).sum() > 50
    assert torch.equal(run.output.flatten(2), torch.stack(spikes))


def test_the_file_says_all_that_evaluation_needs(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(own(**ZERO), tmp_path, digits)
    metadata = read_metadata(read_graph(file.path))
    assert metadata is not None and metadata.equivalence is not None
    assert (metadata.dataset, metadata.timesteps, metadata.readout) == ("digits", T, "spike_count")
    assert metadata.class_names == digits.class_names and metadata.equivalence["equal"]
    record = json.loads((tmp_path / "own.equivalence.json").read_text())
    assert record["equal"] and record["samples"] == 30
    monkeypatch.chdir(tmp_path)
    assert evaluate([str(file.path), "--samples", "20"]) == 0


def test_settings_of_the_data_travel_with_it(tmp_path: Path) -> None:
    arrays = {f"x_{p}": np.random.default_rng(0).random((20, 8, 8, 1)) for p in ("train", "test")}
    np.savez(tmp_path / "d.npz", y_train=np.arange(20) % 10, y_test=np.arange(20) % 10, **arrays)
    settings = mpo_snn.data.settings.DataSettings(
        "archive", str(tmp_path / "d.npz"), normalize=True
    )
    file = written(own(**ZERO), tmp_path, load_dataset(settings))
    assert file.metadata.data is not None and file.metadata.data["normalize"] is True


def test_samples_alone_will_do(tmp_path: Path, digits: Dataset) -> None:
    file = written(own(), tmp_path, digits.test_x[:20], samples=None)
    assert file.proof.is_equal and file.metadata.dataset is None
    assert (file.metadata.reset, file.metadata.reset_timing) == ("subtract", "next")
    assert file.metadata.reader == "nir" and not file.loading_code


def test_a_file_for_a_reader_with_the_code_that_loads_it(tmp_path: Path, digits: Dataset) -> None:
    file = written(own(**ZERO), tmp_path, digits, reader="norse")
    assert file.metadata.reader == "norse" and file.proof.is_equal
    (code,) = file.loading_code.values()
    assert str(file.path) in code and "norse.torch.from_nir" in code
    with pytest.raises(ExportError, match="cannot write for norse"):
        written(own(), tmp_path, digits, reader="norse")
    subtracting = written(own(), tmp_path, digits, reader="snntorch")
    assert subtracting.proof.is_equal and subtracting.export.after


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of norse and nirtorch
@pytest.mark.parametrize("reader", ["snntorch", "norse"])
def test_the_loading_code_gives_the_same_for_every_batch(
    reader: str, tmp_path: Path, digits: Dataset
) -> None:
    """States of one batch must not reach the next."""
    file = written(own(**ZERO), tmp_path, digits, reader=reader)
    (code,) = file.loading_code.values()
    lines = [line for line in code.splitlines() if not line.startswith("x = ")]
    found: dict[str, Any] = {"x": digits.test_x[:30].expand(T, -1, -1, -1, -1)}
    exec("\n".join(lines), found)
    first = found["outputs"]
    loaded = next(i for i, line in enumerate(lines) if "network = " in line)
    exec("\n".join(lines[loaded + 1 :]), found)
    assert first.sum() > 30 and torch.equal(found["outputs"], first)
    run = Simulator(read_graph(file.path), file.metadata.dt).run(found["x"])
    assert torch.equal(first.flatten(2), run.output.flatten(2))


def test_an_unrolled_network_is_taken_as_it_is(tmp_path: Path, digits: Dataset) -> None:
    network = own(**ZERO)
    file = written(mpo_snn.Unrolled(network, T), tmp_path, digits)
    assert file.proof.is_equal
    with pytest.raises(ExportError, match="unrolled over 7 timesteps, and timesteps is 5"):
        written(mpo_snn.Unrolled(network, 7), tmp_path, digits)


def several() -> nn.Module:
    torch.manual_seed(0)
    neuron: dict[str, Any] = {"beta": 0.8, "reset": "subtract", "reset_timing": "step"}
    neuron |= {"threshold": 0.1, "most_spikes": 5, "init_hidden": True}
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 16, bias=False),
        mpo_snn.MPOLeaky(**neuron),
        nn.Linear(16, 10, bias=False),
        mpo_snn.MPOLeaky(**neuron),
    ).eval()


def test_what_chips_do_beyond_nir_is_not_lost(tmp_path: Path, digits: Dataset) -> None:
    """Written without it, the file would be another network: that is refused."""
    network, x = several(), 3 * digits.test_x[:30]
    plain = export_nir(network, (1, 8, 8), chip=True)
    with pytest.raises(ExportError, match="which NIR cannot state and the file would lose"):
        write_nir(tmp_path / "lost.nir", plain.graph)
    assert not (tmp_path / "lost.nir").exists()
    file = written(network, tmp_path, x, chip=True, samples=None)
    assert file.proof.is_equal
    graph = read_graph(file.path)
    assert {one.most_spikes for one in behaviour_of(graph).values()} == {5}
    output = Simulator(graph, file.metadata.dt).run(x.expand(T, -1, -1, -1, -1)).output
    expected = mpo_snn.Unrolled(network, T)(x.expand(T, -1, -1, -1, -1))
    assert expected.max() > 1 and torch.equal(output, expected.detach())


def test_wrong_settings_are_told_at_once(tmp_path: Path, digits: Dataset) -> None:
    with pytest.raises(ExportError) as caught:
        export_network(
            own(),
            tmp_path / "own.txt",
            digits,
            timesteps=0,
            encoding="morse",
            readout="tea leaves",
            chip=True,
            reader="norse",
            samples=0,
            dt=0.0,
        )
    assert len(caught.value.findings) == 7
    for changed, message in (
        ({"timesteps": 8.0}, "timesteps is 8.0, allowed is a whole number"),
        ({"timesteps": "8"}, "timesteps is '8', allowed is a whole number"),
        ({"samples": 2.5}, "samples is 2.5, allowed is a whole number"),
        ({"dt": "fast"}, "dt is 'fast', allowed is a number of seconds"),
        ({"data": torch.full((2, 64), math.nan)}, "128 of 128 values of the samples are infinite"),
        ({"data": torch.rand(5)}, r"expected \(N, \*features\)"),
        ({"data": (digits.test_x[:5], digits.test_y[:5])}, "on tuple: give a data set of"),
        ({"data": "digits"}, "on str: give a data set of"),
        ({"reader": "abacus"}, "unknown reader 'abacus'"),
        ({"reader": "snntorch", "dt": 1.0}, "leave dt out"),
    ):
        data = changed.pop("data", digits)  # type: ignore[attr-defined]
        with pytest.raises(MpoError, match=message):
            written(own(**ZERO), tmp_path, data, **changed)
    assert not list(tmp_path.iterdir())


def test_outputs_that_fit_neither_classes_nor_readout(tmp_path: Path, digits: Dataset) -> None:
    class Seven(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.lif = nn.Linear(64, 8), snntorch.Leaky(beta=0.8)
            self.fc2 = nn.Linear(8, 7)

        def forward(self, x: Any, mem: Any = None) -> Any:
            spk, mem = self.lif(self.fc1(x.view(x.size(0), -1)), mem)
            return self.fc2(spk), mem

    network = mpo_snn.adapt(Seven())
    with pytest.raises(ExportError) as caught:
        written(network, tmp_path, digits)
    assert len(caught.value.findings) == 2
    assert "7 outputs, the data 10 classes" in str(caught.value)
    assert written(network, tmp_path, digits.test_x[:9], samples=None, readout="mean").proof
    with pytest.raises(ExportError, match="cannot export OrderedDict"):
        written(network.state_dict(), tmp_path, digits)  # type: ignore[arg-type]


def test_a_file_that_is_not_equal_is_not_written(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mpo_snn.export import own_network

    def damaged(graph: Any, metadata: Any) -> Any:
        graph.nodes["fc2"].weight[0] += 1.0
        return as_read(graph, metadata)

    as_read = own_network.as_read
    monkeypatch.setattr(own_network, "as_read", damaged)
    with pytest.raises(ExportError, match="does not fire the network's spikes, first in lif2"):
        written(own(), tmp_path, digits)
    assert not list(tmp_path.iterdir())
    assert not written(own(), tmp_path, digits, allow_different=True).proof.is_equal


def test_what_compare_cannot_run_is_said_in_one_line(digits: Dataset) -> None:
    network = own()
    export = export_nir(network, (1, 8, 8))
    graph = GraphSource(export.graph, 1e-4, export.spiking)
    source = NetworkSource(mpo_snn.Unrolled(network, T))
    with pytest.raises(ExportError, match=r"samples that are \(7,\) at one timestep: .*shapes"):
        compare(source, graph, torch.rand(4, 7), T)
    with pytest.raises(ExportError, match="compare on ndarray: samples are a tensor"):
        compare(source, graph, np.zeros((4, 1, 8, 8)), T)  # type: ignore[arg-type]
    with pytest.raises(ExportError, match=r"Own: it runs one timestep; give NetworkSource\(Unr"):
        NetworkSource(network)  # type: ignore[arg-type]
