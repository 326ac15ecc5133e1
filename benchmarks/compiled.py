"""This project's network compiled by torch.compile, as one more variant of a training step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from benchmarks.networks import Network, ours
from mpo_snn.unroll import BatchNormMode

NAME = "mpo-snn compiled"
LIMIT = 256
"""Versions of one piece of code: with torch's 8, the ninth layer of neurons stays uncompiled."""


class CannotCompile(RuntimeError):
    """torch.compile does not work here, as without a compiler of C++."""


def compiled_builder(
    timesteps: int, backend: str | None, device: str
) -> Callable[[nn.Module, BatchNormMode], Network]:
    """How to build ours without MPO, its module compiled with torch's default backend.

    Args:
        timesteps: T.
        backend: kernel of the neurons; None takes the one for the device.
        device: a function of one line is compiled there first, to know whether it can be done.
    """

    def build(network: nn.Module, mode: BatchNormMode = "folded") -> Network:
        torch.compiler.reset()  # forget what was compiled for a network before
        torch._dynamo.config.recompile_limit = LIMIT
        _try(device)
        found = ours(network, timesteps, mode, backend)
        found.module.compile(dynamic=False)
        return found

    return build


def _try(device: str) -> None:
    try:
        torch.compile(lambda x: x.sin() + 1.0)(torch.ones(64, device=device))
    except Exception as error:  # of torch's own, without a common class
        reason = str(error).strip().splitlines()
        raise CannotCompile(
            f"torch.compile fails here: {reason[0] if reason else error!r}"
        ) from error
