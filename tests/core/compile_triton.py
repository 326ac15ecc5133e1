"""Compile the Triton kernels for a GPU that need not be there; run as a program, without pytest.

Prints of each case, as JSON, the PTX instructions that read four values at once, and the bytes of
machine code.
"""

from __future__ import annotations

import json
import re
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from mpo_snn.kernels import triton_statistics
from mpo_snn.kernels.triton_kernels import backward_kernel, forward_kernel
from mpo_snn.kernels.triton_scan import BLOCK
from mpo_snn.kernels.triton_statistics import band_kernel, merge_kernel, share_kernel

HOPPER = GPUTarget("cuda", 90, 32)
IN_FLOAT32 = ("membrane", "sums", "betas", "thresholds", "slopes", "scales", "supports")
IN_FLOAT32 += ("grad_membrane", "us", "means", "m2s", "by_means", "by_m2s", "shares", "share")
IN_FLOAT32 += ("grad_beta", "grad_threshold")
NUMBERS = ("count", "gamma")
STORED = ("current", "spikes", "grad_spikes", "grad_current")


def compiled(kernel: Any, stored: str, constants: dict[str, Any]) -> dict[str, int]:
    """One kernel, with parameters that are one number and sizes that are multiples of 16."""
    constants, signature, aligned = dict(constants), {}, {}
    for place, name in enumerate(kernel.arg_names):
        if re.fullmatch(r"[dm]\d", name):
            constants[name] = 1
        if name in constants:
            signature[name] = "constexpr"
            continue
        if name in NUMBERS:
            signature[name] = "fp32"
            continue
        kind = stored if name in STORED else "fp32" if name in IN_FLOAT32 else None
        signature[name] = f"*{kind}" if kind else "i32"
        aligned[(place,)] = [["tt.divisibility", 16]]
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=aligned)
    found = triton.compile(source, target=HOPPER, options={"enable_fp_fusion": False})
    words = "4" if stored == "fp32" else "24"  # of 32 bits
    wide = re.findall(rf"ld\.global\.v[{words}]\.b32", found.asm["ptx"])
    return {"wide_loads": len(wide), "bytes": len(found.asm["cubin"])}


def main() -> None:
    """Both kernels of the scan for stored types, resets and statistics, and that of rho."""
    rows = {}
    for stored in ("fp32", "bf16"):
        for reset in (0, 1, 2, 3):
            case = {"STEPS": 4, "RESET": reset, "STATISTIC": reset % 3, "BLOCK": BLOCK}
            case |= {"DECAY": True, "SHAPE": 0}
            rows[f"forward {stored} {reset}"] = compiled(
                forward_kernel,
                stored,
                {**case, "MEMBRANE": False, "POWER": reset == 1, "SAMPLES": 1 + reset},
            )
            learns = {"BETA": reset == 2, "THRESHOLD": reset > 0}
            case |= {"KEPT": reset == 3, "SPIKES": True, "CONSTANT": False, **learns}
            rows[f"backward {stored} {reset}"] = compiled(
                backward_kernel, stored, {**case, "MEMBRANE": False}
            )
    rounds = {"ROUNDS": 33, "BLOCK": triton_statistics.BLOCK}
    rows["band"] = compiled(band_kernel, "fp32", rounds)
    rows["merge"] = compiled(merge_kernel, "fp32", {**rounds, "STEPS": 4})
    rows["share"] = compiled(share_kernel, "fp32", {"BLOCK": triton_statistics.MOST})
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
