"""From layers to a chip: rounded, run in its integers, and compared with the real network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mpo_snn.encoding import encode
from mpo_snn.errors import DeployError, ShapeError
from mpo_snn.profiles.chip import ChipProfile

from .families import family_of
from .finding import CheckResult
from .layers import ChipGraph
from .quantized import IntegerNetwork, IntegerRun, UnfitError
from .real_run import run_real, with_values

BATCH = 64
"""Samples at a time."""


class SilentError(UnfitError):
    """A layer that fires in the real network never does on the chip."""


@dataclass(frozen=True)
class Samples:
    """What a deployment is measured on.

    Attributes:
        x: (N, *shape), as the data set has them.
        y: classes, (N,).
        of: data set and split, for people.
        index: place of each in the split, from 0, (N,); None where they are the split.
        split: whose places these are.
    """

    x: Tensor
    y: Tensor
    of: str
    index: Tensor | None = None
    split: str = "test"

    @property
    def places(self) -> list[int]:
        """Place of each in the split."""
        return list(range(len(self.y))) if self.index is None else self.index.tolist()


@dataclass
class Answers:
    """Right answers of one form of the network, and its spikes layer by layer.

    Attributes:
        right: how many samples.
        predicted: class of each sample.
        spikes: of each layer, in all.
    """

    right: int = 0
    predicted: list[int] = field(default_factory=list)
    spikes: dict[str, int] = field(default_factory=dict)

    def add(self, counts: Tensor, y: Tensor, spikes: Mapping[str, int]) -> None:
        """Take a batch: spike counts of the outputs, (B, classes), classes, spikes."""
        answer = counts.flatten(1).argmax(1)
        self.right += int((answer == y).sum())
        self.predicted += answer.tolist()
        for name, number in spikes.items():
            self.spikes[name] = self.spikes.get(name, 0) + number

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.right / len(self.predicted)


@dataclass(frozen=True)
class Deployment:
    """A network on a chip.

    Attributes:
        profile: of the chip.
        graph: the network before rounding.
        check: findings (none) and resources.
        integers: what is loaded.
        real: answers before rounding.
        rounded: answers with the rounded values in real arithmetic.
        chip: answers in the chip's integers.
        run: totals of the integer run over all samples; its output is that of the last batch.
        samples: how many.
        of: data set and split.
        calibrated_on: how many samples the quantizer saw.
    """

    profile: ChipProfile
    graph: ChipGraph
    check: CheckResult
    integers: IntegerNetwork
    real: Answers
    rounded: Answers
    chip: Answers
    run: IntegerRun
    samples: int
    of: str
    calibrated_on: int


def events_of(graph: ChipGraph, x: Tensor) -> Tensor:
    """Input events of samples, int64, (T, B, *input_shape).

    Raises:
        ShapeError: if the samples do not have the shape that the network takes.
        DeployError: if what the encoding gives are no whole numbers of events.
    """
    shown = encode(x, graph.timesteps, graph.encoding)
    if shown[0, 0].numel() != torch.Size(graph.input_shape).numel():
        raise ShapeError(
            f"cannot run samples that are {tuple(shown.shape[2:])} in a timestep: the network takes"
            f" {graph.input_shape}."
        )
    shown = shown.reshape(*shown.shape[:2], *graph.input_shape)
    whole = shown.round()
    if not bool(torch.equal(whole, shown)) or bool((whole < 0).any()):
        raise DeployError(
            f"cannot run on a chip: encoding {graph.encoding} of this data gives values that are no"
            " counts of events, such as"
            f" {float(shown[(whole != shown) | (whole < 0)].flatten()[0]):g}; leave out"
            " data.normalize, or use encoding counts or rows."
        )
    return whole.to(torch.int64)


def deploy(
    graph: ChipGraph,
    profile: ChipProfile,
    samples: Samples,
    calibration: Tensor,
    advance: Callable[[int], None] = lambda done: None,
    tell: Callable[[str, int], None] = lambda stage, samples: None,
) -> Deployment:
    """Quantize a network that its chip's check has nothing against, and measure it.

    Args:
        graph: the network.
        profile: of a family that has a quantizer.
        samples: what it is measured on.
        calibration: samples that the quantizer may see, (N, *shape), not of `samples`.
        advance: told of samples that are done.
        tell: told what begins, in words, and how many samples it will be done with, one by one.

    Raises:
        DeployError: if there is nothing to measure or calibrate on, or classes without an output.
        UnfitError: if rounding leaves nothing of a layer.
        SilentError: if a layer that fires in the real network is silent in the chip's integers.
        ShapeError: if samples do not fit.
    """
    family = family_of(profile)
    if family.quantize is None:
        raise DeployError(
            f"cannot quantize for {profile.name}: no arithmetic of it is known exactly."
        )
    if not len(samples.x) or not len(calibration):
        raise DeployError(
            "cannot deploy without samples: the data set or its calibration is empty."
        )
    highest = int(samples.y.max())
    if highest >= graph.output.size:
        raise DeployError(
            f"cannot deploy with {samples.of}: it has samples of class {highest}, counted from 0,"
            f" and the network {graph.output.size} outputs; choose the data that it was made for."
        )
    tell(f"rounding to the formats of {profile.title}, on {len(calibration):,} training samples", 0)
    integers = family.quantize(graph, profile, events_of(graph, calibration))
    rounded = with_values(integers.graph, integers.on_grid())
    answers = {"real": Answers(), "rounded": Answers(), "chip": Answers()}
    total: IntegerRun | None = None
    count = len(samples.x)
    tell(f"running {count:,} samples in real numbers, rounded, and in the chip's integers", count)
    for x, y in _batches(samples):
        events = events_of(graph, x)
        for name, of in (("real", graph), ("rounded", rounded)):
            run = run_real(of, events)
            spikes = {layer: reach.spikes for layer, reach in run.reach.items()}
            answers[name].add(run.output.sum(0), y, spikes)
        chip = integers.run(events)
        answers["chip"].add(chip.output.sum(0), y, chip.spikes)
        total = chip if total is None else _sum(total, chip)
        advance(len(x))
    assert total is not None, "there is at least one sample"
    _refuse_silence(graph, answers["real"], answers["chip"], profile)
    return Deployment(
        profile=profile,
        graph=graph,
        check=family.check(graph, profile),
        integers=integers,
        real=answers["real"],
        rounded=answers["rounded"],
        chip=answers["chip"],
        run=total,
        samples=len(samples.x),
        of=samples.of,
        calibrated_on=len(calibration),
    )


def _batches(samples: Samples) -> Iterator[tuple[Tensor, Tensor]]:
    yield from zip(torch.split(samples.x, BATCH), torch.split(samples.y, BATCH), strict=True)


def _sum(a: IntegerRun, b: IntegerRun) -> IntegerRun:
    return IntegerRun(
        output=b.output,
        spikes=_added(a.spikes, b.spikes),
        events=_added(a.events, b.events),
        synaptic_events=a.synaptic_events + b.synaptic_events,
        updates=a.updates + b.updates,
        activity=_added(a.activity, b.activity),
    )


def _added(a: Mapping[str, int], b: Mapping[str, int]) -> dict[str, int]:
    return {name: a.get(name, 0) + b.get(name, 0) for name in {**a, **b}}


def _refuse_silence(graph: ChipGraph, real: Answers, chip: Answers, profile: ChipProfile) -> None:
    silent: Sequence[str] = [
        f"layer '{layer.name}' fires {real.spikes[layer.name]:,} times before rounding, never on"
        " the chip: lower its threshold, or train with --target."
        for layer in graph
        if real.spikes[layer.name] and not chip.spikes[layer.name]
    ]
    if silent:
        raise SilentError(f"cannot deploy to {profile.name}: the network falls silent", silent)
    if not sum(real.spikes.values()):
        raise SilentError(
            f"cannot deploy to {profile.name}: no neuron of the network fires, even before"
            " rounding; are its weights those of a trained network?"
        )
    if not real.spikes[graph.output.name]:
        raise SilentError(
            f"cannot deploy to {profile.name}: the output '{graph.output.name}' never fires, even"
            " before rounding, so that every answer is the first class; train longer, or lower its"
            " threshold."
        )
