"""The record of a comparison, and its verdict.

Equal means: no unexplained difference in either precision, outputs of the last layer equal to
rounding, and the same predictions; in float32 alone a prediction may differ for a sample in which
spikes do. A deep network carries one rounding at threshold into ever more spikes. How the figures
come about is in `mpo_snn.export.compare`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from .replay import LayerReplay, Place


@dataclass
class LayerTally:
    """Free run of one layer, summed over all batches."""

    layer: str
    neurons: int = 0
    entries: int = 0
    differing: int = 0
    both: int = 0
    either: int = 0
    by_timestep: list[int] = field(default_factory=list)
    first: Place | None = None
    replay: LayerReplay = field(default_factory=LayerReplay)

    @property
    def identical(self) -> float:
        """Share of identical entries."""
        return 1.0 - self.differing / self.entries if self.entries else 1.0

    @property
    def jaccard(self) -> float:
        """Spikes in both over spikes in either; 1 where neither spikes.

        Of neurons that fire several times, the smaller number is in both, the larger in either.
        """
        return self.both / self.either if self.either else 1.0

    def add(self, a: Tensor, b: Tensor, first_sample: int) -> None:
        """Compare one batch, bool or numbers of spikes, (time, batch, *features)."""
        differs = a != b
        self.neurons = int(a[0, 0].numel())
        self.entries += a.numel()
        self.differing += int(differs.sum())
        now = differs.flatten(1).sum(1).tolist()
        before = self.by_timestep or [0] * len(now)
        self.by_timestep = [old + new for old, new in zip(before, now, strict=True)]
        self.both += int(torch.minimum(a, b).sum())
        self.either += int(torch.maximum(a, b).sum())
        if bool(differs.any()):
            t, sample, *neuron = differs.nonzero()[0].tolist()
            if self.first is None or t < self.first.timestep:
                self.first = Place(self.layer, t, sample + first_sample, tuple(neuron))


@dataclass
class PrecisionResult:
    """Comparison in one precision."""

    precision: str
    layers: list[LayerTally]
    samples: int = 0
    predictions_differing: int = 0
    predictions_unexplained: int = 0
    output_difference: float = 0.0
    output_first: Place | None = None

    @property
    def first_divergence(self) -> Place | None:
        """Where the first layer that computes something else does so first."""
        for layer in self.layers:
            if layer.replay.first_unexplained is not None:
                return layer.replay.first_unexplained
        return self.output_first

    @property
    def unattributed(self) -> bool:
        """Whether the free runs differ although every layer replays the same."""
        roots = sum(layer.replay.roots for layer in self.layers)
        return roots == 0 and any(layer.differing for layer in self.layers)

    @property
    def is_equal(self) -> bool:
        """No unexplained difference, in predictions neither."""
        return (
            self.first_divergence is None
            and not self.unattributed
            and self.predictions_unexplained == 0
        )


@dataclass
class Equivalence:
    """The whole record of a comparison."""

    first: str
    second: str
    data: str
    samples: int
    timesteps: int
    results: list[PrecisionResult]

    @property
    def is_equal(self) -> bool:
        """The verdict."""
        return bool(self.results) and all(result.is_equal for result in self.results)

    @property
    def silent_layers(self) -> tuple[str, ...]:
        """Layers in which no neuron fired: neither their reset nor their threshold was met."""
        if not self.results:
            return ()
        heard = {tally.layer for result in self.results for tally in result.layers if tally.either}
        return tuple(t.layer for t in self.results[0].layers if t.layer not in heard)

    @property
    def first_divergence(self) -> Place | None:
        """Where the first unexplained difference is, in the finest precision that shows one."""
        places = [r.first_divergence for r in self.results]
        return next((place for place in places if place is not None), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; neurons as index lists, timesteps from 0."""
        return {
            "equal": self.is_equal,
            "first": self.first,
            "second": self.second,
            "data": self.data,
            "samples": self.samples,
            "timesteps": self.timesteps,
            "first_divergence": _plain(self.first_divergence),
            **{result.precision: _precision_dict(result) for result in self.results},
        }


def _precision_dict(result: PrecisionResult) -> dict[str, Any]:
    return {
        "equal": result.is_equal,
        "samples": result.samples,
        "predictions_differing": result.predictions_differing,
        "predictions_unexplained": result.predictions_unexplained,
        "output_difference": result.output_difference,
        "first_divergence": _plain(result.first_divergence),
        "differing_by_timestep": {
            tally.layer: tally.by_timestep for tally in result.layers if tally.differing
        },
        "roots_by_distance": {
            tally.layer: tally.replay.distances for tally in result.layers if tally.replay.distances
        },
        "layers": [
            {
                "layer": tally.layer,
                "neurons": tally.neurons,
                "entries": tally.entries,
                "spikes_in_both": tally.both,
                "spikes_in_either": tally.either,
                "differing": tally.differing,
                "identical": tally.identical,
                "jaccard": tally.jaccard,
                "first_difference": _plain(tally.first),
                "membrane_difference": tally.replay.membrane_difference,
                "roots": tally.replay.roots,
                "unexplained": tally.replay.unexplained,
                "listed_roots": [
                    {**asdict(root), "explained": root.is_explained} for root in tally.replay.listed
                ],
            }
            for tally in result.layers
        ],
    }


def _plain(place: Place | None) -> dict[str, Any] | None:
    return None if place is None else {**asdict(place), "neuron": list(place.neuron)}
