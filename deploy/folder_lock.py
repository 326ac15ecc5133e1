"""One process at a time changes a deployment directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mpo_snn.errors import OutputError
from mpo_snn.file_lock import kept_from_others
from mpo_snn.files import make_folder

WAIT = 60.0
"""Seconds in which another may end: it holds the folder only while it writes its files."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made if it is absent; a kill leaves no lock behind.

    A folder that was made here and is empty when an error ends this is taken away again.

    Args:
        folder: its real path, no link.

    Raises:
        OutputError: if another process holds it and does not let go, or it cannot be made.
    """
    busy = OutputError(
        f"cannot write the deployment '{folder}': another mpo-deploy is writing there now. Wait for"
        " its end, or name another with --output."
    )
    while True:
        made = not folder.exists()
        try:
            seen = make_folder(folder).stat()
        except FileNotFoundError:
            continue
        with kept_from_others(folder, busy, WAIT):
            if not _is(folder, seen):  # whoever held it before has taken it away
                continue
            try:
                yield
            except BaseException:
                if made:
                    with suppress(OSError):
                        folder.rmdir()
                raise
            return


def _is(folder: Path, seen: os.stat_result) -> bool:
    """Whether a folder is the one that was seen."""
    try:
        return os.path.samestat(folder.stat(), seen)
    except FileNotFoundError:
        return False
