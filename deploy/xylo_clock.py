r"""How many cycles of its master clock Xylo takes for one timestep.

Rockpool's model (``power_cycles_model.py`` of each chip), without aliases: with :math:`p` the share
of steps in which an input channel has an event, :math:`q` that in which a hidden neuron fires, and
:math:`f` the mean number of hidden neurons that a hidden neuron reaches,

.. math::
    c = N_\text{in} (c_1 + c_2\, p\, N_\text{reached}) + N_\text{hidden} (c_3 + c_4\, q f)
        + N_\text{read}\, q\, (c_5 + c_6 N_\text{out}) + N_\text{hidden} (c_7 + c_8\, q)
        + c_9 N_\text{out}.

Several events or spikes of one step cost what one does. The chip keeps up with timesteps of length
dt if its clock is :math:`c / dt` or faster; p = q = 1 is the worst case.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mpo_snn.page.quantities import show_count
from mpo_snn.profiles.chip import ChipProfile

from .finding import Fact
from .xylo_core import XyloNetwork

TIMINGS = (
    "input", "input_event", "recurrence", "recurrent_spike", "output_spike", "output_synapse",
    "hidden_update", "hidden_spike", "output_update",
)  # fmt: skip
"""Names in [timing] of a profile: :math:`c_1` to :math:`c_9`."""


def cycles_per_step(
    network: XyloNetwork, profile: ChipProfile, events: float = 1.0, spikes: float = 1.0
) -> float:
    """Cycles of the master clock for one timestep, on average.

    Args:
        network: what is loaded.
        profile: of family xylo, with all of [timing].
        events: share of steps in which an input channel has one, [0, 1].
        spikes: share of steps in which a hidden neuron fires, [0, 1].
    """
    cost = {name: float(profile.value(f"timing.{name}")) for name in TIMINGS}
    inputs, hidden, _ = network.weights_in.shape
    outputs = network.weights_out.shape[1]
    reached = int(network.weights_in.any(2).any(0).sum())
    read = int(network.weights_out.any(1).sum())
    if int(profile.value("limit.input_reach")) >= int(profile.value("limit.hidden")):
        reached = read = hidden  # no part of the hidden neurons is set apart: the chip asks all
    fan_out = float((network.weights_rec != 0).any(2).sum()) / hidden
    return (
        inputs * (cost["input"] + cost["input_event"] * events * reached)
        + hidden * (cost["recurrence"] + cost["recurrent_spike"] * spikes * fan_out)
        + read * spikes * (cost["output_spike"] + cost["output_synapse"] * outputs)
        + hidden * (cost["hidden_update"] + cost["hidden_spike"] * spikes)
        + outputs * cost["output_update"]
    )


def xylo_activity(events: Tensor, spikes: Tensor) -> dict[str, int]:
    """Steps of all input channels and hidden neurons, and those with an event or a spike.

    Args:
        events: of the inputs, (T, B, inputs).
        spikes: of the hidden neurons, (T, B, hidden).
    """
    return {
        "channel steps": events.numel(),
        "channel steps with events": int((events > 0).sum()),
        "hidden steps": spikes.numel(),
        "hidden steps with spikes": int((spikes > 0).sum()),
    }


def clock_facts(
    network: XyloNetwork, profile: ChipProfile, activity: Mapping[str, int], dt: float
) -> list[Fact]:
    """Cycles per timestep, as measured and at worst, and the clock that they need.

    No limit of that clock is public; what the vendor's drivers set (`timing.clock`, in MHz) is what
    it is held against, where the profile has it.

    Args:
        network: what is loaded.
        profile: of family xylo.
        activity: of a run, `xylo_activity`.
        dt: of the network, in s.

    Returns:
        three facts; none where the profile lacks a timing.
    """
    if any(f"timing.{name}" not in profile for name in TIMINGS):
        return []
    events = activity["channel steps with events"] / activity["channel steps"]
    spikes = activity["hidden steps with spikes"] / activity["hidden steps"]
    mean = cycles_per_step(network, profile, events, spikes)
    most = cycles_per_step(network, profile)
    source = profile.constant("timing.input").source
    name, when = "cycles of the master clock per timestep", "everything fires in every step"
    shares = (
        f"an event in {100 * events:.1f} % of the steps of inputs, a spike in {100 * spikes:.1f} %"
        " of those of hidden neurons"
    )
    needed = (
        f"on these samples, {show_count(most / dt / 1e6)} MHz at worst;"
        f" {_judged(mean, most, dt, profile)}; no limit of the chip's clock is known"
    )
    clock = f"master clock for timesteps of {1000 * dt:g} ms"
    return [
        Fact(name, mean, "cycles", f"on these samples: {shares}", source),
        Fact(f"{name}, at worst", most, "cycles", when, source),
        Fact(clock, mean / dt / 1e6, "MHz", needed, source),
    ]


def _judged(mean: float, most: float, dt: float, profile: ChipProfile) -> str:
    """Whether the clock that the vendor's drivers set is fast enough."""
    if "timing.clock" not in profile:
        return "the profile says no clock to hold it against"
    clock = profile.constant("timing.clock")
    rate = 1e6 * float(profile.value("timing.clock"))
    known = f"the vendor's {clock.value:g} MHz (default of its drivers, status {clock.status})"
    if most / dt <= rate:
        return f"{known} are enough in every step"
    longer = f"are enough in every step from {1000 * most / rate:.3g} ms on"
    if mean / dt <= rate:
        return f"{known} are enough on average, and {longer}"
    return f"{known} are too slow: they {longer}, on average from {1000 * mean / rate:.3g} ms on"
