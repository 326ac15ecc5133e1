"""What rockpool is given, and the script; that it runs there is shown by `make deploy-proof`."""

from __future__ import annotations

import io
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from mpo_snn.deploy import xylo_rockpool
from mpo_snn.deploy.xylo_core import XyloNetwork, XyloNeurons, run_xylo
from mpo_snn.deploy.xylo_quantize import quantize_xylo
from mpo_snn.deploy.xylo_vendor import ARRAYS, SCRIPT, xylo_files
from mpo_snn.profiles.chip import load_chip_profile

from .test_xylo_quantize import AUDIO3, chain, events


def integer(values):
    return torch.as_tensor(np.array(values, dtype=np.int64))


class XyloSim:
    """Rockpool's class by its arguments, on our core."""

    @classmethod
    def from_specification(
        cls, weights_in, weights_out, weights_rec, dash_mem, dash_mem_out, dash_syn, dash_syn_out,
        threshold, threshold_out, bias, bias_out, weight_shift_in, weight_shift_rec,
        weight_shift_out,
    ):  # fmt: skip
        hidden, of_outputs = len(weights_rec), len(weights_out)
        into = np.zeros((len(weights_in), hidden, 1))
        into[:, : weights_in.shape[1]] = weights_in
        out = np.zeros((hidden, weights_out.shape[1]))
        out[hidden - of_outputs :] = weights_out
        made = cls()
        made.network = XyloNetwork(
            integer(into), integer(weights_rec), integer(out),
            XyloNeurons(
                integer(dash_mem), integer(dash_syn)[:, None], integer(threshold), integer(bias)
            ),
            XyloNeurons(
                integer(dash_mem_out), integer(dash_syn_out)[:, None], integer(threshold_out),
                integer(bias_out),
            ),
            weight_shift_in, weight_shift_rec, weight_shift_out,
        )  # fmt: skip
        return made

    def __call__(self, raster):
        return run_xylo(self.network, integer(raster)[:, None]).output[:, 0].numpy(), {}, {}


@pytest.fixture
def deployed(tmp_path, monkeypatch):
    """A deployment's files, and a rockpool that knows Audio 3 alone."""
    integers = quantize_xylo(chain(), AUDIO3, events())
    files = xylo_files(integers, AUDIO3)
    (tmp_path / ARRAYS).write_bytes(files[ARRAYS])
    monkeypatch.setattr(xylo_rockpool, "NETWORK", tmp_path / ARRAYS)
    vendor = ModuleType("rockpool.devices.xylo.syns65302")
    vendor.XyloSim = XyloSim
    vendor.config_from_specification = lambda bias_hidden, **given: (given, True, "")
    for name in ("rockpool", "rockpool.devices", "rockpool.devices.xylo"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, vendor.__name__, vendor)
    return integers, files, tmp_path, vendor


def test_the_script_gives_the_spikes_of_the_deployment(deployed, capsys):
    integers, files, folder, _ = deployed
    for sample in range(3):
        np.save(folder / "events.npy", events()[:, sample].numpy())
        xylo_rockpool.main(["--simulate", f"{folder}/events.npy", f"{folder}/spikes.npy"])
        wanted = integers.run(events()).output[:, sample].numpy()
        assert np.array_equal(np.load(folder / "spikes.npy"), wanted) and wanted.any()
        assert f"spikes of each output: {wanted.sum(0).tolist()}" in capsys.readouterr().out
    assert "mpo_snn" not in files[SCRIPT] and "torch" not in files[SCRIPT]
    compile(files[SCRIPT], SCRIPT, "exec")


def test_the_configuration_has_one_synapse_and_whole_numbers(deployed, capsys):
    _, _, _, vendor = deployed
    config = xylo_rockpool.configuration()
    assert config["weights_in"].shape == (8, 32, 1) and config["weights_rec"].shape == (32, 32, 1)
    assert "dash_syn_2" not in config and "bias" not in config and "of.delay" not in config
    assert all(isinstance(x, int) or x.dtype.kind == "i" for x in config.values())
    xylo_rockpool.main([])
    assert "valid" in capsys.readouterr().out
    vendor.config_from_specification = lambda **given: (None, False, "too many neurons")
    with pytest.raises(SystemExit, match="samna refuses the configuration: too many neurons"):
        xylo_rockpool.main([])


@pytest.mark.parametrize(
    ("wrong", "words"),
    (
        (np.zeros((20, 7)), r"shape \(20, 7\): expected \(T, 8\)"),
        (np.full((20, 8), 0.5), "not whole numbers"),
        (np.full((20, 8), -1), "not whole numbers"),
    ),
)
def test_wrong_events_give_one_line(deployed, wrong, words):
    with pytest.raises(SystemExit, match=words):
        xylo_rockpool.simulate(wrong)


def test_other_mistakes_give_one_line(deployed, monkeypatch):
    _, _, folder, vendor = deployed
    with pytest.raises(SystemExit, match=r"cannot read events from .*absent.npy"):
        xylo_rockpool.main(["--simulate", f"{folder}/absent.npy", f"{folder}/spikes.npy"])
    with pytest.raises(SystemExit, match=r"load_xylo.py --simulate events.npy spikes.npy"):
        xylo_rockpool.main(["--simulate"])
    monkeypatch.delitem(sys.modules, vendor.__name__)
    with pytest.raises(SystemExit, match=r"cannot load rockpool: .*; pip install rockpool xylosim"):
        xylo_rockpool.configuration()


@pytest.mark.parametrize(
    ("chip", "device"),
    (("xylo-audio2", "syns61201"), ("xylo-audio3", "syns65302"), ("xylo-imu", "syns63300")),
)
def test_each_chip_has_its_own_part_of_rockpool(chip, device):
    profile = load_chip_profile(chip)
    packed = xylo_files(quantize_xylo(chain(), profile), profile)[ARRAYS]
    arrays = np.load(io.BytesIO(packed))
    assert str(arrays["of.device"]) == device and int(arrays["of.delay"]) == 2


def test_a_driver_that_cannot_be_fetched_is_one_line(deployed, monkeypatch):
    def without_a_network(_name):
        raise subprocess.CalledProcessError(1, ["pip", "install", "samna"])

    monkeypatch.setattr(xylo_rockpool.importlib, "import_module", without_a_network)
    with pytest.raises(SystemExit, match=r"samna could not fetch its driver \(pip install samna\)"):
        xylo_rockpool.configuration()
