"""What stands between a network and a chip, and how much of the chip it takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor


@dataclass(frozen=True)
class Finding:
    """One thing that the chip cannot do.

    Attributes:
        where: node or layer, or `network`.
        found: what is there, e.g. `kernel of 3x5`.
        allowed: what may be there, e.g. `square kernels up to 16x16`.
        fix: what would help, e.g. `train with kernel 3`.
        source: what says so: manual, paper, file.
    """

    where: str
    found: str
    allowed: str
    fix: str
    source: str = ""

    def __str__(self) -> str:
        """In one line."""
        return f"{self.where}: {self.found}; allowed is {self.allowed}: {self.fix}."


def grouped(findings: Iterable[Finding]) -> list[Finding]:
    """Findings for people: what differs in the place alone stands once, with all places.

    Args:
        findings: one for each place.

    Returns:
        in the order of the first of each; `where` names every place, separated by commas.
    """
    places: dict[Finding, list[str]] = {}
    for one in findings:
        places.setdefault(replace(one, where=""), []).append(one.where)
    return [replace(one, where=", ".join(dict.fromkeys(where))) for one, where in places.items()]


@dataclass(frozen=True)
class Usage:
    """How much of a resource is taken.

    Attributes:
        resource: what it is, with its place, e.g. `core 3 kernel memory`.
        used: so much.
        available: out of so much, > 0.
        unit: of both, e.g. `words`.
    """

    resource: str
    used: float
    available: float
    unit: str

    @property
    def share(self) -> float:
        """Used out of available; above 1 it does not fit."""
        return self.used / self.available


@dataclass(frozen=True)
class Fact:
    """A figure of the network on the chip that is no limit.

    Attributes:
        name: what it is.
        value: the figure.
        unit: of it.
        notes: under which conditions.
        source: where its constants are from.
    """

    name: str
    value: float
    unit: str
    notes: str
    source: str


@dataclass(frozen=True)
class CheckResult:
    """All findings and the resources taken.

    Attributes:
        findings: empty if the network fits.
        usage: of each resource.
        warnings: what the chip does otherwise than the network, or what has to be done by hand; it
            fits nonetheless.
        placement: where each layer goes, for chips with several cores.
        scales: what weights, threshold and bias of each layer are multiplied by, for chips that
            nothing is rounded for here.
    """

    findings: tuple[Finding, ...]
    usage: tuple[Usage, ...]
    warnings: tuple[Finding, ...] = ()
    placement: Mapping[str, str] = field(default_factory=dict)
    scales: Mapping[str, float] = field(default_factory=dict)


def span(values: Tensor) -> str:
    """One value, or from the lowest to the highest."""
    low, high = float(values.min()), float(values.max())
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
