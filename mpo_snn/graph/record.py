"""What a simulation keeps of the nodes that it passes through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import torch
from torch import Tensor

from mpo_snn.errors import GraphError

Record = Literal["none", "counts", "spikes", "membrane"]
RECORDS: tuple[Record, ...] = get_args(Record)

EXACT = 2**24
"""Up to here float32 has every whole number."""


class Recorder:
    """Collects spike counts, spikes and membranes of the spiking nodes over chunks of timesteps.

    Args:
        record: "none"; "counts", in memory that does not grow with time; "spikes", the counts and
            every spike; "membrane", all this and the membrane before reset.
        shapes: the shape of each spiking node.
        timesteps: the number of all steps.
        batch: the number of samples.
        dtype: that of the membranes.
        device: where to keep everything.

    Raises:
        GraphError: if `record` is none of these.
    """

    def __init__(
        self,
        record: Record,
        shapes: dict[str, tuple[int, ...]],
        timesteps: int,
        batch: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        """Set everything to zero."""
        if record not in RECORDS:
            allowed = ", ".join(repr(kind) for kind in RECORDS)
            raise GraphError(f"cannot record {record!r}, expected one of {allowed}")
        self.timesteps = timesteps
        self.counts: dict[str, Tensor] = {}
        self.sample_counts: dict[str, Tensor] = {}
        self.spikes: dict[str, Tensor] = {}
        self.v: dict[str, Tensor] = {}
        self.keeps_v = record == "membrane"
        self.names: Iterable[str] = () if record == "none" else frozenset(shapes)
        for name, shape in shapes.items():
            if record != "none":
                self.counts[name] = torch.zeros(shape, dtype=torch.float64, device=device)
                self.sample_counts[name] = torch.zeros(batch, dtype=torch.float64, device=device)
            if record in ("spikes", "membrane"):
                self.spikes[name] = torch.empty(
                    timesteps, batch, *shape, dtype=torch.bool, device=device
                )
            if self.keeps_v:
                self.v[name] = torch.empty(timesteps, batch, *shape, dtype=dtype, device=device)

    def add(self, name: str, spk: Tensor, v: Tensor | None, start: int, stop: int) -> None:
        """Take the steps `start` to `stop` of a node.

        A time axis of length 1 stands for the same value in all of them.
        """
        if name not in self.names:
            return
        repeats = (stop - start) // len(spk)
        of_neurons, of_samples = _sums(spk.sum(0).flatten(1), len(spk))
        self.counts[name].add_(of_neurons.reshape(self.counts[name].shape), alpha=repeats)
        self.sample_counts[name].add_(of_samples, alpha=repeats)
        if name in self.spikes:
            self.spikes[name][start:stop] = spk > 0
        if self.keeps_v:
            assert v is not None
            self.v[name][start:stop] = v


def _sums(x: Tensor, largest: int) -> tuple[Tensor, Tensor]:
    """Sums over the rows and over the columns of whole numbers from 0 to `largest`, exactly.

    As products with ones, which reads `x` several times faster than a sum in float64, where no
    partial sum can be more than float32 holds.
    """
    rows, columns = x.shape
    if largest * max(rows, columns) > EXACT:
        return x.sum(0, dtype=torch.float64), x.sum(1, dtype=torch.float64)
    ones = x.new_ones(max(rows, columns))
    return ones[:rows] @ x, x @ ones[:columns]
