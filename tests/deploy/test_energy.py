"""Energy per inference on a chip, by hand."""

from __future__ import annotations

import pytest
import torch

from mpo_snn.deploy.energy import energy_per_inference
from mpo_snn.deploy.quantized import IntegerRun
from mpo_snn.errors import DeployError
from mpo_snn.profiles.chip import load_chip_profile

RUN = IntegerRun(torch.zeros(1), {}, {}, synaptic_events=1000, updates=400)


def figures(profile, samples=10):
    return energy_per_inference(profile, RUN, samples)


def test_loihi_by_hand():
    synapses, updates, total = figures(load_chip_profile("loihi-1"))
    assert (synapses.label, synapses.value) == ("synaptic operations", pytest.approx(2360))
    assert (updates.low, updates.value, updates.high) == (40 * 52, 40 * 81, 40 * 81)
    assert (total.low, total.value) == (pytest.approx(2360 + 2080), pytest.approx(2360 + 3240))
    assert total.high == total.value and total.label == "total"
    assert {one.kind for one in (synapses, updates, total)} == {"simulated"}
    assert {one.unit for one in (synapses, updates, total)} == {"pJ/inference"}
    assert "Davies" in total.source and total.is_of_network


def test_where_sources_disagree_there_is_a_range():
    synapses, updates, total = figures(load_chip_profile("spinnaker2"))
    assert (synapses.low, synapses.value, synapses.high) == (1000, 45_000, 45_000)
    assert updates.low == updates.high == 40 * 2190
    assert (total.low, total.high) == (1000 + 87_600, 45_000 + 87_600)


@pytest.mark.parametrize("name", ["xylo-audio2", "speck-2f"])
def test_figures_of_a_whole_chip_are_not_of_this_network(name):
    found = figures(load_chip_profile(name))
    assert len(found) == 2
    assert all("not of this network" in one.label and not one.is_of_network for one in found)
    assert {one.unit for one in found} <= {"uW", "uJ/inference"}
    assert all(one.low == one.value == one.high for one in found)
    again = energy_per_inference(load_chip_profile(name), RUN, 20)
    assert again == found  # no matter what the network does


@pytest.mark.parametrize("name", ["loihi-2", "xylo-audio3", "fpga"])
def test_without_public_figures_there_are_none(name):
    assert figures(load_chip_profile(name)) == []


def test_kinds_never_add_up(tmp_path):
    from mpo_snn.profiles import chip

    text = (chip._FOLDER / "loihi-1.toml").read_text()
    begin, end = text.split("[energy.synaptic_operation]")
    end = end.replace('kind = "simulated"', 'kind = "measured"', 1)
    path = tmp_path / "mixed.toml"
    path.write_text(f"{begin}[energy.synaptic_operation]{end}")
    found = figures(load_chip_profile(path))
    assert [one.label for one in found] == ["synaptic operations", "neuron updates"]
    assert [one.kind for one in found] == ["measured", "simulated"]


def test_no_sample_has_no_energy():
    with pytest.raises(DeployError, match="from 0 samples"):
        figures(load_chip_profile("loihi-1"), 0)
