"""Keeps Lightning's notes about itself off the console; warnings of substance come through."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("lightning.pytorch", "lightning.fabric")
_NOT_FOR_US = (
    r".*does not have many workers.*",
    r".*is available but not used.*",
    r"This DataLoader will create.*",
    r".*isinstance\(treespec, LeafSpec\).*",
    r".*`broadcast_buffers` is deprecated.*",
)


@contextmanager
def quiet_lightning(speaks: bool = True) -> Iterator[None]:
    """Inside, Lightning logs warnings only, and does not give these pieces of advice.

    Args:
        speaks: whether this process is the one that warns; others say nothing at all.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in _NOT_FOR_US:
                warnings.filterwarnings("ignore", message)
            if not speaks:
                warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
