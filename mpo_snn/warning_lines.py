"""Warnings of this package as a command tells them: a line, without the place in our source."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import mpo_snn

_PACKAGE = str(Path(mpo_snn.__file__).parent)


@contextmanager
def warnings_in_a_line(name: str) -> Iterator[None]:
    """Print `name: warning: ...` on stderr for what this package warns of; others stay as they are.

    Args:
        name: of the command.
    """
    shown_before = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if category is UserWarning and filename.startswith(_PACKAGE):
            sys.stdout.flush()
            print(f"{name}: warning: {message}", file=sys.stderr)
        else:
            shown_before(message, category, filename, lineno, file, line)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = shown_before
