"""The scans over time (`scans`) and the backends that run them, which give the same spikes.

`reference` is the definition (`mpo_snn.lif`, `mpo_snn.synapse`); `in_place` is plain torch, several
times faster; `numba` is compiled for CPUs, faster still, and saves the input alone; `triton` is for
GPUs. Neurons that fire several times in a step (`mpo_snn.multi_spike`) have the definition alone.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

BACKENDS = ("numba", "in_place", "triton", "reference")
COMPILED = ("numba", "triton")


def default_backend(device: str) -> str:
    """The backend that a device's layers run on unless one is asked for."""
    if device == "cuda" and is_installed("triton"):
        return "triton"
    return "numba" if device == "cpu" and is_installed("numba") else "in_place"


def counts_in_one_pass(u: Tensor) -> bool:
    """Whether the device has a kernel for the share of U in a band (`triton_statistics`)."""
    import torch

    if u.device.type != "cuda" or torch.compiler.is_compiling() or not is_installed("triton"):
        return False
    from mpo_snn.kernels.triton_layout import is_dense

    return is_dense(u)


_installed: dict[str, bool] = {}


def is_installed(package: str) -> bool:
    """Whether there is a package.

    Asked at every scan; no `functools.cache`, which `torch.compile` warns of.
    """
    if package not in _installed:
        _installed[package] = importlib.util.find_spec(package) is not None
    return _installed[package]
