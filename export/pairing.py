"""Which layer of one thing is which layer of another, when different programs named them.

Layers of the same name are the same. What is left is paired in the order in which it runs, if
there are as many on both sides and their shapes agree. What has no partner then is not compared,
and float64 alone is run: in float32 a rounding there would reach other layers and look unexplained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .sources import GraphSource, Recording, core_shape

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Pairing:
    """Layers of two things that belong together.

    Attributes:
        pairs: layer of the first -> layer of the second, in the order in which they run.
        lonely: layers of either that have no partner.
        notes: what is not by name, one line each.
    """

    pairs: dict[str, str]
    lonely: tuple[str, ...]
    notes: tuple[str, ...]


def pair_layers(first: Mapping[str, Shape], second: Mapping[str, Shape]) -> Pairing:
    """Pair layers, given with their shapes in the order in which they run."""
    pairs = {name: name for name in first if name in second}
    rest, others = ([n for n in layers if n not in pairs] for layers in (first, second))
    notes = []
    if rest and [core_shape(first[n]) for n in rest] == [core_shape(second[n]) for n in others]:
        pairs |= dict(zip(rest, others, strict=True))
        told = ", ".join(f"{a} is {b}" for a, b in zip(rest, others, strict=True))
        notes.append(f"layers of other names are paired in the order in which they run: {told}.")
        rest, others = [], []
    lonely = (*rest, *others)
    if lonely:
        notes.append(
            f"not compared, for no layer of the other file has the name: {', '.join(lonely)};"
            " the comparison is made in float64 alone."
        )
    return Pairing({name: pairs[name] for name in first if name in pairs}, lonely, tuple(notes))


class PairedSource:
    """A graph that calls its layers as its partner does, membranes relative to the threshold.

    Two files may state the same neuron in other volts; relative to the threshold they agree. A
    threshold of 0 is not divided by.

    Args:
        source: the graph.
        names: what a layer is called here -> what the source calls it.
        every_layer: whether all layers have a partner; if not, it runs in float64 alone.
    """

    def __init__(self, source: GraphSource, names: Mapping[str, str], every_layer: bool) -> None:
        """Read the thresholds."""
        self.title, self._source, self._names = source.title, source, dict(names)
        self._every_layer = every_layer
        thresholds = source.thresholds()
        self._thresholds = {name: thresholds[own] for name, own in self._names.items()}

    @property
    def neurons(self) -> int:
        """Neurons in all spiking layers together."""
        return self._source.neurons

    def layers(self) -> list[str]:
        """Names of the paired layers, in the order in which they run."""
        order = self._source.layers()
        return sorted(self._names, key=lambda name: order.index(self._names[name]))

    def limit(self, dtype: torch.dtype) -> int | None:
        """How many samples it takes in a precision; None for any number."""
        return None if self._every_layer or dtype == torch.float64 else 0

    def run(self, x: Tensor, dtype: torch.dtype) -> Recording:
        """Run freely and record every paired layer."""
        return self._renamed(self._source.run(x, dtype))

    def replay(self, x: Tensor, dtype: torch.dtype, reference: Recording) -> Recording:
        """Every paired layer on its own: each is fed with the reference's spikes."""
        return self._renamed(self._source.replay(x, dtype, self._own(reference)))

    def thresholds(self) -> dict[str, Tensor]:
        """Thresholds relative to their size: 1, -1 or 0."""
        return {name: value.sign() for name, value in self._thresholds.items()}

    def membrane_bounds(
        self, x: Tensor, reference: Recording, dtype: torch.dtype
    ) -> dict[str, Tensor]:
        """Bound on the rounding of each membrane, relative to the threshold."""
        bounds = self._source.membrane_bounds(x, self._own(reference), dtype)
        return {name: bounds[own] / self._size(name) for name, own in self._names.items()}

    def _own(self, reference: Recording) -> Recording:
        """A recording with the source's own names, in its own volts."""
        return Recording(
            {own: reference.spikes[name] for name, own in self._names.items()},
            {own: reference.v[name] * self._size(name) for name, own in self._names.items()},
            reference.output,
        )

    def _renamed(self, run: Recording) -> Recording:
        return Recording(
            {name: run.spikes[own] for name, own in self._names.items()},
            {
                name: run.v[own] / self._size(name).to(run.v[own])
                for name, own in self._names.items()
            },
            run.output,
        )

    def _size(self, name: str) -> Tensor:
        size = self._thresholds[name].abs()
        return torch.where(size > 0, size, 1.0)
