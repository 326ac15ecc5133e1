"""What neurons of chips do that NIR cannot state; it stands in a file's metadata, node by node.

NIR's spiking nodes fire once a step, are assigned v_reset and know no lowest membrane. Chips fire
several times in a step, subtract the threshold for every spike and clamp the membrane from below.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

ResetKind = Literal["subtract", "zero"]


@dataclass(frozen=True)
class NeuronBehaviour:
    """Of one spiking node; the values by default are NIR's own.

    Attributes:
        reset: what every spike does to the membrane in its step.
        most_spikes: of one neuron in one step, >= 1.
        lower: the lowest membrane, in the unit of v_threshold, <= 0; None if there is none.
    """

    reset: ResetKind = "zero"
    most_spikes: int = 1
    lower: float | None = None

    @property
    def is_plain(self) -> bool:
        """Whether NIR states it."""
        return self == NeuronBehaviour()

    @staticmethod
    def is_right(value: Any) -> bool:
        """Whether plain values, as a file holds them, are those of a behaviour."""
        if not isinstance(value, dict) or value.keys() != {"reset", "most_spikes", "lower"}:
            return False
        most, lower = value["most_spikes"], value["lower"]
        is_lower = lower is None or (
            isinstance(lower, (int, float))
            and not isinstance(lower, bool)
            and math.isfinite(lower)
            and lower <= 0
        )
        is_most = isinstance(most, int) and not isinstance(most, bool) and most >= 1
        return value["reset"] in get_args(ResetKind) and is_most and is_lower
