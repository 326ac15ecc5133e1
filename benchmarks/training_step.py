"""A step of SGD of any library's network, launched kernel by kernel or as one CUDA graph."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.networks import Network
from mpo_snn.training.step_graph import WARM_UP, StepGraph, record_on_gpu


def training_step(
    network: Network, image: Tensor, label: Tensor, precision: str
) -> Callable[[], None]:
    """One step, to be called again and again."""
    optimizer = _optimizer(network)

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        _loss(network, image, label, precision).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if network.mpo is not None:
            network.mpo.step()

    return run


def recorded_step(
    network: Network, image: Tensor, label: Tensor, precision: str
) -> Callable[[], None]:
    """The same with forward and backward pass as one CUDA graph (`mpo_snn.training.step_graph`).

    Raises:
        RunError: if it cannot be recorded.
    """
    plain = training_step(network, image, label, precision)
    for _ in range(WARM_UP):
        plain()
    optimizer = _optimizer(network)
    graph = StepGraph(
        lambda x, y: (_loss(network, x, y, precision), None),
        image,
        label,
        network.module,
        record_on_gpu,
    )

    def run() -> None:
        graph(image, label)
        optimizer.step()
        if network.mpo is not None:
            network.mpo.step()

    return run


def _optimizer(network: Network) -> torch.optim.Optimizer:
    network.module.train()
    return torch.optim.SGD(network.module.parameters(), lr=1e-3, momentum=0.9)


def _loss(network: Network, image: Tensor, label: Tensor, precision: str) -> Tensor:
    autocast = torch.autocast(image.device.type, torch.bfloat16)
    with autocast if precision == "bf16" else contextlib.nullcontext():
        logits = network.logits(image)
    loss = functional.cross_entropy(logits.float(), label)
    return loss if network.mpo is None else loss + network.mpo.regularizer()
