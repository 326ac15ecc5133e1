"""Constants of the other methods, as plain values; nothing heavy is imported here."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mpo_snn.settings import refuse


@dataclass(frozen=True)
class RivalSettings:
    """Constants of the methods beside MPO; each is read by the method that its name starts with.

    Attributes:
        dspike_temperature: b at the start, 1/volt, > 0.
        dspike_change: how far b may move in an epoch, 1/volt, > 0.
        dspike_weights: weights of the first layer whose gradient is estimated in an epoch, >= 1;
            each takes two forward passes.
        dspike_step: step of the finite difference, as a share of the weights' root mean square,
            > 0.
        recdis_lambda: weight of the distribution loss, >= 0.
        recdis_margin: kappa, how many standard deviations count as the bulk, > 0; at 1 the loss is
            0 in most healthy networks.
    """

    dspike_temperature: float = 3.0
    dspike_change: float = 0.2
    dspike_weights: int = 32
    dspike_step: float = 0.1
    recdis_lambda: float = 0.1
    recdis_margin: float = 0.25

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        found = []
        for name in ("dspike_temperature", "dspike_change", "dspike_step", "recdis_margin"):
            if not 0.0 < getattr(self, name) < math.inf:
                found.append(f"rival.{name} is {getattr(self, name):g}, allowed is above 0.")
        if self.dspike_weights < 1:
            found.append(f"rival.dspike_weights is {self.dspike_weights}, allowed is 1 or more.")
        if not 0.0 <= self.recdis_lambda < math.inf:
            found.append(f"rival.recdis_lambda is {self.recdis_lambda:g}, allowed is 0 or more.")
        refuse("rival settings", found)
