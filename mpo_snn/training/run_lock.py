"""One process at a time trains in a run directory; of several that train together, the first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from mpo_snn.errors import RunError
from mpo_snn.file_lock import kept_from_others
from mpo_snn.training.ranks import on_first
from mpo_snn.training.rundir import RECIPE, Run

WAIT = 10.0
"""Seconds that another process has to end: one whose parent was killed sees that and ends itself,
and so do the processes that read its data."""


class BusyRunError(RunError):
    """Another process trains in the run directory now."""


@contextmanager
def training_alone(run: Run) -> Iterator[None]:
    """Keep the run directory from other processes.

    The lock is on its recipe.yaml, which is there first and never written again.

    Raises:
        BusyRunError: if another process trains in it and does not end soon.
    """
    busy = BusyRunError(
        f"cannot train in '{run.path}': another process does so now. Wait for its end, or stop it"
        " first."
    )
    with ExitStack() as held:
        on_first(lambda: held.enter_context(kept_from_others(run.path / RECIPE, busy, WAIT)))
        yield
