"""SIGTERM ends a command as Ctrl-C does; that it did is told by the exit code alone."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

SAME_WITHIN = 2.0
"""Seconds in which a second SIGTERM is the first one again: whoever ends a group of processes, one
of which passes it on, sends it twice."""


@dataclass
class Termination:
    """Whether a SIGTERM has come.

    Attributes:
        at: when, by the clock that only runs forward; None as long as there was none.
    """

    at: float | None = None

    def come(self, *_: Any) -> None:
        """Interrupt what runs.

        Raises:
            KeyboardInterrupt: unless it has just done so.
        """
        now = time.monotonic()
        if self.at is None or now - self.at > SAME_WITHIN:
            self.at = now
            raise KeyboardInterrupt


@contextmanager
def interrupted_by_sigterm() -> Iterator[Termination]:
    """Let SIGTERM raise KeyboardInterrupt, unless somebody handles or ignores it already."""
    came = Termination()
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield came
        return
    signal.signal(signal.SIGTERM, came.come)
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
