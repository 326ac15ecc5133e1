"""What an inference costs on a chip, by the figures that its profile has.

Figures of single operations are multiplied by how often the run did them. Figures of a whole chip
at a published task are handed on as such: they are not of this network. Every figure keeps its kind
(`mpo_snn.profiles.energy.KINDS`), and a total stands only where all that it adds are of one kind.

What a spike costs on its way between cores depends on the placement and is left out, and so is what
a chip takes at rest, unless its maker's figures contain it.
"""

from __future__ import annotations

from dataclasses import dataclass

from mpo_snn.errors import DeployError
from mpo_snn.profiles.chip import ChipProfile
from mpo_snn.profiles.chip_constant import ChipConstant

from .quantized import IntegerRun

UNIT = "pJ/inference"
_SYSTEM = ("resting_power", "dynamic_power", "total_power", "inference")


@dataclass(frozen=True)
class EnergyFigure:
    """One figure.

    Attributes:
        label: what it is of.
        low: the lowest that sources give, or that the activity can make it.
        value: the figure.
        high: the highest.
        unit: `pJ/inference` for this network; that of the profile for others.
        kind: how it was got.
        source: who says so.
        is_of_network: whether it is of this network, or else of a published task.
    """

    label: str
    low: float
    value: float
    high: float
    unit: str
    kind: str
    source: str
    is_of_network: bool


def energy_per_inference(profile: ChipProfile, run: IntegerRun, samples: int) -> list[EnergyFigure]:
    """Figures of this network, their total, then published ones of the chip.

    Where updates of active and idle neurons differ, the value takes all as active and the low one
    all as idle: runs count updates, not which neurons were active.

    Args:
        profile: of the chip; without [energy] there is no figure.
        run: counts of all samples together.
        samples: how many.

    Raises:
        DeployError: if there are no samples.
    """
    if samples < 1:
        raise DeployError(f"cannot give the energy of an inference from {samples} samples.")
    figures = []
    if "energy.synaptic_operation" in profile:
        constant = profile.constant("energy.synaptic_operation")
        count = run.synaptic_events / samples
        figures.append(_figure("synaptic operations", count, constant, constant))
    active = next((k for k in ("energy.update", "energy.update_active") if k in profile), None)
    if active is not None:
        idle = "energy.update_idle" if "energy.update_idle" in profile else active
        count = run.updates / samples
        constants = profile.constant(idle), profile.constant(active)
        figures.append(_figure("neuron updates", count, *constants))
    if len(figures) > 1 and len({figure.kind for figure in figures}) == 1:
        figures.append(_total(figures))
    return figures + [
        _published(name, profile.constant(f"energy.{name}"))
        for name in _SYSTEM
        if f"energy.{name}" in profile
    ]


def _figure(label: str, count: float, least: ChipConstant, most: ChipConstant) -> EnergyFigure:
    """A number of operations, which cost from the low of one constant to the high of another."""
    low, _, _ = _range(least)
    _, value, high = _range(most)
    if least.kind != most.kind:
        low = value
    sources = dict.fromkeys((most.source, least.source))
    return EnergyFigure(
        label, count * low, count * value, count * high, UNIT, most.kind, "; ".join(sources), True
    )


def _total(figures: list[EnergyFigure]) -> EnergyFigure:
    return EnergyFigure(
        "total",
        sum(figure.low for figure in figures),
        sum(figure.value for figure in figures),
        sum(figure.high for figure in figures),
        UNIT,
        figures[0].kind,
        "; ".join(dict.fromkeys(figure.source for figure in figures)),
        True,
    )


def _published(name: str, constant: ChipConstant) -> EnergyFigure:
    what = {"inference": "energy of an inference"}.get(name, name.replace("_", " "))
    label = f"{what} of the chip as published, not of this network"
    if constant.notes:
        label += f" ({constant.notes.removesuffix('; not of another network')})"
    return EnergyFigure(
        label, *_range(constant), constant.unit, constant.kind, constant.source, False
    )


def _range(constant: ChipConstant) -> tuple[float, float, float]:
    value, low, high = constant.value, constant.low, constant.high
    assert isinstance(value, float) and low is not None and high is not None, "of [energy]"
    return low, value, high
