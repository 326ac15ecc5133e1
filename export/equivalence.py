"""Whether a graph computes what a network computes, spike for spike, measured on real samples.

Two runs of the same input, in float64 and in float32:

- free run: share of identical (neuron, step, sample) entries AND Jaccard index (spikes in both /
  spikes in either) per layer. Both, because a share flatters sparse spiking: a layer that never
  fires is nearly identical to one that rarely does;
- layer replay (`replay`): every difference is either rounding at threshold, and listed, or
  unexplained.

Equal means: no unexplained difference in either precision, outputs of the last layer equal to
rounding, and the same predictions; in float32 alone a prediction may differ for a sample in which
spikes do. A deep network carries one rounding at threshold into ever more spikes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from mpo_snn.data.dataset import Samples
from mpo_snn.encoding import encode
from mpo_snn.errors import ExportError
from mpo_snn.readout import read_out

from .replay import TOLERANCE, LayerReplay, Place, replay_layers
from .sources import Recording, Replayable, Source, core_shape

PRECISIONS = (torch.float64, torch.float32)
BATCH_LIMIT = 128
BATCH_BYTES = 2 * 1024**3
BYTES_PER_VALUE = 48
"""Of a neuron at a timestep: membranes and spikes of both runs in float64, and working space."""


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
        """Spikes in both over spikes in either; 1 where neither spikes."""
        return self.both / self.either if self.either else 1.0

    def add(self, a: Tensor, b: Tensor, first_sample: int) -> None:
        """Compare one batch, bool, (time, batch, *features)."""
        differs = a ^ b
        self.neurons = int(a[0, 0].numel())
        self.entries += a.numel()
        self.differing += int(differs.sum())
        now = differs.flatten(1).sum(1).tolist()
        before = self.by_timestep or [0] * len(now)
        self.by_timestep = [old + new for old, new in zip(before, now, strict=True)]
        self.both += int((a & b).sum())
        self.either += int((a | b).sum())
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


def compare(
    first: Source,
    second: Replayable,
    samples: Samples,
    timesteps: int,
    *,
    encoding: str = "direct",
    readout: str = "mean",
    data: str = "",
    batch_size: int | None = None,
    tolerance: Mapping[torch.dtype, float] = TOLERANCE,
) -> Equivalence:
    """Compare a graph or model with a network or another of its kind.

    A source that can be given so many samples in a precision (`limit`) is given the first ones.

    Args:
        first: what is taken as the truth; its spikes are replayed.
        second: what is under test, such as a graph.
        samples: (samples, *features), before encoding.
        timesteps: T.
        encoding: how samples become input.
        readout: how outputs become a prediction.
        data: what the samples are, for the record.
        batch_size: samples at a time; results do not depend on it. None chooses by memory.
        tolerance: distance from threshold, relative to it, that rounding explains, by precision.

    Raises:
        ExportError: if the two do not have the same layers and shapes, there are no samples, or no
            precision in which both run.
    """
    if not len(samples):
        raise ExportError("cannot compare on no samples at all.")
    layers = first.layers()
    _check_layers(first, second, layers)
    batch_size = batch_size or _batch_size(second, timesteps)
    results = []
    for dtype in PRECISIONS:
        limit = _common_limit(first, second, dtype)
        if limit == 0:
            continue
        result = PrecisionResult(str(dtype).removeprefix("torch."), [LayerTally(n) for n in layers])
        for start, batch in _batches(samples[:limit], batch_size):
            x = encode(batch, timesteps, encoding)
            _compare_batch(first, second, x, dtype, readout, start, result, tolerance[dtype])
        results.append(result)
    if not results:
        raise ExportError(
            f"cannot compare {first.title} with {second.title}: where layers of one are not in the"
            " other, float64 decides, and a model in float32 does not run there. Compare files of"
            " the same layers, or with the NIR file that the model was made from."
        )
    return Equivalence(first.title, second.title, data, len(samples), timesteps, results)


def _compare_batch(
    first: Source,
    second: Replayable,
    x: Tensor,
    dtype: torch.dtype,
    readout: str,
    start: int,
    result: PrecisionResult,
    tolerance: float,
) -> None:
    a, b = first.run(x, dtype), second.run(x, dtype)
    _check_shapes(first, second, a, b)
    b = b.like(a)
    for tally in result.layers:
        tally.add(a.spikes[tally.layer], b.spikes[tally.layer], start)
    replays = {tally.layer: tally.replay for tally in result.layers}
    replayed = replay_layers(second, x, a, b, dtype, replays, start, tolerance)
    _compare_outputs(a.output.double(), replayed.output.double(), tolerance, start, result)
    scores_a, scores_b = (
        read_out(r.output, readout) if r.scores is None else r.scores for r in (a, b)
    )
    differs = scores_a.flatten(1).argmax(1) != scores_b.flatten(1).argmax(1)
    result.predictions_differing += int(differs.sum())
    if dtype == torch.float32:
        differs &= ~_samples_that_differ(a, b)
    result.predictions_unexplained += int(differs.sum())
    result.samples += x.shape[1]


def _samples_that_differ(a: Recording, b: Recording) -> Tensor:
    """Samples in which some spike does, bool, (batch,)."""
    none = torch.zeros(a.output.shape[1], dtype=torch.bool, device=a.output.device)
    layers = [(a.spikes[n] ^ b.spikes[n]).flatten(2).any(2).any(0) for n in a.spikes]
    return torch.stack([none, *layers]).any(0)


def _compare_outputs(
    a: Tensor, b: Tensor, tolerance: float, start: int, result: PrecisionResult
) -> None:
    """Outputs on the same spikes, relative to the largest output of the batch."""
    scale = a.abs().max().clamp(min=torch.finfo(torch.float32).tiny)
    gap = torch.nan_to_num((a - b).abs() / scale, nan=float("inf"))
    result.output_difference = max(result.output_difference, float(gap.max()))
    wrong = gap > tolerance
    if bool(wrong.any()):
        t, sample, *neuron = wrong.nonzero()[0].tolist()
        if result.output_first is None or t < result.output_first.timestep:
            result.output_first = Place("output", t, sample + start, tuple(neuron))


def _check_layers(first: Source, second: Source, layers: list[str]) -> None:
    if set(layers) != set(second.layers()):
        raise ExportError(
            f"cannot compare {first.title} with {second.title}: the first has spiking layers"
            f" {', '.join(layers)}, the second {', '.join(second.layers())}."
        )


def _common_limit(first: Source, second: Replayable, dtype: torch.dtype) -> int | None:
    """The smaller number of samples that either can be given in a precision, None for all."""
    limits = [source.limit(dtype) for source in (first, second)]
    return min((limit for limit in limits if limit is not None), default=None)


def _check_shapes(first: Source, second: Source, a: Recording, b: Recording) -> None:
    pairs = [(n, a.spikes[n].shape[2:], b.spikes[n].shape[2:]) for n in a.spikes]
    pairs.append(("output", a.output.shape[2:], b.output.shape[2:]))
    findings = [
        f"layer '{name}' has shape {tuple(one)} in the first, {tuple(other)} in the second."
        for name, one, other in pairs
        if core_shape(one) != core_shape(other)
    ]
    if findings:
        raise ExportError(f"cannot compare {first.title} with {second.title}", findings)


def _batch_size(source: Replayable, timesteps: int) -> int:
    """As many samples as have their recordings, and what is computed from them, in the budget."""
    values = max(1, source.neurons) * timesteps
    return max(1, min(BATCH_LIMIT, BATCH_BYTES // (BYTES_PER_VALUE * values)))


def _batches(samples: Samples, size: int) -> Iterator[tuple[int, Tensor]]:
    for start in range(0, len(samples), size):
        yield start, samples[start : start + size]


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
