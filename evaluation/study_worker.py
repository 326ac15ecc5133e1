"""A process that trains runs for a study: it leaves signals to its parent, and ends with it."""

from __future__ import annotations

import signal
import threading

from mpo_snn.with_parent import end_with


def work_for(parent: int) -> None:
    """Leave Ctrl-C and SIGTERM to the parent, which ends this process, and end soon after it.

    Args:
        parent: its process number.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    end_with(parent)
