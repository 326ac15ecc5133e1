"""Xylo through rockpool: the integers by the names of rockpool, and the script that loads them.

rockpool's configuration is built of objects of `samna`, whose import runs pip and fetches the
vendor's driver. Nothing here imports it: the script does, where the user runs it. It needs neither
mpo-snn nor torch.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np

from mpo_snn.profiles.chip import ChipProfile

from .xylo_quantize import XyloIntegers

SCRIPT, ARRAYS = "load_xylo.py", "xylo.npz"
_DEVICE = re.compile(r"\bSYNS(\d+)\b")


def rockpool_arrays(integers: XyloIntegers, profile: ChipProfile) -> dict[str, Any]:
    """The network by the names that rockpool's functions have for their arguments.

    Inputs come with the first hidden neurons alone and outputs with the last, as the chip has them.
    The second synapse, where there is one, has no weight and is left out.
    """
    network = integers.network
    hidden, output = network.hidden, network.output
    found = {
        "weights_in": network.weights_in[:, : int(profile.value("limit.input_reach"))],
        "weights_rec": network.weights_rec,
        "weights_out": network.weights_out[-int(profile.value("limit.output_reach")) :],
        "dash_mem": hidden.dash_mem,
        "dash_mem_out": output.dash_mem,
        "dash_syn": hidden.dash_syn[:, 0],
        "dash_syn_out": output.dash_syn[:, 0],
        "threshold": hidden.threshold,
        "threshold_out": output.threshold,
        "bias": hidden.bias,
        "bias_out": output.bias,
    }
    shifts = {"in": network.shift_in, "rec": network.shift_rec, "out": network.shift_out}
    return {
        **{name: values.numpy().astype(np.int16) for name, values in found.items()},
        **{f"weight_shift_{block}": np.int16(shift) for block, shift in shifts.items()},
        "of.delay": np.int16(integers.delay),
    }


def xylo_files(integers: XyloIntegers, profile: ChipProfile) -> dict[str, bytes | str]:
    """Script and arrays by name; nothing for a chip that rockpool does not know by its number."""
    device = _DEVICE.search(profile.title)
    if device is None:
        return {}
    packed = io.BytesIO()
    arrays = {**rockpool_arrays(integers, profile), "of.device": f"syns{device[1]}"}
    np.savez(packed, **arrays)
    source = (Path(__file__).parent / "xylo_rockpool.py").read_text(encoding="utf-8")
    return {ARRAYS: packed.getvalue(), SCRIPT: source}
