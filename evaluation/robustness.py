r"""Robustness of a graph: accuracy under noise and under the faults of hardware.

.. math:: \text{RR} = \text{accuracy with the fault} / \text{accuracy without}

Every level is run with several seeds of the fault; what is in no seed, the data and the graph, is
the same in all. Noise and spikes that go astray are drawn for each sample by itself, whatever the
batch.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import nir

from mpo_snn.data.corruptions import DataRange, corrupt, range_over
from mpo_snn.encoding import encode
from mpo_snn.errors import RecipeError
from mpo_snn.graph.execute import Transmit
from mpo_snn.graph.simulate import Simulator
from mpo_snn.readout import read_out

from .activity import batches
from .faults import (
    GRAPH_FAULTS,
    INPUT_FAULTS,
    SPIKE_FAULTS,
    FaultyWires,
    faulty_graph,
)

if TYPE_CHECKING:
    from mpo_snn.data import Dataset

    from .setting import Setting

LEVELS: dict[str, tuple[float, ...]] = {
    "gaussian": (0.05, 0.1, 0.2, 0.3, 0.5),
    "salt_and_pepper": (0.01, 0.02, 0.05, 0.1, 0.2),
    "weight_bits": (0.0, 1e-4, 1e-3, 3e-3, 1e-2),
    "threshold_jitter": (0.02, 0.05, 0.1, 0.2, 0.4),
    "dead_neurons": (0.01, 0.02, 0.05, 0.1, 0.2),
    "dropped_spikes": (0.01, 0.02, 0.05, 0.1, 0.2),
    "clock_jitter": (0.01, 0.02, 0.05, 0.1, 0.2),
}
"""Levels of every kind that are run unless others are asked for."""
FAULTS = tuple(LEVELS)


@dataclass(frozen=True)
class Level:
    """One level of one kind of fault.

    Attributes:
        kind: which fault.
        level: see `mpo_snn.evaluation.faults`.
        correct: right answers, one number a seed.
    """

    kind: str
    level: float
    correct: tuple[int, ...]

    def accuracies_percent(self, samples: int) -> list[float]:
        """Accuracy of every seed."""
        return [100.0 * correct / samples for correct in self.correct]


def measure_robustness(
    graph: nir.NIRGraph,
    dataset: Dataset,
    setting: Setting,
    kinds: Sequence[str] = FAULTS,
    seeds: Sequence[int] = (0, 1, 2),
    progress: Callable[[int], None] | None = None,
) -> list[Level]:
    """Run the test split through a graph under every level of every kind of fault.

    Args:
        graph: is not changed.
        dataset: its `test_x` and `test_y` are used.
        setting: how to run it.
        kinds: out of `FAULTS`.
        seeds: of the faults.
        progress: called with the number of samples after each batch.

    Raises:
        RecipeError: if a kind is unknown, or noise on images is asked of data that are none.
        GraphError: if the graph cannot be run, or `clock_jitter` or `dropped_spikes` meets a
            loop that the simulator cannot change spikes in.
    """
    check_faults(kinds, dataset)
    bench = _Bench(graph, dataset, setting, progress)
    return [
        Level(kind, level, tuple(bench.correct(kind, level, seed) for seed in seeds))
        for kind in kinds
        for level in LEVELS[kind]
    ]


def runs_of(kinds: Sequence[str], seeds: Sequence[int]) -> int:
    """How often the data set runs through the graph."""
    return sum(len(LEVELS[kind]) for kind in kinds) * len(seeds)


def check_faults(kinds: Sequence[str], dataset: Dataset) -> None:
    """Refuse what cannot be run on a data set.

    Raises:
        RecipeError: if a kind is unknown or stands twice, or noise on images is asked of data
            that are none.
    """
    unknown = [kind for kind in kinds if kind not in LEVELS]
    if unknown:
        raise RecipeError(
            f"unknown fault {', '.join(map(repr, unknown))}: choose out of {', '.join(FAULTS)}."
        )
    repeated = [kind for kind in dict.fromkeys(kinds) if kinds.count(kind) > 1]
    if repeated:
        raise RecipeError(f"fault {', '.join(map(repr, repeated))} stands twice: name each once.")
    noise = [kind for kind in kinds if kind in INPUT_FAULTS]
    if noise and len(dataset.input_shape) != 3:
        raise RecipeError(
            f"{', '.join(noise)} are for images, samples of data set '{dataset.name}' have shape"
            f" {tuple(dataset.input_shape)}: name faults of the hardware alone, --robustness"
            f" {','.join(kind for kind in FAULTS if kind not in INPUT_FAULTS)}."
        )


class _Bench:
    """A graph and its data, ready to be run with any fault."""

    def __init__(
        self,
        graph: nir.NIRGraph,
        dataset: Dataset,
        setting: Setting,
        progress: Callable[[int], None] | None,
    ) -> None:
        """Make ready what all faults share."""
        self._graph, self._dataset, self._setting = graph, dataset, setting
        self._progress = progress
        self._whole = self._simulator(graph)

    @cached_property
    def _within(self) -> DataRange:
        x, y = self._dataset.test_x, self._dataset.test_y
        return range_over(part for part, _ in batches(x, y, self._setting.batch_size))

    def correct(self, kind: str, level: float, seed: int) -> int:
        """Right answers under one fault."""
        dataset, setting, simulator = self._dataset, self._setting, self._whole
        if kind in GRAPH_FAULTS:
            faulty = faulty_graph(self._graph, cast("Any", kind), level, seed)
            simulator = self._simulator(faulty)
        correct = 0
        first = 0
        for x, y in batches(dataset.test_x, dataset.test_y, setting.batch_size):
            if kind in INPUT_FAULTS:
                x = corrupt(x, kind, level, self._within, seed, first)
            wires: Transmit | None = None
            if kind in SPIKE_FAULTS:
                wires = FaultyWires(kind, level, seed, first)
            encoded = encode(x.to(setting.device), setting.timesteps, setting.encoding)
            output = simulator.run(encoded, transmit=wires).output.flatten(2)
            answers = read_out(output, setting.readout).argmax(1).cpu()
            correct += int((answers == y.cpu()).sum())
            first += len(y)
            if self._progress is not None:
                self._progress(len(y))
        return correct

    def _simulator(self, graph: nir.NIRGraph) -> Simulator:
        setting = self._setting
        events = setting.events == "auto"
        return Simulator(graph, setting.dt, device=setting.device, events=events)


def report_robustness(
    levels: Sequence[Level], samples: int, clean_percent: float, seeds: Sequence[int]
) -> dict[str, Any]:
    """The part `robustness` of a report.

    Args:
        levels: what `measure_robustness` gave.
        samples: number of samples.
        clean_percent: accuracy without a fault.
        seeds: of the faults.
    """
    return {
        "seeds": list(seeds),
        "clean_accuracy_percent": clean_percent,
        "levels": [_row(level, samples, clean_percent) for level in levels],
    }


def _row(level: Level, samples: int, clean: float) -> dict[str, Any]:
    found = level.accuracies_percent(samples)
    mean = statistics.fmean(found)
    return {
        "kind": level.kind,
        "level": level.level,
        "accuracies_percent": found,
        "accuracy_percent": mean,
        "spread_percent": statistics.stdev(found) if len(found) > 1 else None,
        "rr": mean / clean if clean else None,
    }
