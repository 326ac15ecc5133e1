"""Keeps a file to one process at a time, for as long as that process lives.

The lock is flock's, which the kernel takes back when its holder ends, however it ends. Where the
platform or the file system has none, nobody is kept away.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mpo_snn.errors import MpoError

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

LOOK_EVERY = 0.1
"""Seconds between two tries."""


@contextmanager
def kept_from_others(path: Path, busy: MpoError, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock of a file, which is neither read nor changed.

    Args:
        path: an existing file that nobody replaces meanwhile.
        busy: raised if another process holds it.
        wait: seconds in which it may still let go.
    """
    handle = _opened(path)
    try:
        if handle is not None and not _taken(handle, wait):
            raise busy
        yield
    finally:
        if handle is not None:
            _let_go(handle)


def _opened(path: Path) -> int | None:
    """The file, for writing where that is allowed: NFS locks no other; None if it cannot be."""
    for mode in (os.O_RDWR, os.O_RDONLY):
        try:
            return os.open(path, mode)
        except OSError:
            continue
    return None


def _taken(handle: int, wait: float) -> bool:
    """Whether the lock is there, or there are none."""
    if fcntl is None:
        return True
    end = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
        except OSError:  # this file system has no locks
            return True
        time.sleep(LOOK_EVERY)


def _let_go(handle: int) -> None:
    """Unlock and close; a process that was forked off may have the file open still."""
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_UN)
    except OSError:
        pass
    finally:
        os.close(handle)
