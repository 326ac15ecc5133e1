r"""Statistics of a layer's membrane, taken while it runs (the paper's Eq. 17-19).

:math:`U_i` is the time mean of the membrane of neuron i (or its final value); over neurons and
batch :math:`\mu_V = \mathrm{mean}(U)` and :math:`\sigma_V` is the population standard deviation.
Moments are kept as (count, mean, M2) in float32 or better and merged pairwise (Chan), so that
micro-batches and processes give what the whole batch would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal

import torch
from torch import Tensor

from mpo_snn.lif import LIFParameters
from mpo_snn.multi_spike import nearest_multiple
from mpo_snn.processes import Group, processes
from mpo_snn.surrogate import coverage, surrogate_derivative

Granularity = Literal["layer", "channel"]
VARIANCE_FLOOR = 1e-12
"""Where a layer does not move, logarithms and roots see this variance (volt squared)."""


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations; scalars for a layer, arrays for its neurons."""

    count: float | Tensor
    mean: Tensor
    m2: Tensor

    @property
    def variance(self) -> Tensor:
        """Population variance."""
        return self.m2 / self.count

    @property
    def sigma(self) -> Tensor:
        """Population standard deviation; its gradient is finite where nothing moves."""
        variance = self.variance
        return variance.clamp(min=VARIANCE_FLOOR).sqrt() * (variance > 0)

    def detached(self) -> Moments:
        """The same values, cut from the graph."""
        return Moments(self.count, self.mean.detach(), self.m2.detach())


def moments(u: Tensor, dim: tuple[int, ...] | None = None) -> Moments:
    """Moments over all elements, or over some axes; differentiable, in float32 or better."""
    u = u if u.dtype == torch.float64 else u.float()
    axes = tuple(range(u.dim())) if dim is None else dim
    if u.is_cuda:
        variance, mean = torch.var_mean(u, axes, correction=0)
        count = u.numel() / mean.numel()
        return Moments(count, mean, variance * count)
    # Shifted by one of the values, in two passes: as exact as torch.var_mean (0 where all values
    # are equal), and many times faster on a CPU.
    first = u[tuple(slice(0, 1) if axis in axes else slice(None) for axis in range(u.dim()))]
    from_shift = u - first.detach()
    mean = from_shift.mean(axes, keepdim=True)
    m2 = (from_shift - mean).square().sum(axes)
    values = (first.detach() + mean).reshape(m2.shape)
    return Moments(u.numel() / m2.numel(), values, m2)


def side_by_side(parts: Sequence[Moments]) -> Moments:
    """Moments of several samples, each 0-d, as vectors."""
    counts = torch.tensor([float(p.count) for p in parts], dtype=parts[0].mean.dtype)
    mean, m2 = torch.stack([p.mean for p in parts]), torch.stack([p.m2 for p in parts])
    return Moments(counts.to(mean.device, non_blocking=True), mean, m2)


def merge(a: Moments, b: Moments) -> Moments:
    """Moments of both samples together (Chan et al. 1983, pairwise update)."""
    count = a.count + b.count
    delta = b.mean - a.mean
    mean = a.mean + delta * (b.count / count)
    m2 = a.m2 + b.m2 + delta * delta * (a.count * b.count / count)
    return Moments(count, mean, m2)


@dataclass(frozen=True)
class Sample:
    """What one sequence through a layer says of its membrane; only `layer` carries a graph.

    Attributes:
        layer: moments of U over neurons and batch, volt; scalars, or one per channel.
        neurons: moments of U over the batch, per neuron; None where nobody asked for them.
        rho: share of U within gamma sigmas of the mean (DAS, Eq. 22), 0-d.
        counted: what `count_shares` gave.
        u: U itself, (batch, *features), without a graph, where other processes add to it
            (`mpo_snn.reduction`); else None.
    """

    layer: Moments
    neurons: Moments | None
    rho: Tensor
    counted: Tensor
    u: Tensor | None = None

    @property
    def coverage(self) -> Tensor:
        """Share of v inside the surrogate's effective support, 0-d; NaN where it has no shape."""
        return self.counted[0]

    @property
    def density(self) -> Tensor:
        """Spikes per neuron, step and sample, 0-d."""
        return self.counted[1]

    @property
    def power(self) -> Tensor:
        """Mean square of the surrogate at v, 0-d; 0 where nobody asked for it."""
        return self.counted[2]

    def detached(self) -> Sample:
        """The same values, cut from the graph."""
        return Sample(self.layer.detached(), self.neurons, self.rho, self.counted)


