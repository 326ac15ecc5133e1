"""Compiled loops work in memory that nobody has freed: here freed memory is overwritten."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

pytest.importorskip("numba", reason="numba is optional: pip install 'mpo-snn[fast]'")

ALLOCATOR = {"MALLOC_PERTURB_": "170", "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
SCAN = """
import torch
from mpo_snn.leaky import MPOLeaky

x = torch.randn(16, 1, 32, 32, 33, generator=torch.Generator().manual_seed(0)).requires_grad_()
layer = MPOLeaky(0.9, 0.3, backend="numba")
first, = torch.autograd.grad(layer.scan_spikes(x).sum(), x)
for threads in (2, 3, 5, 16) * 6:
    torch.set_num_threads(threads)
    grad, = torch.autograd.grad(layer.scan_spikes(x).sum(), x)
    assert torch.equal(grad, first), threads
"""
PRODUCT = """
import torch
from mpo_snn.kernels.event_conv import is_available
from mpo_snn.kernels.event_linear import EventLinear

if is_available():
    for outputs in (16, 64, 130):
        weight, bias = torch.ones(outputs, 70), torch.zeros(outputs)
        for count in (1, 8, 33):
            y, _ = EventLinear(weight, bias)(torch.ones(count, 70), 40)
            assert torch.equal(y, torch.full_like(y, 70.0)), (outputs, count)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are of glibc")
@pytest.mark.parametrize("code", (SCAN, PRODUCT), ids=("scan", "product"))
def test_no_loop_uses_what_was_freed(code):
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | ALLOCATOR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
