"""What compiled scans are asked for and give: the same for those of a CPU and of a GPU."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from mpo_snn.lif import LIFParameters
from mpo_snn.membrane import Sample
from mpo_snn.membrane_record import MembraneRecord
from mpo_snn.moments import Moments
from mpo_snn.processes import processes


class How(NamedTuple):
    """What a scan computes, beside its tensors; see `LIFParameters` and `MembraneRecord`.

    Attributes:
        reset: kind of reset (`mpo_snn.lif`).
        reset_timing: when it acts.
        input_gain: what the current is multiplied by.
        surrogate: shape by name.
        want_membrane: whether membranes are written.
        statistic: U is the `mean` over time or the `final` membrane; `none` for no statistics.
        gamma: half-band of rho, in sigmas.
        power: whether the shares have the mean square of the surrogate.
        per_channel: whether moments are per channel.
        per_neuron: whether every neuron's moments over the batch are taken.
        keep_u: whether U is given.
    """

    reset: str
    reset_timing: str
    input_gain: str
    surrogate: str
    want_membrane: bool = True
    statistic: str = "none"
    gamma: float = 1.0
    power: bool = False
    per_channel: bool = False
    per_neuron: bool = False
    keep_u: bool = False


class Found(NamedTuple):
    """What a scan gives; None where nobody asked for it.

    Attributes:
        spk: spikes, (time, batch, *features), of the type of the current.
        v: membranes before reset.
        mean: of U, () or (channels,).
        m2: sum of squared deviations of U from it.
        shares: coverage, density, power and rho, (4,).
        neurons: mean and squared deviations of U over the batch, (2, *features).
        u: U, (batch, *features).
    """

    spk: Tensor
    v: Tensor | None = None
    mean: Tensor | None = None
    m2: Tensor | None = None
    shares: Tensor | None = None
    neurons: Tensor | None = None
    u: Tensor | None = None


class Given(NamedTuple):
    """Gradients by what a scan gave; None for none."""

    spk: Tensor | None = None
    v: Tensor | None = None
    mean: Tensor | None = None
    m2: Tensor | None = None


def how_of(p: LIFParameters, want_membrane: bool) -> How:
    """A scan of a layer without statistics."""
    return How(p.reset, p.reset_timing, p.input_gain, str(p.surrogate), want_membrane)


def how_sampled(
    current: Tensor, p: LIFParameters, record: MembraneRecord, want_membrane: bool
) -> How:
    """A scan of a current, (time, batch, *features), with what a record takes of it."""
    return How(
        p.reset,
        p.reset_timing,
        p.input_gain,
        str(p.surrogate),
        want_membrane,
        record.statistic,
        record.gamma,
        record.power,
        record.granularity == "channel" and current.dim() > 2,
        record.per_neuron,
        processes(record.group) > 1,
    )


def without_gradient(found: Found) -> tuple[Any, ...]:
    """What of the found nobody differentiates."""
    return tuple(x for x in found[4:] if x is not None)


def sample_of(found: Found, current: Tensor, how: How) -> Sample:
    """The sample of a scan with statistics."""
    mean, m2, shares = found.mean, found.m2, found.shares
    assert mean is not None and m2 is not None and shares is not None
    neurons = None
    if how.per_neuron and found.neurons is not None:
        neurons = Moments(current.shape[1], *found.neurons.unbind())
    layer = Moments(current.numel() / current.shape[0] / mean.numel(), mean, m2)
    return Sample(layer, neurons, shares, found.u if how.keep_u else None)
