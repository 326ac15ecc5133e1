r"""Statistics of a layer's membrane, taken while it runs (the paper's Eq. 17-19).

:math:`U_i` is the time mean of the membrane of neuron i (or its final value); over neurons and
batch :math:`\mu_V = \mathrm{mean}(U)` and :math:`\sigma_V` is the population standard deviation.
Moments are kept as (count, mean, M2) in float32 or better and merged pairwise (Chan), so that
micro-batches and processes give what the whole batch would.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mpo_snn.lif import LIFParameters
from mpo_snn.surrogate import coverage

VARIANCE_FLOOR = 1e-12
"""Where a layer does not move, logarithms and roots see this variance (volt squared)."""


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations; scalars for a layer, arrays for its neurons."""

    count: float
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
        return torch.where(variance > 0, variance.clamp(min=VARIANCE_FLOOR).sqrt(), 0.0 * variance)

    def detached(self) -> Moments:
        """The same values, cut from the graph."""
        return Moments(self.count, self.mean.detach(), self.m2.detach())


def moments(u: Tensor, dim: int | None = None) -> Moments:
    """Moments over all elements, or over one axis; differentiable, in float32 or better."""
    u = u if u.dtype == torch.float64 else u.float()
    axes = tuple(range(u.dim())) if dim is None else (dim,)
    count = u.numel() if dim is None else u.shape[dim]
    # Shifted by one of the values, in two passes: as exact as torch.var_mean (0 where all values
    # are equal), and many times faster on a CPU.
    shift = (u[(0,) * u.dim()] if dim is None else u.select(dim, 0)).detach()
    from_shift = u - shift if dim is None else u - shift.unsqueeze(dim)
    mean = from_shift.mean(axes, keepdim=True)
    m2 = (from_shift - mean).square().sum(axes)
    return Moments(float(count), shift + mean.reshape(shift.shape), m2)


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
        layer: moments of U over neurons and batch, volt.
        neurons: moments of U over the batch, per neuron.
        rho: share of U within gamma sigmas of the mean (DAS, Eq. 22), 0-d.
        coverage: share of v inside the surrogate's effective support, 0-d.
        density: spikes per neuron, step and sample, 0-d.
    """

    layer: Moments
    neurons: Moments
    rho: Tensor
    coverage: Tensor
    density: Tensor

    def detached(self) -> Sample:
        """The same values, cut from the graph."""
        return Sample(self.layer.detached(), self.neurons, self.rho, self.coverage, self.density)


def combine(a: Sample, b: Sample) -> Sample:
    """Both samples together: moments merged, shares weighted by their counts."""
    weight = b.layer.count / (a.layer.count + b.layer.count)
    return Sample(
        merge(a.layer, b.layer),
        merge(a.neurons, b.neurons),
        torch.lerp(a.rho, b.rho, weight),
        torch.lerp(a.coverage, b.coverage, weight),
        torch.lerp(a.density, b.density, weight),
    )


def take_sample(u: Tensor, covered: Tensor, density: Tensor, gamma: float) -> Sample:
    """Statistics of U, (batch, *features), with the shares that were counted beside it."""
    layer = moments(u)
    with torch.no_grad():
        rho = (u - layer.mean).abs_().le_(gamma * layer.sigma).mean()
        neurons = moments(u, dim=0)
    return Sample(layer, neurons, rho, covered, density)


class MembraneRecord:
    """Collects samples of one neuron layer while it trains.

    A scan is a sequence of its own. Single steps, as a hand-written loop makes them, are summed
    until `close` (which `MPO.regularizer`, `MPO.step` and `reset_mem` call) or until the shape of
    the membrane changes.
    """

    def __init__(self, statistic: str, gamma: float) -> None:
        """Collect U as the time `mean` or the `final` value; `gamma` is the half-band of rho."""
        self.statistic, self.gamma = statistic, gamma
        self.open: Sample | None = None
        self.read: Sample | None = None
        self._v: Tensor | None = None
        self._covered: Tensor | float = 0.0
        self._density: Tensor | float = 0.0
        self._steps = 0

    def fresh(self) -> MembraneRecord:
        """An empty record with the same settings."""
        return MembraneRecord(self.statistic, self.gamma)

    def add_sequence(self, v: Tensor, spk: Tensor, p: LIFParameters) -> None:
        """Take the statistics of v and spk, (time, batch, *features)."""
        self.close()
        # Not v.mean(0): its gradient is written out for every timestep, that of a sum is not.
        u = v.sum(0) / v.shape[0] if self.statistic == "mean" else v[-1]
        with torch.no_grad():
            covered, density = coverage(v, p.threshold, p.slope), spk.float().mean()
        self._add(take_sample(u, covered, density, self.gamma))

    def add_step(self, v: Tensor, spk: Tensor, p: LIFParameters) -> None:
        """Add one timestep of a hand-written loop, (batch, *features)."""
        if self._v is not None and self._v.shape != v.shape:
            self.close()
        self._v = v if self._v is None or self.statistic == "final" else self._v + v
        with torch.no_grad():
            self._covered = self._covered + coverage(v, p.threshold, p.slope)
            self._density = self._density + spk.float().mean()
        self._steps += 1

    def close(self) -> None:
        """End the sequence of single steps, if one is open."""
        if self._v is None:
            return
        u = self._v / self._steps if self.statistic == "mean" else self._v
        covered, density = self._covered / self._steps, self._density / self._steps
        self._clear_steps()
        self._add(take_sample(u, torch.as_tensor(covered), torch.as_tensor(density), self.gamma))

    def take_open(self) -> Sample | None:
        """The sample since the last call, with its graph; its values stay for `take_all`."""
        self.close()
        sample, self.open = self.open, None
        if sample is not None:
            values = sample.detached()
            self.read = values if self.read is None else combine(self.read, values)
        return sample

    def take_all(self) -> Sample | None:
        """Everything since the last call, without a graph; the record is empty afterwards."""
        self.take_open()
        sample, self.read = self.read, None
        return sample

    def _add(self, sample: Sample) -> None:
        self.open = sample if self.open is None else combine(self.open, sample)

    def _clear_steps(self) -> None:
        self._v, self._steps = None, 0
        self._covered, self._density = 0.0, 0.0
