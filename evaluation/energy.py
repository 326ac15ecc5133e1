r"""Energy: operation counts times what an operation costs.

.. math::
    E = \text{MAC} \cdot e_\text{mac} + (\text{AC} + \text{graded AC}) \cdot e_\text{ac}
        \; [\, + \text{updates} \cdot e_\text{update} \,]

The last term is there only where the profile has a figure for it, and so is the first: a chip
without multipliers takes no analog input, and what a network does with one is left out of its
total and named (`uncharged`). What the constants leave out (memory, communication, static power)
the result leaves out too. Where sources disagree about a constant, the lowest and the highest
values give a lowest and a highest total.

.. math::
    \text{SEEI} = \frac{\text{accuracy}}{100} \cdot
        \frac{E_\text{dense}}{E_\text{event}}, \qquad
    E_\text{dense} = \text{MAC}_\text{dense} \cdot e_\text{mac}

with one pass of the same network as a dense network without spikes in the numerator, and one
spiking inference in the denominator. 1 means no gain at perfect accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass

from mpo_snn.profiles.energy import EnergyProfile

SEEI_CAVEAT = (
    "accuracy / 100 x dense energy / event energy; 1 means no gain. "
    "Own definition, not comparable with others."
)


@dataclass(frozen=True)
class Operations:
    """Operations of one inference.

    Attributes:
        mac: multiply-accumulates.
        ac: accumulates caused by spikes.
        graded_ac: accumulates caused by spikes that arrive pooled, scaled or summed.
        updates: membranes advanced by one timestep.
    """

    mac: float = 0.0
    ac: float = 0.0
    graded_ac: float = 0.0
    updates: float = 0.0

    @property
    def synops(self) -> float:
        """Synaptic operations: all accumulates caused by spikes."""
        return self.ac + self.graded_ac

    def __add__(self, other: Operations) -> Operations:
        """Operations of both."""
        return Operations(
            self.mac + other.mac,
            self.ac + other.ac,
            self.graded_ac + other.graded_ac,
            self.updates + other.updates,
        )


@dataclass(frozen=True)
class Energy:
    """Energy of one inference, in pJ, and the range that the sources leave."""

    value_pj: float
    low_pj: float
    high_pj: float


def energy_of(operations: Operations, profile: EnergyProfile) -> Energy:
    """Energy of these operations (the equation at the top)."""
    terms = (
        (operations.mac, profile.mac),
        (operations.synops, profile.ac),
        (operations.updates, profile.update),
    )
    charged = [(count, constant) for count, constant in terms if constant is not None]
    return Energy(
        value_pj=sum(count * constant.value_pj for count, constant in charged),
        low_pj=sum(count * constant.low_pj for count, constant in charged),
        high_pj=sum(count * constant.high_pj for count, constant in charged),
    )


def uncharged(operations: Operations, profile: EnergyProfile) -> float:
    """Multiply-accumulates that the profile has no figure for, and its totals leave out."""
    return operations.mac if profile.mac is None else 0.0


def dense_energy_pj(dense_mac: float, profile: EnergyProfile) -> float | None:
    """Energy in pJ of one pass of the network as a dense one; None where nothing multiplies."""
    return None if profile.mac is None else dense_mac * profile.mac.value_pj


def seei(accuracy_percent: float, dense_pj: float | None, event_pj: float) -> float | None:
    """SEEI (the equation at the top); None where an inference costs nothing or no dense one is.

    Args:
        accuracy_percent: 0 to 100.
        dense_pj: energy of one dense pass.
        event_pj: energy of one spiking inference.
    """
    if event_pj == 0.0 or dense_pj is None:
        return None
    return accuracy_percent / 100.0 * dense_pj / event_pj
