"""In which precision a network is trained, and whether the device is made for it.

`bfloat16` is torch's autocast: convolutions and dense layers take and give bfloat16, weights,
membranes, losses and the optimiser stay in float32.
"""

from __future__ import annotations

from typing import Literal

import torch

from mpo_snn.errors import RecipeError
from mpo_snn.training.recipe import Precision


def check_precision(precision: Precision, device: str) -> None:
    """Refuse bfloat16 where it is emulated.

    Raises:
        RecipeError: if the device has no arithmetic of its own for the precision.
    """
    if precision == "float32" or has_bfloat16(device):
        return
    if device == "cuda":
        raise RecipeError(
            f"cannot train in bfloat16: {torch.cuda.get_device_name()} has none. Use --precision"
            " float32."
        )
    raise RecipeError(
        "cannot train in bfloat16: this CPU has neither AVX512-BF16 nor AMX, and without them a"
        " step was measured to take 13 to 24 times as long as in float32. Use --precision float32."
    )


def has_bfloat16(device: str) -> bool:
    """Whether the device computes products of bfloat16."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2", "AVX512"):
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # no x86


def of_trainer(precision: Precision) -> Literal["32-true", "bf16-mixed"]:
    """The argument of `lightning.pytorch.Trainer`."""
    return "bf16-mixed" if precision == "bfloat16" else "32-true"
