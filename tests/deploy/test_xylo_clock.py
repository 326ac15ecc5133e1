"""Cycles of Xylo's clock by hand; rockpool's own model gives the same in `make deploy-proof`."""

from __future__ import annotations

import pytest
import torch

from mpo_snn.deploy.xylo_clock import cycles_per_step
from mpo_snn.deploy.xylo_core import XyloNetwork, XyloNeurons
from mpo_snn.profiles.chip import load_chip_profile


def network() -> XyloNetwork:
    """4 inputs that reach 6 of 10 hidden neurons, 20 recurrent weights, 3 outputs that read 5."""
    weights_in, weights_rec = torch.zeros(4, 10, 1), torch.zeros(10, 10, 1)
    weights_in[1, :6], weights_rec[:4, :5], weights_out = -3, 7, torch.zeros(10, 3)
    weights_out[5:, 2] = 1
    ones, outputs = torch.ones(10).long(), torch.ones(3).long()
    return XyloNetwork(
        weights_in.long(),
        weights_rec.long(),
        weights_out.long(),
        XyloNeurons(ones, ones[:, None], ones, ones),
        XyloNeurons(outputs, outputs[:, None], outputs, outputs),
    )


@pytest.mark.parametrize(
    ("chip", "reached", "read"),
    (("xylo-audio3", 6, 5), ("xylo-imu", 6, 5), ("xylo-audio2", 10, 10)),
)
def test_cycles_by_hand(chip: str, reached: int, read: int) -> None:
    events, spikes = 0.25, 0.5
    wanted = (
        4 * (1 + 3.5 * events * reached)
        + 10 * (3 + 7 * spikes * 2)  # 20 weights of 10 neurons
        + read * spikes * (1 + 8 * 3)
        + 10 * (19 + 3 * spikes)
        + 12 * 3
    )
    assert cycles_per_step(network(), load_chip_profile(chip), events, spikes) == wanted


def test_the_worst_case_is_an_event_and_a_spike_in_every_step() -> None:
    profile = load_chip_profile("xylo-audio3")
    worst = 4 * (1 + 3.5 * 6) + 10 * (3 + 7 * 2) + 5 * (1 + 8 * 3) + 10 * 22 + 36
    assert cycles_per_step(network(), profile) == worst == 639
    assert cycles_per_step(network(), profile, 0.0, 0.0) == 4 + 30 + 190 + 36
