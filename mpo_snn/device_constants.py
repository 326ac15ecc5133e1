"""Constants on the device on which they are used, brought there once.

To bring numbers from the host at every step waits for the device; and a step that is recorded as a
CUDA graph can bring nothing, and reads where the numbers lay at the recording.
"""

from __future__ import annotations

import torch
from torch import Tensor

_FAKE = torch._C._TorchDispatchModeKey.FAKE
_kept: dict[tuple[tuple[float, ...], torch.dtype, torch.device], Tensor] = {}


def constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A vector of these values, (values,), the same tensor at every call: not to be written to.

    It is kept for ever, so the values are to be few: those of a setting, or of each batch size.
    """
    if is_tracing():
        return torch.tensor(values, dtype=dtype, device=device)
    key = (values, dtype, device)
    if key not in _kept:
        with torch.inference_mode(False):
            _kept[key] = torch.tensor(values, dtype=dtype, device=device)
    return _kept[key]


def is_tracing() -> bool:
    """Whether tensors have no values, or belong to a compiled graph: none of them may be kept."""
    return torch.compiler.is_compiling() or torch._C._get_dispatch_mode(_FAKE) is not None
