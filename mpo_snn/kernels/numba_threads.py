"""Blocks of neurons shared out among threads: as many as torch has been told to use."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch

WORTH = 2**15
"""Values a thread must have to do: waking one takes as long as some ten thousand of them."""


def share_out(run: Callable[[int, int], Any], blocks: int, values: int) -> list[Any]:
    """Call `run(first, last)` on parts of the blocks, at once, and return what they return.

    Args:
        run: does the blocks `first` to `last`, without the interpreter's lock.
        blocks: how many there are.
        values: how many values they have in all.
    """
    threads = min(torch.get_num_threads(), blocks, values // WORTH)
    if threads < 2:
        return [run(0, blocks)]
    bounds = [blocks * i // threads for i in range(threads + 1)]
    others = [_pool(threads).submit(run, *bounds[i : i + 2]) for i in range(1, threads)]
    return [run(0, bounds[1]), *(other.result() for other in others)]


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads - 1, thread_name_prefix="mpo-snn")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork
