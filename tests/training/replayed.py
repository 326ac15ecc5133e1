"""A recorder for CPUs: every operator that torch dispatches, done again on the same tensors.

As a CUDA graph does, it keeps the memory and the numbers of the recording: Python runs once, what a
name stands for afterwards does not matter, and nothing may come from the host or wait for a value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mpo_snn import device_constants
from mpo_snn.training.module import TrainingModule

REFUSED = ("_local_scalar_dense", "is_nonzero", "nonzero", "equal.default", "lift_fresh")


class _Tape(TorchDispatchMode):
    """Notes the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert not any(name in str(func) for name in REFUSED), f"{func} cannot be recorded"
        found = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, found))
        return found


def _is_view(func: Any) -> bool:
    """Whether an operator gives memory that it was given, and writes nothing."""
    aliases = [r.alias_info for r in func._schema.returns if r.alias_info is not None]
    return bool(aliases) and not any(alias.is_write for alias in aliases)


class Replay:
    """Recorder of `mpo_snn.training.step_graph`.

    Args:
        module: whose values a recording leaves alone.

    Attributes:
        recorded: how many functions, by all recorders.
        replayed: how often one was done again.
    """

    recorded = replayed = 0

    def __init__(self, module: TrainingModule) -> None:
        self.module = module

    def __call__(self, run: Callable[[], None]) -> Callable[[], None]:
        """Run it once, undo what this wrote and drew, and give what does it again."""
        values = [*self.module.parameters(), *self.module.buffers()]
        before, draws = [value.detach().clone() for value in values], torch.get_rng_state()
        with _Tape() as tape:
            run()
        with torch.no_grad():
            for value, old in zip(values, before, strict=True):
                value.copy_(old)
        torch.set_rng_state(draws)
        self._check_what_was_read(tape)
        calls = [call for call in tape.calls if not _is_view(call[0])]
        Replay.recorded += 1

        def replay() -> None:
            Replay.replayed += 1
            with torch.no_grad(), torch.autocast("cpu", enabled=False):
                for func, args, kwargs, found in calls:
                    again = func(*args, **kwargs)
                    for old, new in zip(tree_leaves(found), tree_leaves(again), strict=True):
                        if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                            old.copy_(new)

        return replay

    def _check_what_was_read(self, tape: _Tape) -> None:
        """Memory from outside is that of the module, of constants, of c, and of a batch: two.

        A GPU goes on reading where that lay, so it has to be something that stays.
        """
        stays = [
            *self.module.parameters(),
            *self.module.buffers(),
            *self.module.mpo._width_scale._kept.values(),
            *device_constants._kept.values(),
        ]
        known = {_memory(value) for value in stays}
        batch = set()
        for func, args, kwargs, found in tape.calls:
            read = {_memory(t) for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
            batch |= read - known
            if not _is_view(func):
                known |= {_memory(t) for t in tree_leaves(found) if isinstance(t, Tensor)}
        assert len(batch) <= 2, "the recording reads memory that may be another's tomorrow"


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
