"""What the benchmarks are to reach, and where in a row of their result files that is found.

A `must` gates a release, a `goal` is what is worked for. Ratios are between medians of one run, and
within one precision. For reading images no bound was ever set: they must not be the slower ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from benchmarks.figures import Goal, Row
from benchmarks.measure import recorded

PEERS = {"snnTorch": "snntorch loop", "SpikingJelly": "spikingjelly multi-step"}
LAYER, LAYER_OF_MPO = "mpo-snn numba + statistics", "mpo-snn numba + MPO"
OURS, OURS_WITH_MPO = "mpo-snn", "mpo-snn + MPO"
CACHED = 2**26
"""Bytes of an input that a GPU's second-level cache holds whole, or nearly (60 MiB of an H200)."""
SPARSE = 0.15
"""Densities up to which inference on events has bounds."""


def _over_both(
    item: str,
    file: str,
    where: tuple[str, ...],
    *,
    snntorch: tuple[float, float],
    spikingjelly: tuple[float, float],
    device: str = "cpu",
    best_case: bool = False,
) -> Iterator[Goal]:
    """Two goals, of one variant over each of both peers, with must and goal of each.

    Args:
        item: as in `Goal`, with {} for the peer.
        file: as in `Goal`.
        where: keys of the variant, and of its part, that has the speed-ups.
        snntorch: must and goal over the loop of snnTorch.
        spikingjelly: must and goal over the multi-step node of SpikingJelly.
        device: as in `Goal`.
        best_case: as in `Goal`.
    """
    for (name, peer), (must, goal) in zip(PEERS.items(), (snntorch, spikingjelly), strict=True):

        def measured(row: Row, peer: str = peer) -> float | None:
            found: Any = row["variants"]
            for key in (*where, "speed_up_over", peer):
                found = (found or {}).get(key)
            return found  # type: ignore[no-any-return]

        yield Goal(
            item.format(name),
            file,
            "x",
            must,
            goal,
            measured,
            device=device,
            best_case=best_case,
        )


def _overhead(row: Row) -> float:
    return row["percent"]  # type: ignore[no-any-return]


def _overhead_of_graph(row: Row) -> float | None:
    """Of the quickest recorded steps with MPO and without, in percent."""
    quickest = [row["variants"].get(recorded(n), {}).get("min_s") for n in (OURS, OURS_WITH_MPO)]
    if not all(quickest):
        return None
    return 100.0 * (quickest[1] / quickest[0] - 1.0)  # type: ignore[no-any-return]


def _graph_over(peer: str) -> Callable[[Row], float | None]:
    """Speed-up of a step over a peer's, each as a CUDA graph."""

    def measured(row: Row) -> float | None:
        theirs, ours = (row["variants"].get(recorded(n), {}).get("median_s") for n in (peer, OURS))
        return theirs / ours if theirs and ours else None

    return measured


def _share_of_bandwidth(row: Row) -> float | None:
    """Where the memory is what is timed, not its cache or the launch."""
    case = row["case"]
    if math.prod(case["shape"]) * (2 if case["dtype"] == "bfloat16" else 4) < CACHED:
        return None
    found = row["variants"].get("mpo-snn triton", {}).get("share_of_copy_bandwidth")
    return 100.0 * found["of_the_floor"] if found else None


def _events_over(peer: str) -> Callable[[Row], float | None]:
    def measured(row: Row) -> float | None:
        is_sparse = row["case"]["aimed_density"] <= SPARSE
        return row.get("events_faster_than", {}).get(peer) if is_sparse else None

    return measured


def _images_of_resnet19(variant: str) -> Callable[[Row], float | None]:
    def measured(row: Row) -> float | None:
        case = row["case"]
        if (case["network"], case["timesteps"], case["batch"]) != ("resnet19", 4, 256):
            return None
        return row["variants"].get(variant, {}).get("images_per_s")  # type: ignore[no-any-return]

    return measured


def _seconds_to_accuracy(row: Row) -> float | None:
    """Of training, testing left out, to the first test at 94 % with at most 4 timesteps."""
    if row["case"]["timesteps"] > 4:
        return None
    passed = 0.0
    for epoch in row["epochs"]:
        passed += epoch["train_seconds"]
        if epoch.get("test_accuracy", 0.0) >= 0.94:
            return passed
    return None


def _counting(row: Row) -> float | None:
    found = row["in_one_pass"] or row["step_by_step"]
    return 100.0 * found["at_neurons"]["extra_over_dense_T"]  # type: ignore[no-any-return]


def _input(row: Row) -> float:
    return row["variants"]["mpo-snn, shards"]["images_per_s_over_torchvision"]  # type: ignore[no-any-return]


def _layer_memory(row: Row) -> float | None:
    return row["variants"].get(LAYER, {}).get("peak_memory_per_input")  # type: ignore[no-any-return]


SHARE_OF_MPO = Goal(
    "MPO's share of a training step",
    "overhead",
    "%",
    3.0,
    2.0,
    _overhead,
    lower_is_better=True,
)
GOALS = (
    *_over_both(
        "LIF layer with all statistics, forward and backward, over {}",
        "kernel",
        (LAYER, "forward_backward"),
        snntorch=(5.0, 8.0),
        spikingjelly=(2.5, 4.5),
    ),
    *_over_both(
        "the same at the best shape, over {}",
        "kernel",
        (LAYER, "forward_backward"),
        snntorch=(8.0, 8.0),
        spikingjelly=(4.0, 4.5),
        best_case=True,
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
        2.0,
        2.0,
        _layer_memory,
        lower_is_better=True,
    ),
    *_over_both(
        "training step over {}",
        "throughput",
        (OURS,),
        snntorch=(1.6, 1.8),
        spikingjelly=(1.2, 1.5),
    ),
    SHARE_OF_MPO,
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
    Goal(
        "LIF layer as a CUDA graph, share of copy bandwidth at the floor of bytes",
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
        (OURS,),
        snntorch=(2.5, 4.0),
        spikingjelly=(1.0, 1.15),
        device="gpu",
    ),
    *(
        Goal(
            f"the same, each as a CUDA graph, over {name}",
            "throughput",
            "x",
            must,
            goal,
            _graph_over(PEERS[name]),
            device="gpu",
        )
        for name, must, goal in (("snnTorch", 2.5, 4.0), ("SpikingJelly", 1.0, 1.15))
    ),
    replace(
        SHARE_OF_MPO,
        item=f"{SHARE_OF_MPO.item} as a CUDA graph",
        file="throughput",
        measured=_overhead_of_graph,
        device="gpu",
    ),
    *(
        Goal(
            item,
            "throughput",
            "/s",
            4000.0,
            5500.0,
            _images_of_resnet19(recorded(name)),
            device="gpu",
            best_case=True,
        )
        for item, name in (
            ("images/s of ResNet-19 in training, as a CUDA graph", OURS),
            ("the same with MPO", OURS_WITH_MPO),
        )
    ),
    Goal(
        "seconds of training to 94 % on CIFAR-10",
        "cifar10",
        "s",
        900.0,
        180.0,
        _seconds_to_accuracy,
        lower_is_better=True,
        device="gpu",
    ),
)
