"""Xylo's core, float networks that our quantizer rounds, and the script for rockpool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mpo_snn.deploy.layers import ChipGraph
from mpo_snn.deploy.xylo_check import check_xylo
from mpo_snn.deploy.xylo_clock import cycles_per_step
from mpo_snn.deploy.xylo_core import XyloRun, run_xylo
from mpo_snn.deploy.xylo_quantize import MOST_SHIFT, XyloIntegers, quantize_xylo
from mpo_snn.deploy.xylo_vendor import ARRAYS, SCRIPT, xylo_files
from mpo_snn.profiles.chip import ChipProfile, load_chip_profile

from .kind import BATCH, STEPS, Kind, Made
from .networks import xylo_arrays, xylo_network
from .xylo_graphs import random_graph, trained_graph

STATES = ("output", "hidden", "v_hidden", "v_output")


def _core(version: Literal[1, 2], large: bool) -> Callable[[int], Made]:
    def make(seed: int) -> Made:
        network = xylo_network(seed, version, large=large)
        events = _random(seed, 18, 6)
        run = run_xylo(network, events)
        return xylo_arrays(network) | {"events": events}, _states(run), run.saturated

    return make


def _network(most: int, shift: int | None) -> Callable[[int], Made]:
    """A float network; up to `most` events of an input in a step, the shift calibrated if None."""

    def make(seed: int) -> Made:
        graph, profile = _allowed(random_graph(seed), "xylo-audio3")
        events = _random(seed, most + 1, *graph.input_shape)
        if shift is None:
            integers = quantize_xylo(graph, profile, _random(seed + 1000, most + 1, 8))
        else:
            integers = XyloIntegers(graph, profile, shift)
        return _through_xylosim(integers, events)

    return make


def _trained(run: str | None) -> Callable[[int], Made]:
    def make(seed: int) -> Made:
        graph, calibration, events = trained_graph(run)
        graph, profile = _allowed(graph, "xylo-audio3")
        return _through_xylosim(quantize_xylo(graph, profile, calibration), events)

    return make


def _rockpool(chip: str, hidden: tuple[int, int]) -> Callable[[int], Made]:
    """The files of a deployment: spikes by both ways, and cycles of the clock in millionths."""

    def make(seed: int) -> Made:
        graph, profile = _allowed(random_graph(seed, hidden), chip)
        events = _random(seed, 4, *graph.input_shape)
        return _through_rockpool(quantize_xylo(graph, profile, events), profile, events)

    return make


def _trained_in_rockpool(run: str | None) -> Callable[[int], Made]:
    def make(seed: int) -> Made:
        graph, calibration, events = trained_graph(run)
        graph, profile = _allowed(graph, "xylo-audio3")
        return _through_rockpool(quantize_xylo(graph, profile, calibration), profile, events)

    return make


def _through_xylosim(integers: XyloIntegers, events: Tensor) -> Made:
    events = _with_delay(integers, events)
    run = run_xylo(integers.network, events)
    return xylo_arrays(integers.network) | {"events": events}, _states(run), run.saturated


def _through_rockpool(integers: XyloIntegers, profile: ChipProfile, events: Tensor) -> Made:
    run = run_xylo(integers.network, _with_delay(integers, events))
    simulated = integers.run(events).output.flatten(2).transpose(0, 1)
    share = [float((rows > 0).double().mean()) for rows in (events, run.hidden)]
    cycles = cycles_per_step(integers.network, profile, *share)
    ours = {"simulated": simulated, "cycles": torch.tensor(round(1e6 * cycles)), **_states(run)}
    files = xylo_files(integers, profile)
    script, arrays = files[SCRIPT], files[ARRAYS]
    assert isinstance(script, str) and isinstance(arrays, bytes)
    given = {SCRIPT: script.encode(), ARRAYS: arrays}
    packed: dict[str, Any] = {name: np.frombuffer(x, np.uint8) for name, x in given.items()}
    return {**packed, "events": events, "delay": integers.delay}, ours, run.saturated


def _allowed(graph: ChipGraph, chip: str) -> tuple[ChipGraph, ChipProfile]:
    profile = load_chip_profile(chip)
    if findings := check_xylo(graph, profile).findings:
        raise AssertionError(f"does not fit {chip}: {[str(one) for one in findings]}")
    return graph, profile


def _with_delay(integers: XyloIntegers, events: Tensor) -> Tensor:
    flat = events.flatten(2)
    return torch.cat([flat, flat.new_zeros(integers.delay, *flat.shape[1:])])


def _random(seed: int, below: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, below, (STEPS, BATCH, *shape), generator=generator)


def _states(run: XyloRun) -> dict[str, Tensor]:
    return {key: getattr(run, key).transpose(0, 1) for key in STATES}


def kinds(run: str | None = None) -> tuple[Kind, ...]:
    """All kinds of Xylo.

    Args:
        run: run directory of a trained network; None trains one.
    """
    xylosim = ("xylosim 0.1.3", "chips", "run_xylosim.py")
    rockpool = ("rockpool 3.1.0", "chips", "run_rockpool.py")
    return (
        Kind("Xylo, core 1", *xylosim, _core(1, False)),
        Kind("Xylo, core 1, large weights", *xylosim, _core(1, True)),
        Kind("Xylo, core 2", *xylosim, _core(2, False)),
        Kind("Xylo, core 2, large weights", *xylosim, _core(2, True)),
        Kind("Xylo, float network", *xylosim, _network(3, None)),
        Kind("Xylo, float network, beyond its rails", *xylosim, _network(17, MOST_SHIFT)),
        Kind("Xylo, trained on digits", *xylosim, _trained(run), networks=1),
        Kind("Xylo Audio 2, load_xylo.py", *rockpool, _rockpool("xylo-audio2", (40, 20))),
        Kind("Xylo Audio 3, load_xylo.py", *rockpool, _rockpool("xylo-audio3", (100, 60))),
        Kind("Xylo IMU, load_xylo.py", *rockpool, _rockpool("xylo-imu", (100, 60))),
        Kind(
            "Xylo Audio 3, trained, load_xylo.py", *rockpool, _trained_in_rockpool(run), networks=1
        ),
    )
