"""Cycles of Xylo's clock by hand; rockpool's own model gives the same in `make deploy-proof`."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mpo_snn.deploy.xylo_clock import clock_facts, cycles_per_step, xylo_activity
from mpo_snn.deploy.xylo_core import XyloNetwork, XyloNeurons, run_xylo
from mpo_snn.deploy.xylo_quantize import XyloIntegers
from mpo_snn.profiles.chip import load_chip_profile

from .test_xylo_quantize import chain, events


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
    share, spikes = 0.25, 0.5
    wanted = (
        4 * (1 + 3.5 * share * reached)
        + 10 * (3 + 7 * spikes * 2)  # 20 weights of 10 neurons
        + read * spikes * (1 + 8 * 3)
        + 10 * (19 + 3 * spikes)
        + 12 * 3
    )
    assert cycles_per_step(network(), load_chip_profile(chip), share, spikes) == wanted


def test_the_worst_case_is_an_event_and_a_spike_in_every_step() -> None:
    profile = load_chip_profile("xylo-audio3")
    worst = 4 * (1 + 3.5 * 6) + 10 * (3 + 7 * 2) + 5 * (1 + 8 * 3) + 10 * 22 + 36
    assert cycles_per_step(network(), profile) == worst == 639
    assert cycles_per_step(network(), profile, 0.0, 0.0) == 4 + 30 + 190 + 36


def test_facts_are_of_the_activity_that_was_counted() -> None:
    profile = load_chip_profile("xylo-audio3")
    shown, spikes = torch.zeros(5, 2, 4), torch.zeros(5, 2, 10)
    shown[0, 0, :] = 7  # 4 of 40 steps, whatever the number of events
    spikes[2:4, 1, :5] = 3  # 10 of 100
    activity = xylo_activity(shown, spikes)
    measured, worst, needed = clock_facts(network(), profile, activity, 1e-3)
    assert measured.value == cycles_per_step(network(), profile, 0.1, 0.1)
    assert "an event in 10.0 %" in measured.notes and "a spike in 10.0 %" in measured.notes
    assert worst.value == 639 and "power_cycles" in worst.source
    assert needed.value == pytest.approx(measured.value / 1000) and needed.unit == "MHz"
    assert "timesteps of 1 ms" in needed.name and "0.639 MHz at worst" in needed.notes


@pytest.mark.parametrize(
    ("dt", "answer"),
    [
        (1e-3, "50 MHz (default of its drivers, status source) are enough in every step"),
        (1e-5, "enough on average, and are enough in every step from 0.0128 ms on"),
        (
            1e-6,
            "too slow: they are enough in every step from 0.0128 ms on, on average from 0.0052 ms",
        ),
    ],
)
def test_the_clock_is_held_against_the_vendor_s(dt: float, answer: str) -> None:
    """639 cycles at worst are 0.01278 ms at 50 MHz, 260 without any event 0.0052 ms."""
    activity = xylo_activity(torch.zeros(1, 1, 4), torch.zeros(1, 1, 10))
    *_, needed = clock_facts(network(), load_chip_profile("xylo-audio3"), activity, dt)
    assert answer in needed.notes
    assert needed.notes.endswith("no limit of the chip's clock is known")
    *_, unknown = clock_facts(network(), load_chip_profile("xylo-audio2"), activity, dt)
    assert "says no clock to hold it against" in unknown.notes


def test_a_profile_without_timings_has_no_facts() -> None:
    profile = load_chip_profile("xylo-imu")
    silent = replace(profile, tables={k: v for k, v in profile.tables.items() if k != "timing"})
    activity = xylo_activity(torch.ones(1, 1, 4), torch.ones(1, 1, 10))
    assert clock_facts(network(), silent, activity, 1e-3) == []


def test_a_run_counts_steps_not_events() -> None:
    integers = XyloIntegers(chain(), load_chip_profile("xylo-audio3"), 3)
    activity = integers.run(events()).activity
    assert activity["channel steps"] == 20 * 8 * 8
    assert activity["channel steps with events"] == int((events() > 0).sum())
    assert activity["hidden steps"] == (20 + 2) * 8 * 32  # the delay is two steps
    late = torch.cat([events(), torch.zeros(2, 8, 8, dtype=torch.int64)])
    fired = run_xylo(integers.network, late).hidden > 0
    assert activity["hidden steps with spikes"] == int(fired.sum())
