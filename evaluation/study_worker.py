"""A process that trains runs for a study: it leaves signals to its parent, and ends with it."""

from __future__ import annotations

import os
import signal
import threading
import time

LOOK_EVERY = 0.5
"""Seconds between two looks at the parent."""
ORPHANED = 70
"""Exit code of a process whose parent is gone; nobody is left to see it."""
_parents: set[int] = set()


def work_for(parent: int) -> None:
    """Leave Ctrl-C and SIGTERM to the parent, which ends this process, and end soon after it.

    A parent that is killed can end nobody, and what trained on without it would write into runs
    that a second study goes on with. To end at once is as safe as a kill: what this process writes
    is there as a whole or not at all.

    Args:
        parent: its process number.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    if parent not in _parents:
        _parents.add(parent)
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: int) -> None:
    """A process whose parent is gone gets another, which is never of the same number."""
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY)
    os._exit(ORPHANED)
