"""A process that trains runs for a study: it speaks as its parent would, and ends with it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mpo_snn.warning_lines import warnings_in_a_line
from mpo_snn.with_parent import end_with


@contextmanager
def working_for(parent: int | None) -> Iterator[None]:
    """Leave Ctrl-C and SIGTERM to the parent, which ends this process, and end soon after it.

    Warnings are lines of the command's, as they are in the parent.

    Args:
        parent: its process number; None changes nothing, in a process that works for itself.
    """
    if parent is None:
        yield
        return
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    end_with(parent)
    with warnings_in_a_line("mpo-study"):
        yield
