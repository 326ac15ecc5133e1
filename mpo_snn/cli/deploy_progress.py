"""What `mpo-deploy` is at: a bar where somebody watches, a line for each stage elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Stages = tuple[Callable[[str, int], None], Callable[[int], None]]


@contextmanager
def stages(name: str) -> Iterator[Stages]:
    """What tells on stderr that a stage begins, and how far it is.

    Args:
        name: of the command, in front of every line.

    Yields:
        `tell(stage, samples)`, of a stage that is done sample by sample, or at once (0); and
        `advance(samples)`.
    """
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not console.is_terminal:
        yield (
            lambda stage, _: print(f"{name}: {stage}", file=sys.stderr, flush=True),
            lambda _: None,
        )
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield (
            lambda stage, samples: bar.reset(task, total=samples or None, description=stage),
            lambda samples: bar.advance(task, samples),
        )
