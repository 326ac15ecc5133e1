"""What the benchmarks are to reach, and where in a row of their result files that is found.

A `must` gates a release, a `goal` is what is worked for. Ratios are between medians of one run, and
within one precision. For reading images no bound was ever set: they must not be the slower ones.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.figures import OURS, Goal, Row, over_both
from benchmarks.goals_on_gpu import GOALS_ON_GPU

LAYER, LAYER_OF_MPO = "mpo-snn numba + statistics", "mpo-snn numba + MPO"
SPARSE = 0.15
"""Densities up to which inference on events has bounds."""


def _overhead(row: Row) -> float:
    return row["percent"]  # type: ignore[no-any-return]


def _events_over(peer: str) -> Callable[[Row], float | None]:
    def measured(row: Row) -> float | None:
        is_sparse = row["case"]["aimed_density"] <= SPARSE
        return row.get("events_faster_than", {}).get(peer) if is_sparse else None

    return measured


def _counting(row: Row) -> float | None:
    found = row["in_one_pass"] or row["step_by_step"]
    return 100.0 * found["at_neurons"]["extra_over_dense_T"]  # type: ignore[no-any-return]


def _input(row: Row) -> float:
    return row["variants"]["mpo-snn, shards"]["images_per_s_over_torchvision"]  # type: ignore[no-any-return]


def _layer_memory(row: Row) -> float | None:
    """Without what was asked for: two moments of every neuron, over time and batch."""
    peak = row["variants"].get(LAYER, {}).get("peak_memory_per_input")
    steps, batch = row["case"]["shape"][:2]
    return None if peak is None else round(peak - 2.0 / (steps * batch), 2)  # of 4 digits


GOALS = (
    *over_both(
        "LIF layer with all statistics, forward and backward, over {}",
        "kernel",
        (LAYER, "forward_backward"),
        snntorch=(5.0, 8.0),
        spikingjelly=(2.5, 4.5),
    ),
    *over_both(
        "the same at the best shape, over {}",
        "kernel",
        (LAYER, "forward_backward"),
        snntorch=(8.0, 8.0),
        spikingjelly=(4.0, 4.5),
        best_case=True,
    ),
    *over_both(
        "LIF layer with MPO: statistics, L_Dist, step, over {}",
        "kernel",
        (LAYER_OF_MPO, "forward_backward"),
        snntorch=(5.0, 8.0),
        spikingjelly=(2.5, 4.5),
    ),
    Goal(
        "peak memory of a layer with all statistics, but for these, over the input",
        "kernel",
        "x",
        2.0,
        2.0,
        _layer_memory,
        lower_is_better=True,
    ),
    *over_both(
        "training step over {}",
        "throughput",
        (OURS,),
        snntorch=(1.6, 1.8),
        spikingjelly=(1.2, 1.5),
    ),
    Goal(
        "MPO's share of a training step",
        "overhead",
        "%",
        3.0,
        2.0,
        _overhead,
        lower_is_better=True,
    ),
    Goal(
        "inference of an exported graph on events over snnTorch",
        "inference",
        "x",
        3.0,
        3.0,
        _events_over("snntorch loop"),
    ),
    Goal("the same over ONNX Runtime", "inference", "x", 1.5, 1.6, _events_over("onnxruntime")),
    Goal(
        "counting spikes and SynOps, of T dense passes",
        "counting",
        "%",
        1.0,
        1.0,
        _counting,
        lower_is_better=True,
    ),
    Goal("images/s of shards over torchvision's ImageFolder", "input", "x", 1.0, 1.0, _input),
    *GOALS_ON_GPU,
)
