"""Settings of a recipe under which a network is trained inside what a chip can do, by family.

Only what the chip has no other way to do is asked for; sizes are left to its check, save those of
layers that take the place of others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from mpo_snn.networks.settings import MAY_LACK_BIASES, NetworkSettings
from mpo_snn.profiles.chip import ChipProfile
from mpo_snn.settings import NeuronSettings

from .fixed_point_core import fixed_point_format
from .fixed_point_scale import beta_of, round_leak
from .read_layers import EVENTS
from .xylo_check import representable, widest_layer

Values = Mapping[str, Any]
"""Values of a recipe by dotted key: `neuron.beta`."""
MULTIPLE = 16
"""Spikes of a neuron in one step in training, where the chip knows no limit."""


@dataclass(frozen=True)
class Along:
    """A setting that changes because others do, and not because of the chip itself.

    Attributes:
        value: that it must have beside them.
        why: the reason, as half a sentence.
    """

    value: Any
    why: str


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


def settings_along(given: Values, inside: Values) -> dict[str, Along]:
    """What changes with the settings that a chip needs: it loses its use, or cannot stand by them.

    Args:
        given: what the recipe says now.
        inside: what `settings_inside` says of it.

    Returns:
        by dotted key; what has its use still is absent.
    """
    now = {**given, **inside}
    along: dict[str, Along] = {}
    if now["neuron.model"] != "synaptic":
        why = f"neuron.model {now['neuron.model']} has no synapse"
        along["neuron.alpha"] = Along(NeuronSettings.alpha, why)
        along["neuron.learn_alpha"] = Along(False, why)
    elif _filters(now) and now["network.name"] in MAY_LACK_BIASES:  # else the check refuses them
        why = "a synapse filters biases in front of it, and chips add theirs behind it"
        along["network.normalise"] = Along(False, why)
        along["network.bias"] = Along(False, why)
    learns = ("neuron.learn_alpha", "neuron.learn_beta", "neuron.learn_threshold")
    if not any(now[key] for key in learns if key not in along):
        along["neuron.granularity"] = Along("layer", "nothing is trained per channel")
    if now["network.init"] == "tdbn" and not _has_batchnorm(now | _values(along)):
        along["network.init"] = Along(NetworkSettings.init, "there is no batchnorm for tdbn")
    if now["network.name"] == "mlp" and now["network.pooling"] == "max":
        along["network.pooling"] = Along(NetworkSettings.pooling, "mlp has no windows")
    fires_once = now["neuron.most_spikes"] == 1 and now["neuron.output_spikes"] in (None, 1)
    if not (fires_once and now["neuron.lower"] is None) and now["neuron.backend"] != "reference":
        why = "no other kernel fires several times a step or has a lowest membrane"
        along["neuron.backend"] = Along(None, why)
    if now["encoding"] == "rows":
        along["early_timesteps"] = Along(None, "encoding rows has timesteps of its own")
        along["early_epochs"] = Along(0, "encoding rows has timesteps of its own")
    return along


def sizes_inside(profile: ChipProfile, given: Values, inside: Values) -> dict[str, Along]:
    """Sizes of the dense layers that take the place of another network, which fit the chip.

    They are an offer: whoever gives others by hand has these checked as those of any network.

    Args:
        profile: of the chip.
        given: what the recipe says now.
        inside: what `settings_inside` says of it.

    Returns:
        by dotted key; nothing where the network stays what it is.
    """
    if inside.get("network.name", given["network.name"]) == given["network.name"]:
        return {}
    size = max(1, int(widest_layer(profile) / given["network.channel_scale"]))
    why = f"two layers of the largest size that {profile.name} takes"
    return {"network.hidden": Along([size, size], why)}


def _filters(values: Values) -> bool:
    """Whether a synapse remembers anything."""
    return bool(values["neuron.alpha"]) or values["neuron.learn_alpha"]


def _values(along: Mapping[str, Along]) -> dict[str, Any]:
    return {key: one.value for key, one in along.items()}


def _has_batchnorm(values: Values) -> bool:
    return values["network.normalise"] or values["network.name"] not in MAY_LACK_BIASES


def _xylo(profile: ChipProfile, given: Values) -> dict[str, Any]:
    bits = int(profile.value("format.dash_bits"))

    def near(key: str) -> float:
        leak = torch.tensor([float(given[key])], dtype=torch.float64)
        return float(representable(leak, bits))

    return {
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
    of_output = given["neuron.output_spikes"]
    wanted: dict[str, Any] = {
        "neuron.model": "leaky",
        "neuron.beta": 1.0,
        "neuron.learn_beta": False,
        "neuron.input_gain": "unit",
        "neuron.reset": reset,
        "neuron.most_spikes": most if most > 1 else MULTIPLE,
        "neuron.output_spikes": None if of_output == 1 else of_output,
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
    if not fixed_point_format(profile).bias and given["network.name"] in MAY_LACK_BIASES:
        wanted |= {"network.normalise": False, "network.bias": False}  # of others, findings
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
