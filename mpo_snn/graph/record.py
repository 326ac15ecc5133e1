"""What a simulation keeps of the nodes that it passes through."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, get_args

import torch
from torch import Tensor

from mpo_snn.errors import GraphError

from .counts import Counts
from .fan_out import FanOut

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
        several: those nodes that fire several times in a step; their spikes are kept as int16.
        fan_out: see `Simulator.run`.

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
        several: Collection[str] = (),
        fan_out: Mapping[str, FanOut] | None = None,
    ) -> None:
        """Set everything to zero."""
        if record not in RECORDS:
            allowed = ", ".join(repr(kind) for kind in RECORDS)
            raise GraphError(f"cannot record {record!r}, expected one of {allowed}")
        self.timesteps = timesteps
        self.counts: dict[str, Counts] = {}
        self.spikes: dict[str, Tensor] = {}
        self.v: dict[str, Tensor] = {}
        self.keeps_v = record == "membrane"
        for name, shape in shapes.items():
            if record != "none":
                each = (fan_out or {}).get(name)
                self.counts[name] = Counts.zeros(shape, batch, device, each)
            if record in ("spikes", "membrane"):
                kind = torch.int16 if name in several else torch.bool
                self.spikes[name] = torch.empty(timesteps, batch, *shape, dtype=kind, device=device)
            if self.keeps_v:
                self.v[name] = torch.empty(timesteps, batch, *shape, dtype=dtype, device=device)

    def add(
        self,
        name: str,
        spk: Tensor,
        v: Tensor | None,
        start: int,
        stop: int,
        *,
        counted: bool = False,
    ) -> None:
        """Take the steps `start` to `stop` of a node.

        A time axis of length 1 stands for the same value in all of them. `counted`: its spikes are
        in `counts` already.
        """
        if name not in self.counts:
            return
        if not counted:
            self.counts[name].add(spk, (stop - start) // len(spk))
        if name in self.spikes:
            kept = self.spikes[name]
            kept[start:stop] = spk > 0 if kept.dtype == torch.bool else spk
        if self.keeps_v:
            assert v is not None
            self.v[name][start:stop] = v
