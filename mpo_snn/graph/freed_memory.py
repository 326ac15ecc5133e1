"""Keeping memory that was freed for the next tensor, instead of giving it back to the system.

glibc gives large pieces back at once, and the system clears every page of the next one: for a VGG
that runs on events this took a third of the time. A command that runs many batches of one shape
keeps them, up to the largest amount that it needs at a time anyway.
"""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER = 2**31 - 1
"""Of mallopt(3)."""


def keep_freed_memory() -> bool:
    """Tell glibc so, for the rest of this process; whether it was told."""
    if platform.libc_ver()[0] != "glibc":
        return False
    set_option = ctypes.CDLL(None).mallopt
    return bool(set_option(_MMAP_THRESHOLD, 2**30) and set_option(_TRIM_THRESHOLD, _NEVER))
