r"""Statistics of a layer's membrane, taken while it runs (the paper's Eq. 17-19).

:math:`U_i` is the time mean of the membrane of neuron i (or its final value); over neurons and
batch :math:`\mu_V = \mathrm{mean}(U)` and :math:`\sigma_V` is the population standard deviation
(`mpo_snn.moments`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mpo_snn.kernels import counts_in_one_pass
from mpo_snn.lif import LIFParameters
from mpo_snn.moments import Moments, exact, merge, moments
from mpo_snn.multi_spike import nearest_multiple
from mpo_snn.surrogate import coverage, surrogate_derivative

Granularity = Literal["layer", "channel"]


@dataclass(frozen=True)
class Sample:
    """What one sequence through a layer says of its membrane; only `layer` carries a graph.

    Attributes:
        layer: moments of U over neurons and batch, volt; scalars, or one per channel.
        neurons: moments of U over the batch, per neuron; None where nobody asked for them.
        shares: what `count_shares` gave, and rho, (4,).
        u: U itself, (batch, *features), without a graph, where other processes add to it
            (`mpo_snn.reduction`); else None.
    """

    layer: Moments
    neurons: Moments | None
    shares: Tensor
    u: Tensor | None = None

    @property
    def coverage(self) -> Tensor:
        """Share of v inside the surrogate's effective support, 0-d; NaN where it has no shape."""
        return self.shares[0]

    @property
    def density(self) -> Tensor:
        """Spikes per neuron, step and sample, 0-d."""
        return self.shares[1]

    @property
    def power(self) -> Tensor:
        """Mean square of the surrogate at v, 0-d; 0 where nobody asked for it."""
        return self.shares[2]

    @property
    def rho(self) -> Tensor:
        """Share of U within gamma sigmas of the mean (DAS, Eq. 22), 0-d."""
        return self.shares[3]

    def detached(self) -> Sample:
        """The same values, cut from the graph."""
        return Sample(self.layer.detached(), self.neurons, self.shares)


def combine(a: Sample, b: Sample) -> Sample:
    """Both samples together: moments merged, shares weighted by their counts."""
    weight = b.layer.count / (a.layer.count + b.layer.count)
    neurons = None
    if a.neurons is not None and b.neurons is not None:
        neurons = merge(a.neurons, b.neurons)
    return Sample(merge(a.layer, b.layer), neurons, _between(a.shares, b.shares, weight))


def _between(a: Tensor, b: Tensor, weight: float | Tensor) -> Tensor:
    if isinstance(weight, Tensor):
        return torch.lerp(a, b, weight.to(a.dtype))
    return torch.lerp(a, b, weight)


@torch.no_grad()
def share_inside(u: Tensor, layer: Moments, gamma: float) -> Tensor:
    """rho: share of U, (batch, *features), within gamma sigmas of the mean, 0-d.

    Where the moments are per channel, each U is held against its own channel.
    """
    if counts_in_one_pass(u):
        from mpo_snn.kernels.triton_statistics import share_inside_triton

        return share_inside_triton(u, layer, gamma)
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
    return Sample(layer, neurons, torch.cat((counted, rho.to(counted.dtype).reshape(1))))


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
    kind = exact(v.dtype)
    u = v.sum(0, dtype=kind) / v.shape[0] if statistic == "mean" else v[-1].to(kind)
    return u, count_shares(v, spk, p, power)
