"""SIGTERM ends a command as Ctrl-C does; that it did is told by the exit code alone.

Both are written down as they come: a KeyboardInterrupt that is raised inside a library's C++ code
may get lost there.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

SAME_WITHIN = 2.0
"""Seconds in which a second SIGTERM is the first one again: whoever ends a group of processes, one
of which passes it on, sends it twice."""


@dataclass
class Termination:
    """Whether a SIGTERM or a Ctrl-C has come.

    Attributes:
        at: when the SIGTERM came, by the clock that only runs forward; None as long as there was
            none.
        by_keyboard: whether a Ctrl-C came.
    """

    at: float | None = None
    by_keyboard: bool = False

    @property
    def has_come(self) -> bool:
        """Whether either has."""
        return self.by_keyboard or self.at is not None

    def come(self, *_: Any) -> None:
        """Interrupt what runs.

        Raises:
            KeyboardInterrupt: unless it has just done so.
        """
        now = time.monotonic()
        if self.at is None or now - self.at > SAME_WITHIN:
            self.at = now
            raise KeyboardInterrupt

    def come_by_keyboard(self, *_: Any) -> None:
        """Interrupt what runs, as Python does on Ctrl-C.

        Raises:
            KeyboardInterrupt: always.
        """
        self.by_keyboard = True
        raise KeyboardInterrupt

    def watched(self, body: Callable[[], int]) -> int:
        """What the body returns or raises, if no signal came that somebody swallowed.

        Args:
            body: returns an exit code, 128 or more where it dealt with the interruption itself.

        Raises:
            KeyboardInterrupt: if one did; what went wrong after it, went wrong because of it.
        """
        try:
            code = body()
        except Exception as error:
            if self.has_come:
                raise KeyboardInterrupt from error
            raise
        if code < 128 and self.has_come:
            raise KeyboardInterrupt
        return code


@contextmanager
def interrupted_by_sigterm() -> Iterator[Termination]:
    """Let SIGTERM raise KeyboardInterrupt, and note Ctrl-C, where nobody handles or ignores it."""
    came = Termination()
    default: dict[signal.Signals, Any] = {
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGINT: signal.default_int_handler,
    }
    ours = {signal.SIGTERM: came.come, signal.SIGINT: came.come_by_keyboard}
    in_main_thread = threading.current_thread() is threading.main_thread()
    free = [one for one in ours if in_main_thread and signal.getsignal(one) is default[one]]
    for one in free:
        signal.signal(one, ours[one])
    try:
        yield came
    finally:
        for one in free:
            signal.signal(one, default[one])
