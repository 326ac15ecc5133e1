"""Constants on the device on which they are used, brought there once.

To bring numbers from the host at every step waits for the device; and a step that is recorded as a
CUDA graph can bring nothing, and reads where the numbers lay at the recording.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

_FAKE = torch._C._TorchDispatchModeKey.FAKE
_kept: dict[tuple[tuple[float, ...], torch.dtype, torch.device], Tensor] = {}

Key = TypeVar("Key")


def constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A vector of these values, (values,), the same tensor at every call: not to be written to.

    It is kept for ever, so the values are to be few: those of a setting, or of each batch size.
    """
    return once(
        _kept,
        (values, dtype, device),
        lambda: torch.tensor(values, dtype=dtype, device=device),
    )


def once(kept: dict[Key, Tensor], key: Key, make: Callable[[], Tensor]) -> Tensor:
    """What was made for a key, at the first call; a new one of each call while tensors are traced.

    Traced ones have no values, or belong to a compiled graph: none of them may be kept.
    """
    if torch.compiler.is_compiling() or torch._C._get_dispatch_mode(_FAKE) is not None:
        return make()
    if key not in kept:
        with torch.inference_mode(False):
            kept[key] = make()
    return kept[key]
