"""The processes of one training run, as torchrun starts them: who is who, what they agree on.

torchrun says in the environment of each process which one it is; nothing else is looked at. The
process group is that of the GPUs (NCCL) or of the CPU (gloo), and beside it one of gloo for the few
Python objects that are exchanged.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from mpo_snn.errors import MpoError

T = TypeVar("T")
E = TypeVar("E", bound=MpoError)


@dataclass(frozen=True)
class Rank:
    """Which process of a run this is.

    Attributes:
        number: among all, from 0; the first one writes and speaks for all.
        count: how many there are.
        local: among those of this machine, from 0.
        local_count: how many this machine has.
    """

    number: int = 0
    count: int = 1
    local: int = 0
    local_count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether it writes and speaks for all."""
        return self.number == 0

    @property
    def machines(self) -> int:
        """How many machines there are; all have as many processes."""
        return self.count // self.local_count


def rank() -> Rank:
    """Which process this is; the only one where torchrun did not start it."""
    found = os.environ
    if "TORCHELASTIC_RUN_ID" not in found:
        return Rank()
    return Rank(
        int(found["RANK"]),
        int(found["WORLD_SIZE"]),
        int(found["LOCAL_RANK"]),
        int(found["LOCAL_WORLD_SIZE"]),
    )


_objects: list[Any] = []
"""The group in which objects are exchanged, once there is one."""


def join(device: str) -> None:
    """Meet the other processes, once; nothing where there are none.

    Args:
        device: `cuda` or `cpu`, where the training runs.
    """
    me = rank()
    if me.count == 1 or _objects:
        return
    import torch
    import torch.distributed as dist

    if not dist.is_initialized():
        if device == "cuda":
            torch.cuda.set_device(me.local)
            dist.init_process_group("nccl", device_id=torch.device("cuda", me.local))
        else:
            dist.init_process_group("gloo")
    _objects.append(dist.new_group(backend="gloo"))


def has_met() -> bool:
    """Whether `join` was called, where there are several processes."""
    return bool(_objects)


def leave() -> None:
    """End what `join` began, when all is done."""
    if _objects:
        import torch.distributed as dist

        _objects.clear()
        if dist.is_initialized():
            dist.destroy_process_group()


def gathered(value: T) -> list[T]:
    """The value of every process, by rank."""
    me = rank()
    if me.count == 1:
        return [value]
    import torch.distributed as dist

    found: list[Any] = [None] * me.count
    dist.all_gather_object(found, value, group=_objects[0])
    return found


def together(work: Callable[[], T]) -> T:
    """Do some work in every process; all are through with it, or all stop.

    Raises:
        MpoError: that of the first process that has one, in all of them (`is_told`).
    """
    if rank().count == 1:
        return work()
    result: Any = None
    error: MpoError | None = None
    try:
        result = work()
    except MpoError as found:
        error = found
    for one in gathered(error):
        if one is not None:
            raise told_by_first(one)
    return result  # type: ignore[no-any-return]


def on_first(work: Callable[[], T]) -> T:
    """What the first process makes of some work, in every process.

    Raises:
        MpoError: if it raises one, in all of them (`is_told`).
    """
    result = gathered(together(lambda: work() if rank().is_first else None))[0]
    return result  # type: ignore[return-value]


def told_by_first(error: E) -> E:
    """The error, marked as one that every process raises."""
    error.told_by_first = True  # type: ignore[attr-defined]
    return error


def is_told(error: MpoError) -> bool:
    """Whether all processes raise this error and the first one tells it."""
    return getattr(error, "told_by_first", False) and not rank().is_first
