"""What each reader of NIR files really computes, and the file that makes it exact.

Measured with the versions in `Reader.title`; docs/export.md has the table. One file per reader. The
names are loaded when they are first used, so that importing the package is cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .known import READERS as READERS
    from .reader import Reader as Reader

_HOME = {"READERS": "known", "Reader": "reader"}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
