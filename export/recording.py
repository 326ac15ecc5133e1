"""What a run of spiking layers shows, and what can be run and replayed for a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Recording:
    """What one run showed.

    Attributes:
        spikes: per layer, bool, (time, batch, *features); for neurons that fire several times in a
            step their number, int16.
        v: per layer, membrane before reset, in the volts of the NIR file, same shape.
        output: (time, batch, *outputs).
        scores: (batch, *outputs), where what was run reads its output out itself.
    """

    spikes: dict[str, Tensor]
    v: dict[str, Tensor]
    output: Tensor
    scores: Tensor | None = None

    def like(self, other: Recording) -> Recording:
        """The other's layers in its shapes, where they differ by axes of length 1 at the end.

        A file may hold a dense layer as a convolution, with neurons of shape (N, 1, 1), and more
        layers than the other.
        """
        return Recording(
            {name: _like(self.spikes[name], spk) for name, spk in other.spikes.items()},
            {name: _like(self.v[name], v) for name, v in other.v.items()},
            _like(self.output, other.output),
            self.scores,
        )


class Source(Protocol):
    """Anything that runs on encoded input, (time, batch, *features), in a given precision."""

    title: str

    def layers(self) -> list[str]:
        """Names of the spiking layers in the order in which they run."""
        ...

    def limit(self, dtype: torch.dtype) -> int | None:
        """How many samples it can be given in a precision; None for any number."""
        ...

    def run(self, x: Tensor, dtype: torch.dtype) -> Recording:
        """Run freely and record every spiking layer."""
        ...


class Replayable(Source, Protocol):
    """A source under test: its layers can be run one by one, on spikes of another."""

    @property
    def neurons(self) -> int:
        """Neurons in all spiking layers together."""
        ...

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the layers, without batch and time, in the order in which they run."""
        ...

    def replay(self, x: Tensor, dtype: torch.dtype, reference: Recording) -> Recording:
        """Every layer on its own: each is fed with the reference's spikes, not this source's."""
        ...

    def thresholds(self) -> dict[str, Tensor]:
        """Firing threshold of every layer, volt, per neuron, float64."""
        ...

    def membrane_bounds(
        self, x: Tensor, reference: Recording, dtype: torch.dtype
    ) -> dict[str, Tensor]:
        """Bound in volt on the rounding of each membrane in replay, (time, batch, *features)."""
        ...

    def output_bounds(self, x: Tensor, reference: Recording, dtype: torch.dtype) -> Tensor:
        """Bound on the rounding of each output in replay, (time, batch, *outputs)."""
        ...


def core_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """A shape without axes of length 1 at its end."""
    core = list(shape)
    while core and core[-1] == 1:
        core.pop()
    return tuple(core)


def _like(value: Tensor, other: Tensor) -> Tensor:
    fits = core_shape(value.shape[2:]) == core_shape(other.shape[2:])
    return value.reshape(*value.shape[:2], *other.shape[2:]) if fits else value
