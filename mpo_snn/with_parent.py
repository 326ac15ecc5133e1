"""A process that ends when its parent is gone, however that ended."""

from __future__ import annotations

import os
import threading
import time

LOOK_EVERY = 0.5
"""Seconds between two looks at the parent."""
ORPHANED = 70
"""Exit code of a process whose parent is gone; nobody is left to see it."""
_parents: set[int] = set()


def end_with(parent: int) -> None:
    """End this process soon after its parent.

    A parent that is killed can end nobody, and what trained on without it would write into runs
    that somebody goes on with. To end at once is as safe as a kill: what this process writes is
    there as a whole or not at all.

    Args:
        parent: its process number.
    """
    if parent not in _parents:
        _parents.add(parent)
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: int) -> None:
    """A process whose parent is gone gets another, which is never of the same number."""
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY)
    os._exit(ORPHANED)
