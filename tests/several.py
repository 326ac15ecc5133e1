"""Processes on this machine that find each other as those of torchrun do."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable
from typing import Any

import torch

# A server that has loaded torch and Lightning once starts a fresh process in milliseconds.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.warm"])


def run_in_rank(work: Callable[..., None], number: int, count: int, port: int, rest: Any) -> None:
    os.environ |= {
        "TORCHELASTIC_RUN_ID": "test",
        "RANK": str(number),
        "LOCAL_RANK": str(number),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    torch.set_num_threads(1)
    work(*rest)


def start(count: int, work: Callable[..., None], *rest: Any) -> list[Any]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [
        processes.Process(target=run_in_rank, args=(work, number, count, port, rest))
        for number in range(count)
    ]
    for process in started:
        process.start()
    return started


def exit_codes(started: list[Any]) -> list[int]:
    for process in started:
        process.join(100)
    codes = [process.exitcode for process in started]
    for process in started:
        process.kill()
    return codes
