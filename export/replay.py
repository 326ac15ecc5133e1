"""Layer replay: which differences between two runs are rounding, and which are not.

Each layer is fed with the first run's recorded spikes, so that one flip does not cascade. There a
neuron's FIRST difference must lie within the rounding bound of its threshold, in both runs; what
follows in that neuron, and downstream in a free run, is attributed to it. In float64 the membranes
are compared as well, up to each neuron's first difference: that finds damage which happens not to
flip a spike on this data.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .recording import Recording, Replayable
from .threshold_rounding import ThresholdRounding

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
"""Distance from threshold, relative to it, that rounding explains without further proof."""
SINGLE = dict.fromkeys(TOLERANCE, TOLERANCE[torch.float32])
"""The same for a file whose numbers are float32's: it was rounded before anything was run."""
LISTED_ROOTS = 20
CLOSEST, FARTHEST = 1e-17, 1e3
"""Distances outside count as these."""


@dataclass(frozen=True)
class Place:
    """Where something happened; `neuron` is the index within the layer."""

    layer: str
    timestep: int
    sample: int
    neuron: tuple[int, ...]


@dataclass(frozen=True)
class Root:
    """A neuron's first difference in replay.

    Attributes:
        place: where.
        distance: of the membrane from threshold, relative to it, the larger of both runs.
        bound: what rounding explains there, relative to threshold.
    """

    place: Place
    distance: float
    bound: float

    @property
    def is_explained(self) -> bool:
        """Whether rounding accounts for it."""
        return self.distance <= self.bound


@dataclass
class LayerReplay:
    """What replay found in one layer, over all batches.

    `distances` counts its roots by the power of ten of their distance from threshold, "-7" for
    1e-7 to 1e-6.
    """

    roots: int = 0
    unexplained: int = 0
    membrane_difference: float = 0.0
    distances: dict[str, int] = field(default_factory=dict)
    first_unexplained: Place | None = None
    listed: list[Root] = field(default_factory=list)

    def count(self, distances: Tensor) -> None:
        """Count roots at these distances, relative to threshold."""
        bounded = torch.nan_to_num(distances, nan=FARTHEST).clamp(CLOSEST, FARTHEST)
        for decade, count in Counter(bounded.log10().floor().int().tolist()).items():
            self.distances[str(decade)] = self.distances.get(str(decade), 0) + count

    def note(self, place: Place) -> None:
        """Keep the earliest unexplained place."""
        first = self.first_unexplained
        if first is None or place.timestep < first.timestep:
            self.first_unexplained = place


def replay_layers(
    source: Replayable,
    x: Tensor,
    reference: Recording,
    free: Recording,
    dtype: torch.dtype,
    results: dict[str, LayerReplay],
    first_sample: int,
    tolerance: float,
    rounding: ThresholdRounding | None = None,
) -> Recording:
    """Replay one batch and add what it shows to `results`; returns the replayed recording.

    `tolerance` is the distance from threshold, relative to it, that rounding explains; `rounding`
    says what a source whose thresholds were rounded themselves may differ by besides.

    Where the source's free run fired the reference's spikes, it is the replay already.
    """
    is_same = all(torch.equal(reference.spikes[layer], free.spikes[layer]) for layer in results)
    replayed = free if is_same else source.replay(x, dtype, reference)
    thresholds = source.thresholds()
    bounds: dict[str, Tensor] | None = None
    for layer, result in results.items():
        threshold = thresholds[layer].reshape(reference.v[layer].shape[2:])
        theta = threshold.abs().clamp(min=torch.finfo(torch.float64).tiny)
        a, b = reference.v[layer].double(), replayed.v[layer].double()
        fired, again = reference.spikes[layer], replayed.spikes[layer]
        differs = fired != again
        earlier = differs.cumsum(0) - differs.long()
        # Where numbers of spikes differ by one, rounding carried v over so many thresholds.
        crossed = torch.maximum(fired, again).to(torch.int16).clamp(min=1) * threshold
        distance = torch.maximum((a - crossed).abs(), (b - crossed).abs()) / theta
        bound, near = torch.full_like(distance, tolerance), torch.full_like(distance, tolerance)
        if rounding is not None:
            bound, near = bound + rounding.of_spikes(fired), near + rounding.of_membranes(fired)
        is_root = differs & (earlier == 0)
        if dtype == torch.float32 and bool((is_root & ~(distance <= bound)).any()):
            bounds = bounds or source.membrane_bounds(x, reference, dtype)
            bound = torch.maximum(bound, bounds[layer] / theta)
        _add_roots(result, layer, is_root, distance, bound, first_sample)
        gap = torch.where(earlier == 0, (a - b).abs() / torch.maximum(theta, a.abs()), 0.0)
        result.membrane_difference = max(result.membrane_difference, _largest(gap))
        if dtype == torch.float64:
            for place in _places(layer, ~(gap <= near), first_sample):
                result.note(place)
    return replayed


def _add_roots(
    result: LayerReplay,
    layer: str,
    is_root: Tensor,
    distance: Tensor,
    bound: Tensor,
    first_sample: int,
) -> None:
    unexplained = is_root & ~(distance <= bound)
    result.roots += int(is_root.sum())
    result.count(distance[is_root])
    result.unexplained += int(unexplained.sum())
    for place in _places(layer, unexplained, first_sample):
        result.note(place)
    for index in is_root.nonzero()[: max(0, LISTED_ROOTS - len(result.listed))].tolist():
        at = tuple(index)
        place = Place(layer, at[0], at[1] + first_sample, at[2:])
        result.listed.append(Root(place, float(distance[at]), float(bound[at])))


def _places(layer: str, mask: Tensor, first_sample: int) -> list[Place]:
    """The earliest place where the mask holds, if any."""
    if not bool(mask.any()):
        return []
    t, sample, *neuron = mask.nonzero()[0].tolist()
    return [Place(layer, t, sample + first_sample, tuple(neuron))]


def _largest(gap: Tensor) -> float:
    """Maximum, with NaN counted as infinite."""
    return float(torch.nan_to_num(gap, nan=float("inf")).max()) if gap.numel() else 0.0
