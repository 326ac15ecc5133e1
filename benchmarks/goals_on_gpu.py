"""What the benchmarks are to reach on a GPU; see `goals`, of which these are a part."""

from __future__ import annotations

import math
from collections.abc import Callable

from benchmarks.figures import OURS, OURS_WITH_MPO, PEERS, Goal, Row, over_both
from benchmarks.measure import recorded

CACHED = 2**26
"""Bytes of an input that a GPU's second-level cache holds whole, or nearly (60 MiB of an H200)."""


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


GOALS_ON_GPU = (
    Goal(
        "LIF layer as a CUDA graph, share of copy bandwidth at the floor of bytes",
        "kernel",
        "%",
        60.0,
        80.0,
        _share_of_bandwidth,
        device="gpu",
    ),
    *over_both(
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
    Goal(
        "MPO's share of a training step as a CUDA graph",
        "throughput",
        "%",
        3.0,
        2.0,
        _overhead_of_graph,
        lower_is_better=True,
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
