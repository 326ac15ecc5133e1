"""What the benchmarks are to reach, and where in their result files that is found.

A `must` gates a release, a `goal` is what is worked for. Ratios are between medians of one run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Goal:
    """One line of the table.

    Attributes:
        item: what is measured.
        file: name of the result file without the device.
        unit: `x` for a ratio, `%`, or `/s`.
        must: bound of a release.
        goal: bound that is worked for.
        measured: the figure of one row; None where the row says nothing of it.
        lower_is_better: whether the bounds are upper ones.
        device: `cpu` or `gpu`.
    """

    item: str
    file: str
    unit: str
    must: float
    goal: float
    measured: Callable[[Row], float | None]
    lower_is_better: bool = False
    device: str = "cpu"

    def verdict(self, value: float) -> str:
        """`goal`, `must` or `short`."""
        sign = -1.0 if self.lower_is_better else 1.0
        if sign * value >= sign * self.goal:
            return "goal"
        return "must" if sign * value >= sign * self.must else "short"


@dataclass(frozen=True)
class Found:
    """A measured figure with the case it was measured in."""

    goal: Goal
    case: Mapping[str, Any]
    value: float
    made_with: Mapping[str, Any]


def _over_both(
    item: str,
    file: str,
    where: tuple[str, ...],
    *,
    snntorch: tuple[float, float],
    spikingjelly: tuple[float, float],
    device: str = "cpu",
) -> Iterator[Goal]:
    """Two goals, of one variant over each of both peers, with must and goal of each.

    Args:
        item: as in `Goal`, with {} for the peer.
        file: as in `Goal`.
        where: keys of the variant, and of its part, that has the speed-ups.
        snntorch: must and goal over the loop of snnTorch.
        spikingjelly: must and goal over the multi-step node of SpikingJelly.
        device: as in `Goal`.
    """
    peers = (
        ("snnTorch", "snntorch loop", snntorch),
        ("SpikingJelly", "spikingjelly multi-step", spikingjelly),
    )
    for name, peer, (must, goal) in peers:

        def measured(row: Row, peer: str = peer) -> float | None:
            found: Any = row["variants"]
            for key in (*where, "speed_up_over", peer):
                found = (found or {}).get(key)
            return found  # type: ignore[no-any-return]

        yield Goal(item.format(name), file, "x", must, goal, measured, device=device)


def _cost_of_statistics(row: Row) -> float | None:
    """Of MPO in a training step, in percent of the step without it.

    Of the quickest of each: on a shared machine medians move by more than this is.
    """
    quickest = [row["variants"].get(n, {}).get("min_s") for n in ("mpo-snn", "mpo-snn + MPO")]
    return 100.0 * (quickest[1] / quickest[0] - 1.0) if all(quickest) else None


def _share_of_bandwidth(row: Row) -> float | None:
    found = row["variants"].get("mpo-snn triton", {}).get("share_of_copy_bandwidth")
    return 100.0 * found["of_the_floor"] if found else None


LAYER, LAYER_OF_MPO = "mpo-snn numba + statistics", "mpo-snn numba + MPO"
GOALS = (
    *_over_both(
        "LIF layer with all statistics, forward and backward, over {}",
        "kernel",
        (LAYER, "forward_backward"),
        snntorch=(5.0, 8.0),
        spikingjelly=(2.5, 4.5),
    ),
    *_over_both(
        "LIF layer with MPO: statistics, L_Dist, step, over {}",
        "kernel",
        (LAYER_OF_MPO, "forward_backward"),
        snntorch=(5.0, 8.0),
        spikingjelly=(2.5, 4.5),
    ),
    Goal(
        "peak memory of a layer with all statistics over the input",
        "kernel",
        "x",
        3.0,
        2.0,
        lambda row: row["variants"].get(LAYER, {}).get("peak_memory_per_input"),
        lower_is_better=True,
    ),
    *_over_both(
        "training step over {}",
        "throughput",
        ("mpo-snn",),
        snntorch=(1.3, 1.8),
        spikingjelly=(1.2, 1.5),
    ),
    Goal(
        "MPO's share of a training step",
        "throughput",
        "%",
        5.0,
        2.0,
        _cost_of_statistics,
        lower_is_better=True,
    ),
    Goal(
        "inference of an exported graph on events over snnTorch",
        "inference",
        "x",
        1.5,
        3.0,
        lambda row: row["events_faster_than"].get("snntorch loop"),
    ),
    Goal(
        "the same over ONNX Runtime",
        "inference",
        "x",
        1.0,
        1.6,
        lambda row: row["events_faster_than"].get("onnxruntime"),
    ),
    Goal(
        "counting spikes and SynOps, of T dense passes",
        "counting",
        "%",
        5.0,
        1.0,
        lambda row: 100.0 * row["in_one_pass"]["at_neurons"]["extra_over_dense_T"],
        lower_is_better=True,
    ),
    Goal(
        "LIF layer, share of copy bandwidth at the floor of bytes",
        "kernel",
        "%",
        60.0,
        80.0,
        _share_of_bandwidth,
        device="gpu",
    ),
    *_over_both(
        "training step over {}",
        "throughput",
        ("mpo-snn",),
        snntorch=(2.5, 4.0),
        spikingjelly=(1.0, 1.15),
        device="gpu",
    ),
)


def measured(folder: Path, goals: Iterable[Goal] = GOALS) -> list[Found]:
    """Every figure in the result files of a folder, goal by goal, in the order of their rows."""
    found = []
    for goal in goals:
        for path in sorted(folder.glob(f"{goal.file}-*.json")):
            is_cpu = path.stem == f"{goal.file}-cpu"
            if is_cpu != (goal.device == "cpu"):
                continue
            for row in json.loads(path.read_text(encoding="utf-8"))["rows"]:
                value = goal.measured(row)
                if value is not None:
                    found.append(Found(goal, row["case"], value, row["made_with"]))
    return found
