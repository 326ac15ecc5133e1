"""What a neuron layer keeps of its membrane while it trains, sequence by sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import torch
from torch import Tensor

from mpo_snn.lif import LIFParameters
from mpo_snn.membrane import Granularity, Sample, combine, count_shares, take_sample
from mpo_snn.moments import exact
from mpo_snn.processes import Group, processes


class MembraneRecord:
    """Collects samples of one neuron layer while it trains.

    A scan is a sequence of its own. Single steps, as a hand-written loop makes them, are summed
    until `close` (which `MPO.regularizer`, `MPO.step` and `reset_mem` call) or until the shape of
    the membrane changes.
    """

    def __init__(
        self,
        statistic: str,
        gamma: float,
        granularity: Granularity = "layer",
        power: bool = False,
        per_neuron: bool = True,
        group: Group | None = None,
    ) -> None:
        """Collect U as the time `mean` or the `final` value; `gamma` is the half-band of rho.

        `granularity` is that of the layer's moments; `power` takes the surrogate's mean square too,
        `per_neuron` the moments of every neuron. Where `group` has several processes, samples keep
        their U.
        """
        self.statistic, self.gamma = statistic, gamma
        self.granularity: Granularity = granularity
        self.power, self.per_neuron = power, per_neuron
        self.group = group
        self.open: list[Sample] = []
        self.read: Sample | None = None
        self._v: Tensor | None = None
        self._counted: Tensor | float = 0.0
        self._steps = 0

    def fresh(self) -> MembraneRecord:
        """An empty record with the same settings."""
        return MembraneRecord(
            self.statistic, self.gamma, self.granularity, self.power, self.per_neuron, self.group
        )

    def add_sample(self, sample: Sample) -> None:
        """Take the sample of a whole sequence."""
        self.close()
        self.open.append(sample)

    def add_step(self, v: Tensor, spk: Tensor, p: LIFParameters) -> None:
        """Add one timestep of a hand-written loop, (batch, *features)."""
        if self._v is not None and self._v.shape != v.shape:
            self.close()
        now = v.to(exact(v.dtype))
        self._v = now if self._v is None or self.statistic == "final" else self._v + now
        self._counted = self._counted + count_shares(v, spk, p, self.power)
        self._steps += 1

    def close(self) -> None:
        """End the sequence of single steps, if one is open."""
        if self._v is None:
            return
        u = self._v / self._steps if self.statistic == "mean" else self._v
        counted = torch.as_tensor(self._counted / self._steps)
        self._v, self._counted, self._steps = None, 0.0, 0
        self.open.append(self.sample(u, counted))

    @property
    def has_open(self) -> bool:
        """Whether there is a sequence that nobody has taken."""
        return bool(self.open) or self._v is not None

    def take_sequences(self) -> list[Sample]:
        """The samples of all sequences since the last call, with their graphs."""
        self.close()
        samples, self.open = self.open, []
        return samples

    def note(self, samples: Sequence[Sample]) -> Sample | None:
        """These samples as one, with its graph; its values stay for `take_all`."""
        if not samples:
            return None
        sample = reduce(combine, samples)
        values = sample.detached()
        self.read = values if self.read is None else combine(self.read, values)
        return sample

    def take_open(self) -> Sample | None:
        """The sample since the last call, with its graph; its values stay for `take_all`."""
        return self.note(self.take_sequences())

    def take_all(self) -> Sample | None:
        """Everything since the last call, without a graph; the record is empty afterwards."""
        self.take_open()
        sample, self.read = self.read, None
        return sample

    def sample(self, u: Tensor, counted: Tensor) -> Sample:
        """What this record wants to know of what `observe` gave."""
        sample = take_sample(u, counted, self.gamma, self.granularity, self.per_neuron)
        return replace(sample, u=u.detach()) if processes(self.group) > 1 else sample
