"""Whether a graph computes what a network computes, spike for spike, measured on real samples.

Two runs of the same input, in float64 and in float32:

- free run: share of identical (neuron, step, sample) entries AND Jaccard index (spikes in both /
  spikes in either) per layer. Both, because a share flatters sparse spiking: a layer that never
  fires is nearly identical to one that rarely does;
- layer replay (`replay`): every difference is either rounding at threshold, and listed, or
  unexplained.

The verdict is in `mpo_snn.export.equivalence`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from mpo_snn.data.dataset import Samples
from mpo_snn.encoding import encode
from mpo_snn.errors import ExportError
from mpo_snn.readout import read_out

from .equivalence import Equivalence, LayerTally, PrecisionResult
from .recording import Recording, Replayable, Source, core_shape
from .replay import TOLERANCE, Place, replay_layers
from .threshold_rounding import ThresholdRounding

PRECISIONS = (torch.float64, torch.float32)
BATCH_LIMIT = 128
BATCH_BYTES = 2 * 1024**3
BYTES_PER_VALUE = 48
"""Of a neuron at a timestep: membranes and spikes of both runs in float64, and working space."""


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
    rounding: ThresholdRounding | None = None,
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
        rounding: how the second's thresholds were rounded to float32, if they were.

    Raises:
        ExportError: if the two do not have the same layers and shapes, there are no samples, or no
            precision in which both run.
    """
    if not hasattr(samples, "shape") or isinstance(samples, np.ndarray):
        raise ExportError(
            f"cannot compare on {type(samples).__name__}: samples are a tensor, (N, *features)."
        )
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
            _compare_batch(
                first, second, x, dtype, readout, start, result, tolerance[dtype], rounding
            )
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
    rounding: ThresholdRounding | None,
) -> None:
    a, b = first.run(x, dtype), second.run(x, dtype)
    _check_shapes(first, second, a, b)
    b = b.like(a)
    for tally in result.layers:
        tally.add(a.spikes[tally.layer], b.spikes[tally.layer], start)
    replays = {tally.layer: tally.replay for tally in result.layers}
    replayed = replay_layers(second, x, a, b, dtype, replays, start, tolerance, rounding)
    # Tolerances of float32 in float64 are for numbers that a file had rounded to it.
    precision = torch.float32 if tolerance > TOLERANCE[torch.float64] else dtype
    _compare_outputs(
        a.output.double(),
        replayed.output.double(),
        lambda: second.output_bounds(x, a, precision),
        tolerance,
        start,
        result,
    )
    scores_a, scores_b = (
        read_out(r.output, readout) if r.scores is None else r.scores for r in (a, b)
    )
    differs = scores_a.flatten(1).argmax(1) != scores_b.flatten(1).argmax(1)
    result.predictions_differing += int(differs.sum())
    if dtype == torch.float32 or rounding is not None:
        differs &= ~_samples_that_differ(a, b)
    result.predictions_unexplained += int(differs.sum())
    result.samples += x.shape[1]


def _samples_that_differ(a: Recording, b: Recording) -> Tensor:
    """Samples in which some spike does, bool, (batch,)."""
    none = torch.zeros(a.output.shape[1], dtype=torch.bool, device=a.output.device)
    layers = [(a.spikes[n] != b.spikes[n]).flatten(2).any(2).any(0) for n in a.spikes]
    return torch.stack([none, *layers]).any(0)


def _compare_outputs(
    a: Tensor,
    b: Tensor,
    bounds: Callable[[], Tensor],
    tolerance: float,
    start: int,
    result: PrecisionResult,
) -> None:
    """Outputs on the same spikes, relative to the largest of the sample.

    An output whose rounding may exceed the tolerance, such as a sum that cancels, is measured
    relative to what makes its bound the tolerance.
    """
    largest = a.abs().transpose(0, 1).flatten(1).amax(1).reshape(1, -1, *[1] * (a.dim() - 2))
    difference = (a - b).abs()
    gap = _relative(difference, largest)
    if bool((gap > tolerance).any()):
        floor = bounds().to(a) / tolerance
        gap = torch.where(gap > tolerance, _relative(difference, largest.maximum(floor)), gap)
    result.output_difference = max(result.output_difference, float(gap.max()))
    wrong = gap > tolerance
    if bool(wrong.any()):
        t, sample, *neuron = wrong.nonzero()[0].tolist()
        if result.output_first is None or t < result.output_first.timestep:
            result.output_first = Place("output", t, sample + start, tuple(neuron))


def _relative(difference: Tensor, scale: Tensor) -> Tensor:
    """A difference by its scale, which may be 0; what is not a number is infinite."""
    smallest = torch.finfo(torch.float64).tiny
    return torch.nan_to_num(difference / scale.clamp(min=smallest), nan=float("inf"))


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
