r"""Activity: what a graph does with a data set, streamed through it batch by batch.

Only counts are kept (spikes of each neuron, correct answers), so memory depends neither on the
number of samples nor on that of timesteps.

.. math::
    \text{density} = \frac{\text{spikes}}{\text{neurons} \cdot T \cdot \text{samples}}
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mpo_snn.encoding import encode
from mpo_snn.errors import DataError, ShapeError
from mpo_snn.graph.fan_out import FanOut

from .decisions import Decisions, decide

if TYPE_CHECKING:
    from mpo_snn.data.dataset import Samples
    from mpo_snn.graph.execute import Watch
    from mpo_snn.graph.simulate import Simulator

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Activity:
    """Spikes and answers of a graph on a data set.

    Attributes:
        spike_counts: for each spiking node, the spikes of each neuron summed over time and
            samples; float64 whole numbers of the node's shape, on the CPU.
        class_spikes: for each spiking node, the spikes of all its neurons summed over time and
            the samples of each class, (classes,).
        decisions: the answers, class by class and over time.
        timesteps: of each inference.
        class_synops: for each synaptic node that spikes reach, the synapses that they drove, zero
            weights left out, summed over time and the samples of each class, (classes,); empty
            where no fan-out was given.
    """

    spike_counts: Mapping[str, Tensor]
    class_spikes: Mapping[str, Tensor]
    decisions: Decisions
    timesteps: int
    class_synops: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def samples(self) -> int:
        """Number of inferences."""
        return self.decisions.samples

    @property
    def correct(self) -> int:
        """Inferences whose largest output is the label's."""
        return self.decisions.correct

    @property
    def accuracy_percent(self) -> float:
        """Share of correct answers in percent."""
        return 100.0 * self.correct / self.samples

    def spikes(self, name: str) -> int:
        """All spikes of one spiking node."""
        return int(self.spike_counts[name].sum())

    def density(self, name: str) -> float:
        """Spike density of one spiking node."""
        neurons = self.spike_counts[name].numel()
        return self.spikes(name) / (neurons * self.timesteps * self.samples)

    @property
    def network_density(self) -> float | None:
        """Density of all neurons together (the neuron-weighted mean); None without neurons."""
        neurons = sum(counts.numel() for counts in self.spike_counts.values())
        if neurons == 0:
            return None
        spikes = sum(self.spikes(name) for name in self.spike_counts)
        return spikes / (neurons * self.timesteps * self.samples)

    @property
    def silent(self) -> list[str]:
        """Spiking nodes that never spiked."""
        return [name for name in self.spike_counts if self.spikes(name) == 0]


def batches(x: Samples, y: Tensor, size: int) -> Iterator[Batch]:
    """Cut samples and labels into batches of `size`; the last one may be smaller."""
    for start in range(0, len(x), size):
        yield x[start : start + size], y[start : start + size]


def measure_activity(
    simulator: Simulator,
    data: Iterable[Batch],
    *,
    timesteps: int,
    encoding: str,
    readout: str,
    device: str | torch.device = "cpu",
    progress: Callable[[int], None] | None = None,
    watch: Watch | None = None,
    fan_out: Mapping[str, Mapping[str, Tensor]] | None = None,
) -> Activity:
    """Run a data set through a graph.

    Args:
        simulator: the graph, made for the `device`.
        data: batches of samples [B, *input_shape] and labels [B], of any number.
        timesteps: T of each inference.
        encoding: how a sample becomes input over time, see `mpo_snn.encoding`.
        readout: how outputs over time become one answer, see `mpo_snn.readout`.
        device: where the simulator runs.
        progress: called with the number of samples after each batch.
        watch: is shown what enters each node (`Simulator.run`).
        fan_out: for spiking nodes, what a spike of each neuron drives at each synaptic node that
            it reaches (`synops.by_source`).

    Raises:
        ShapeError: if samples do not have the graph's input shape.
        DataError: if there are no samples, or a label is not one of the graph's outputs.
    """
    classes = math.prod(simulator.output_shape)
    spike_counts: dict[str, Tensor] = {}  # on the device until all samples are done
    class_spikes = {
        name: torch.zeros(classes, dtype=torch.float64, device=device) for name in simulator.spiking
    }
    fan_out = fan_out or {}
    driven = sums_of(fan_out, device)
    class_synops = {
        name: torch.zeros(classes, dtype=torch.float64, device=device)
        for reached in fan_out.values()
        for name in reached
    }
    decisions: Decisions | None = None
    for x, y in data:
        encoded = encode(x.to(device), timesteps, encoding)
        _check_batch(encoded, y, simulator)
        run = simulator.run(encoded, record="counts", watch=watch, fan_out=driven)
        labels = y.to(device)
        for name, counts in run.counts.items():
            if name in spike_counts:
                spike_counts[name] += counts
            else:
                spike_counts[name] = counts
            class_spikes[name].index_add_(0, labels, run.sample_counts[name])
        for source, reached in fan_out.items():
            for k, name in enumerate(reached):
                class_synops[name].index_add_(0, labels, run.driven[source][:, k])
        decided = decide(run.output.flatten(2), y, readout)
        decisions = decided if decisions is None else decisions + decided
        if progress is not None:
            progress(len(y))
    if decisions is None:
        raise DataError("cannot evaluate on an empty data set: it has no samples.")
    return Activity(
        _on_cpu(spike_counts),
        _on_cpu(class_spikes),
        decisions,
        timesteps,
        _on_cpu(class_synops),
    )


def sums_of(
    fan_out: Mapping[str, Mapping[str, Tensor]], device: str | torch.device
) -> dict[str, FanOut]:
    """A fan-out as `Simulator.run` takes it: a sum for each node reached, in their order.

    Args:
        fan_out: as `synops.by_source` gives it.
        device: where the simulator runs.
    """
    return {
        source: FanOut(torch.stack([*reached.values()]).to(device))
        for source, reached in fan_out.items()
    }


def _on_cpu(counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.cpu().contiguous() for name, value in counts.items()}


def _check_batch(x: Tensor, y: Tensor, simulator: Simulator) -> None:
    shape, expected = tuple(x.shape[2:]), tuple(simulator.input_shape)
    if shape != expected:
        raise ShapeError(
            f"samples of shape {shape} do not fit the graph, whose input has shape {expected}. "
            "Choose the data set that the graph was made for."
        )
    classes = math.prod(simulator.output_shape)
    if len(y) and not (int(y.min()) >= 0 and int(y.max()) < classes):
        raise DataError(
            f"labels from {int(y.min())} to {int(y.max())} do not fit the graph, which has "
            f"{classes} outputs. Choose the data set that the graph was made for."
        )
