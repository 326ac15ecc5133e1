"""What a chip profile may say, family by family: each key with its unit and the values it may have.

A key that is not required may be left out where nothing is public; checks then skip what they would
need it for, and say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

STATUSES = ("exact", "measured", "source", "literature", "unsure")
"""How well a value is known: reproduced integer for integer; seen by running the vendor's package;
read in the source that is cited; out of a paper or page; recalled or in dispute."""

ENERGY_UNITS = {
    "synaptic_operation": "pJ/synaptic operation",
    "update": "pJ/update",
    "update_active": "pJ/update",
    "update_idle": "pJ/update",
    "spike": "pJ/spike",
    "hop": "pJ/hop",
    "hop_east_west": "pJ/hop",
    "hop_north_south": "pJ/hop",
    "plasticity": "pJ/synapse update",
    "resting_power": "uW",
    "dynamic_power": "uW",
    "total_power": "uW",
    "inference": "uJ/inference",
}
"""Names that [energy] may have; an update is one neuron in one timestep. Figures in uW and
uJ/inference are those of a whole chip at a published task."""


@dataclass(frozen=True)
class Whole:
    """A whole number from `low` to `high`."""

    unit: str
    low: int = 1
    high: int = 10**12
    required: bool = True

    def is_right(self, value: Any) -> bool:
        """Whether a plain value is one."""
        return type(value) is int and self.low <= value <= self.high

    def __str__(self) -> str:
        """As messages have it."""
        if self.low == self.high:
            return f"{self.low:,}, the arithmetic of the family knows no other"
        return f"a whole number from {self.low:,} to {self.high:,}"


@dataclass(frozen=True)
class Wholes:
    """A list of whole numbers, each from `low` to `high`; at least one."""

    unit: str
    low: int = 1
    high: int = 10**12
    required: bool = True

    def is_right(self, value: Any) -> bool:
        """Whether a plain value is one."""
        one = Whole(self.unit, self.low, self.high)
        return isinstance(value, list) and bool(value) and all(map(one.is_right, value))

    def __str__(self) -> str:
        """As messages have it."""
        return f"a list of whole numbers from {self.low:,} to {self.high:,}"


@dataclass(frozen=True)
class Choice:
    """One word out of several; it has no unit."""

    words: tuple[str, ...]
    unit: str = ""
    required: bool = True

    def is_right(self, value: Any) -> bool:
        """Whether a plain value is one."""
        return isinstance(value, str) and value in self.words

    def __str__(self) -> str:
        """As messages have it."""
        return f"one of {', '.join(self.words)}"


@dataclass(frozen=True)
class Flag:
    """Whether hardware has something; it has no unit. What is left out is the default."""

    default: bool
    unit: str = ""
    required: bool = False

    def is_right(self, value: Any) -> bool:
        """Whether a plain value is one."""
        return type(value) is bool

    def __str__(self) -> str:
        """As messages have it."""
        return "true or false"


Rule = Whole | Wholes | Choice | Flag


def _bits(low: int = 1, high: int = 32, required: bool = True) -> Whole:
    return Whole("bits", low, high, required)


KEYS: dict[str, dict[str, Rule]] = {
    "xylo": {
        "neuron.synapses": Whole("synapses", 1, 2),
        "neuron.input_events": Whole("events", 15, 15),
        "neuron.hidden_spikes": Whole("spikes", 31, 31),
        "neuron.output_spikes": Whole("spikes", 1, 1),
        "format.weight_bits": _bits(2, 8),
        "format.state_bits": _bits(16, 16),
        "format.threshold_bits": _bits(2, 16),
        "format.bias_bits": _bits(2, 16),
        "format.dash_bits": _bits(1, 5),
        "limit.inputs": Whole("channels"),
        "limit.hidden": Whole("neurons"),
        "limit.outputs": Whole("neurons"),
        "limit.fan_out": Whole("neurons"),
        "limit.recurrent_weights": Whole("weights"),
        "limit.input_reach": Whole("neurons"),
        "limit.output_reach": Whole("neurons"),
    },
    "speck": {
        "neuron.readout_classes": Whole("classes"),
        "format.weight_bits": _bits(2, 8),
        "format.bias_bits": _bits(2, 8),
        "format.state_bits": _bits(2, 16),
        "limit.cores": Whole("cores"),
        "limit.kernel_memory": Wholes("entries"),
        "limit.neuron_memory": Wholes("entries"),
        "limit.bias_memory": Whole("entries"),
        "limit.input_side": Whole("pixels"),
        "limit.map_side": Whole("pixels"),
        "limit.channels": Whole("channels"),
        "limit.kernel_side": Whole("pixels"),
        "limit.strides": Wholes("pixels"),
        "limit.padding": Whole("pixels", 0),
        "limit.pools": Wholes("pixels"),
        "limit.fan_out": Whole("cores"),
    },
    "loihi": {
        "format.weight_bits": _bits(2, 14),
        "format.decay_bits": _bits(12, 12),
        "format.threshold_bits": _bits(1, 31),
        "format.bias_bits": _bits(2, 16),
        "format.bias_exponent_bits": _bits(1, 5),
        "format.weight_exponent_low": Whole("power of two", -32, 32),
        "format.weight_exponent_high": Whole("power of two", -32, 32),
        "format.sum_bits": _bits(22, 22),
        "format.state_bits": _bits(24, 24),
        "limit.cores": Whole("cores"),
        "limit.neurons_per_core": Whole("neurons"),
        "limit.in_axons": Whole("axons", required=False),
        "limit.out_axons": Whole("axons", required=False),
        "limit.synapse_memory": Whole("words of 64 bits", required=False),
        "limit.compartment_configs": Whole("configurations", required=False),
        "limit.threshold_configs": Whole("configurations", required=False),
        "limit.neurons": Whole("neurons"),
        "limit.synapses": Whole("synapses"),
    },
    "spinnaker2": {
        "format.weight_bits": _bits(2),
        "limit.elements": Whole("processing elements"),
        "limit.neurons_per_element": Whole("neurons"),
        "limit.memory_bytes": Whole("bytes"),
    },
    "fixed_point": {
        "neuron.leak": Choice(("none", "shift", "multiply")),
        "neuron.leak_order": Choice(("before", "after", "instead_of_spike")),
        "neuron.compare": Choice((">", ">=")),
        "neuron.reset": Choice(("zero", "subtract")),
        "neuron.most_spikes": Whole("spikes", 1, 1 << 16),
        "neuron.bias": Flag(default=True),
        "format.weight_bits": _bits(2, 16),
        "format.weight_fraction_bits": _bits(0, 16, required=False),
        "format.state_bits": _bits(2),
        "format.leak_bits": _bits(1, 15),
        "format.overflow": Choice(("saturate", "wrap")),
        "format.rounding": Choice(("floor", "zero", "half_even", "half_up")),
        "limit.neurons": Whole("neurons", required=False),
        "limit.synapses": Whole("synapses", required=False),
    },
}
"""Families, and what each says in [neuron], [format] and [limit].

What the arithmetic of a family has built in is one value, and formats end where its files do:
weights of Xylo and Speck at 8 bits, thresholds at 16.
"""