def combine(a: Sample, b: Sample) -> Sample:
    """Both samples together: moments merged, shares weighted by their counts."""
    weight = b.layer.count / (a.layer.count + b.layer.count)
    neurons = None
    if a.neurons is not None and b.neurons is not None:
        neurons = merge(a.neurons, b.neurons)
    return Sample(
        merge(a.layer, b.layer),
        neurons,
        _between(a.rho, b.rho, weight),
        _between(a.counted, b.counted, weight),
    )


def _between(a: Tensor, b: Tensor, weight: float | Tensor) -> Tensor:
    if isinstance(weight, Tensor):
        return torch.lerp(a, b, weight.to(a.dtype))
    return torch.lerp(a, b, weight)


@torch.no_grad()
def share_inside(u: Tensor, layer: Moments, gamma: float) -> Tensor:
    """rho: share of U, (batch, *features), within gamma sigmas of the mean, 0-d.

    Where the moments are per channel, each U is held against its own channel.
    """
    channels = (-1, *[1] * (u.dim() - 2)) if layer.mean.dim() else ()
    mean, sigma = layer.mean.reshape(channels), layer.sigma.reshape(channels)
    return (u - mean).abs_().le_(gamma * sigma).mean()


def take_sample(
    u: Tensor,
    counted: Tensor,
    gamma: float,
    granularity: Granularity = "layer",
    per_neuron: bool = True,
) -> Sample:
    """Statistics of U, (batch, *features), with the shares that were counted beside it.

    Per channel, the channels are the first axis of the features; rho stays one of the layer, each
    U held against its own channel.
    """
    per_channel = granularity == "channel" and u.dim() > 1
    layer = moments(u, (0, *range(2, u.dim())) if per_channel else None)
    rho = share_inside(u, layer, gamma)
    with torch.no_grad():
        neurons = moments(u, dim=(0,)) if per_neuron else None
    return Sample(layer, neurons, rho, counted)


@torch.no_grad()
def count_shares(v: Tensor, spk: Tensor, p: LIFParameters, power: bool = False) -> Tensor:
    """Coverage, density and (if wanted, else 0) the surrogate's mean square, (3,).

    The surrogate of neurons that fire several times sits at the nearest multiple of the threshold.
    """
    nothing = v.new_zeros((), dtype=torch.float32)
    center = p.threshold
    if p.most_spikes > 1:
        center = center * nearest_multiple(v, p.threshold, p.most_spikes)
    covered = nothing + float("nan")
    if not callable(p.surrogate):
        covered = coverage(v, center, p.slope, p.surrogate)
    if power:
        s = surrogate_derivative(v - center, p.slope, p.surrogate)
        nothing = s.float().square_().mean()
    return torch.stack((covered, spk.float().mean(), nothing))


def observe(
    v: Tensor, spk: Tensor, p: LIFParameters, statistic: str, power: bool
) -> tuple[Tensor, Tensor]:
    """U, (batch, *features), and the shares (3,) of a sequence (time, batch, *features)."""
    # Not v.mean(0): its gradient is written out for every timestep, that of a sum is not.
    u = v.sum(0) / v.shape[0] if statistic == "mean" else v[-1]
    return u, count_shares(v, spk, p, power)


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

    def add_sequence(self, u: Tensor, counted: Tensor) -> None:
        """Take what `observe` gave of a whole sequence."""
        self.add_sample(self.sample(u, counted))

    def add_sample(self, sample: Sample) -> None:
        """Take the sample of a whole sequence."""
        self.close()
        self.open.append(sample)

    def add_step(self, v: Tensor, spk: Tensor, p: LIFParameters) -> None:
        """Add one timestep of a hand-written loop, (batch, *features)."""
        if self._v is not None and self._v.shape != v.shape:
            self.close()
        self._v = v if self._v is None or self.statistic == "final" else self._v + v
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
