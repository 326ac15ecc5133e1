"""Settings of a recipe under which a network is trained inside what a chip can do, by family.

Only what the chip has no other way to do is asked for; sizes are left to its check.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from mpo_snn.networks.settings import MAY_LACK_BIASES
from mpo_snn.profiles.chip import ChipProfile

from .fixed_point_core import fixed_point_format
from .fixed_point_scale import beta_of, round_leak
from .read_layers import EVENTS
from .xylo_check import representable, widest_layer

Values = Mapping[str, Any]
"""Values of a recipe by dotted key: `neuron.beta`."""
MULTIPLE = 16
"""Spikes of a neuron in one step in training, where the chip knows no limit."""


def settings_inside(profile: ChipProfile, given: Values) -> dict[str, Any]:
    """What a recipe must say for this chip, by dotted key.

    Args:
        profile: of the chip.
        given: what the recipe says now.

    Returns:
        the values of all keys that matter; of those that are allowed as they are, what is given.
    """
    wanted: dict[str, Any] = {
        "readout": "spike_count",
        "encoding": given["encoding"] if given["encoding"] in EVENTS else "counts",
        "neuron.reset_timing": "step",
    }
    wanted |= _FAMILIES[profile.family](profile, given)
    if wanted["encoding"] != "frames":
        wanted["data.normalize"] = False  # events are made from values from 0 to 1
    return wanted


def _xylo(profile: ChipProfile, given: Values) -> dict[str, Any]:
    bits = int(profile.value("format.dash_bits"))

    def near(key: str) -> float:
        leak = torch.tensor([float(given[key])], dtype=torch.float64)
        return float(representable(leak, bits))

    is_dense = given["network.name"] == "mlp"
    return {
        "network.hidden": given["network.hidden"] if is_dense else 2 * [widest_layer(profile)],
        "neuron.model": "synaptic",
        "neuron.alpha": near("neuron.alpha"),
        "neuron.beta": near("neuron.beta"),
        "neuron.learn_alpha": False,
        "neuron.learn_beta": False,
        "neuron.reset": "subtract",
        "neuron.input_gain": "unit",
        "neuron.most_spikes": int(profile.value("neuron.hidden_spikes")),
        "neuron.output_spikes": int(profile.value("neuron.output_spikes")),
        "neuron.lower": None,
        "network.name": "mlp",
        "network.normalise": False,
        "network.bias": False,
        "encoding": given["encoding"] if given["encoding"] in EVENTS else "rows",
    }


def _speck(profile: ChipProfile, given: Values) -> dict[str, Any]:
    reset = given["neuron.reset"] if given["neuron.reset"] in ("subtract", "zero") else "subtract"
    most, lower = given["neuron.most_spikes"], given["neuron.lower"]
    wanted: dict[str, Any] = {
        "neuron.model": "leaky",
        "neuron.beta": 1.0,
        "neuron.learn_beta": False,
        "neuron.input_gain": "unit",
        "neuron.reset": reset,
        "neuron.most_spikes": most if most > 1 else MULTIPLE,
        "neuron.lower": -float(given["neuron.threshold"]) if lower is None else lower,
        "neuron.granularity": "layer",
    }
    if given["network.name"] in MAY_LACK_BIASES:  # else biases stay, which the check warns of
        wanted |= {"network.normalise": False, "network.bias": False}
    return wanted


def _loihi(profile: ChipProfile, given: Values) -> dict[str, Any]:
    model = given["neuron.model"]
    return {
        "neuron.model": model if model in ("leaky", "synaptic") else "leaky",
        "neuron.reset": "zero",
        "neuron.most_spikes": 1,
        "neuron.output_spikes": None,
        "neuron.lower": None,
    }


def _fixed_point(profile: ChipProfile, given: Values) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "neuron.model": "leaky",
        "neuron.reset": str(profile.value("neuron.reset")),
        "neuron.most_spikes": int(profile.value("neuron.most_spikes")),
        "neuron.output_spikes": None,
        "neuron.lower": None,
    }
    leak = profile.value("neuron.leak")
    if leak == "none":
        wanted |= {"neuron.beta": 1.0, "neuron.input_gain": "unit", "neuron.learn_beta": False}
    elif leak == "shift":
        beta = torch.tensor([float(given["neuron.beta"])], dtype=torch.float64)
        design = fixed_point_format(profile)
        nearest = float(beta_of(round_leak(beta, design), design))
        wanted |= {"neuron.beta": nearest, "neuron.learn_beta": False}
    return wanted


def _spinnaker2(profile: ChipProfile, given: Values) -> dict[str, Any]:
    reset = given["neuron.reset"] if given["neuron.reset"] in ("subtract", "zero") else "zero"
    return {
        "neuron.reset": reset,
        "neuron.most_spikes": 1,
        "neuron.output_spikes": None,
        "neuron.lower": None,
    }


_FAMILIES: dict[str, Callable[[ChipProfile, Values], dict[str, Any]]] = {
    "xylo": _xylo,
    "speck": _speck,
    "loihi": _loihi,
    "fixed_point": _fixed_point,
    "spinnaker2": _spinnaker2,
}
