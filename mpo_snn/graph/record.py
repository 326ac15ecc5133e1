"""What a simulation keeps of the nodes that it passes through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import torch
from torch import Tensor

from mpo_snn.errors import GraphError

Record = Literal["none", "counts", "spikes", "membrane"]
RECORDS: tuple[Record, ...] = get_args(Record)


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
        over_time = spk.sum(0) * repeats  # whole numbers, exact up to 2^24 timesteps
        self.counts[name] += over_time.sum(0, dtype=torch.float64)
        self.sample_counts[name] += over_time.flatten(1).sum(1, dtype=torch.float64)
        if name in self.spikes:
            self.spikes[name][start:stop] = spk > 0
        if self.keeps_v:
            assert v is not None
            self.v[name][start:stop] = v
