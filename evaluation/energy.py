r"""Energy: operation counts times what an operation costs.

.. math::
    E = \text{MAC} \cdot e_\text{mac} + (\text{AC} + \text{graded AC}) \cdot e_\text{ac}
        \; [\, + \text{updates} \cdot e_\text{update} \,]

The last term is there only where the profile has a figure for it. What the constants leave out
(memory, communication, static power) the result leaves out too.

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


def energy_pj(operations: Operations, profile: EnergyProfile) -> float:
    """Energy of these operations in pJ (the equation at the top)."""
    total = operations.mac * profile.mac.value_pj + operations.synops * profile.ac.value_pj
    if profile.update is not None:
        total += operations.updates * profile.update.value_pj
    return total


def dense_energy_pj(dense_mac: float, profile: EnergyProfile) -> float:
    """Energy in pJ of one pass of the network as a dense one."""
    return dense_mac * profile.mac.value_pj


def seei(accuracy_percent: float, dense_pj: float, event_pj: float) -> float | None:
    """SEEI (the equation at the top); None where an inference costs nothing.

    Args:
        accuracy_percent: 0 to 100.
        dense_pj: energy of one dense pass.
        event_pj: energy of one spiking inference.
    """
    if event_pj == 0.0:
        return None
    return accuracy_percent / 100.0 * dense_pj / event_pj
