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
    network: XyloNetwork, profile: ChipProfile, activity: Mapping[str, int]
) -> list[Fact]:
    """Cycles per timestep, as measured and at worst; none where the profile lacks a timing.

    Args:
        network: what is loaded.
        profile: of family xylo.
        activity: of a run, `xylo_activity`.
    """
    if any(f"timing.{name}" not in profile for name in TIMINGS):
        return []
    events = activity["channel steps with events"] / activity["channel steps"]
    spikes = activity["hidden steps with spikes"] / activity["hidden steps"]
    source = profile.constant("timing.input").source
    found = {
        "": (
            cycles_per_step(network, profile, events, spikes),
            f"on these samples: an event in {100 * events:.1f} % of the steps of inputs, a spike in"
            f" {100 * spikes:.1f} % of those of hidden neurons",
        ),
        ", at worst": (cycles_per_step(network, profile), "everything fires in every step"),
    }
    return [
        Fact(
            f"cycles of the master clock per timestep{case}",
            cycles,
            "cycles",
            f"{when}; timesteps of 1 ms need {cycles / 1000:.3g} MHz",
            source,
        )
        for case, (cycles, when) in found.items()
    ]
