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

from .recording import Recording, Replayable, Source, core_shape

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


class RelativeSource:
    """A source that calls its layers as its partner does, in units of their thresholds.

    Two things may have the same neuron in other volts; relative to the threshold they agree. A
    threshold of 0 is not divided by.

    Args:
        source: what is run.
        names: what a layer is called here -> what the source calls it.
        thresholds: of the source's layers, in the volts of its recordings.
        every_layer: whether all layers have a partner; if not, it runs in float64 alone.
    """

    def __init__(
        self,
        source: Source,
        names: Mapping[str, str],
        thresholds: Mapping[str, Tensor],
        every_layer: bool,
    ) -> None:
        """Keep what is given."""
        self.title, self._source, self._names = source.title, source, dict(names)
        self._every_layer = every_layer
        self._thresholds = {name: thresholds[own] for name, own in self._names.items()}

    def layers(self) -> list[str]:
        """See `Source.layers`; those with a partner."""
        order = self._source.layers()
        return sorted(self._names, key=lambda name: order.index(self._names[name]))

    def limit(self, dtype: torch.dtype) -> int | None:
        """See `Source.limit`."""
        if not self._every_layer and dtype != torch.float64:
            return 0
        return self._source.limit(dtype)

    def run(self, x: Tensor, dtype: torch.dtype) -> Recording:
        """See `Source.run`."""
        return self._renamed(self._source.run(x, dtype))

    def _renamed(self, run: Recording) -> Recording:
        v = {name: run.v[own] for name, own in self._names.items()}
        return Recording(
            {name: run.spikes[own] for name, own in self._names.items()},
            {name: value / self._size(name, value) for name, value in v.items()},
            run.output,
            run.scores,
        )

    def _size(self, name: str, v: Tensor) -> Tensor:
        """What the threshold of a layer measures, in the shape of one step of `v`."""
        size = self._thresholds[name].abs().reshape(v.shape[2:])
        return torch.where(size > 0, size, 1.0).to(v)


class PairedSource(RelativeSource):
    """A source under test; see `RelativeSource`.

    Args:
        source: what is run.
        names: what a layer is called here -> what the source calls it.
        every_layer: as in `RelativeSource`.
        sizes: what its membranes are measured in, by the names here; None takes its own thresholds,
            which a reader's float32 may have rounded.
    """

    def __init__(
        self,
        source: Replayable,
        names: Mapping[str, str],
        every_layer: bool,
        sizes: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Read the thresholds."""
        own = source.thresholds()
        measured = own if sizes is None else {names[name]: sizes[name] for name in names}
        super().__init__(source, names, measured, every_layer)
        self._fires = {name: own[layer] for name, layer in self._names.items()}
        self._tested = source

    @property
    def neurons(self) -> int:
        """See `Replayable.neurons`."""
        return self._tested.neurons

    def shapes(self) -> dict[str, Shape]:
        """See `Replayable.shapes`."""
        shapes = self._tested.shapes()
        return {name: shapes[self._names[name]] for name in self.layers()}

    def replay(self, x: Tensor, dtype: torch.dtype, reference: Recording) -> Recording:
        """See `Replayable.replay`."""
        return self._renamed(self._tested.replay(x, dtype, self._own(reference)))

    def thresholds(self) -> dict[str, Tensor]:
        """Thresholds in what membranes are measured in: 1, -1 or 0 where that is their own size."""
        fires = self._fires
        return {n: value / self._size(n, value[None, None]) for n, value in fires.items()}

    def membrane_bounds(
        self, x: Tensor, reference: Recording, dtype: torch.dtype
    ) -> dict[str, Tensor]:
        """See `Replayable.membrane_bounds`; relative to the threshold."""
        bounds = self._tested.membrane_bounds(x, self._own(reference), dtype)
        own = {name: bounds[own] for name, own in self._names.items()}
        return {name: bound / self._size(name, bound) for name, bound in own.items()}

    def output_bounds(self, x: Tensor, reference: Recording, dtype: torch.dtype) -> Tensor:
        """See `Replayable.output_bounds`."""
        return self._tested.output_bounds(x, self._own(reference), dtype)

    def _own(self, reference: Recording) -> Recording:
        """A recording with the source's own names, in its own volts."""
        v = {name: reference.v[name] for name in self._names}
        return Recording(
            {own: reference.spikes[name] for name, own in self._names.items()},
            {own: v[name] * self._size(name, v[name]) for name, own in self._names.items()},
            reference.output,
        )
