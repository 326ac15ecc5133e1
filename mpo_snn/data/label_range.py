"""Labels that int64, in which all labels are kept, does not hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MOST = 2**63 - 1


def beyond_int64(labels: NDArray[np.generic]) -> str:
    """Words for labels, (N,), that would wrap to negative ones; empty if there are none."""
    if labels.dtype.kind != "u":
        return ""
    large = np.flatnonzero(labels.astype(np.uint64) > _MOST)
    if not len(large):
        return ""
    return (
        f"{len(large)} labels beyond 2**63 - 1, the first is {labels[large[0]]} of sample"
        f" {large[0]}"
    )
