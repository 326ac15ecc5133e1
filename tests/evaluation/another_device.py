"""A device that is not the CPU, for machines that have none: a backend of torch in Python.

Its tensors hold their values on the CPU, so that these can be compared. Like a GPU it refuses to
compute with tensors that lie on both sides, and everything that goes to the host is noted.
`register` is for a whole process: tests run it in one of their own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

NAME = "elsewhere"
READS = ("_local_scalar_dense", "nonzero", "equal", "is_nonzero")
"""Operators after which Python, or the size of a result, needs a value: a GPU is waited for."""
MOVES = ("_to_copy", "copy_")


def register() -> None:
    """Make torch know the device."""
    module = backend_registration._DummyBackendModule()
    module.get_amp_supported_dtype = lambda: [torch.bfloat16]
    backend_registration._setup_privateuseone_for_python_backend(NAME, module)


class Held(Tensor):
    """A tensor of the device."""

    value: Tensor

    @staticmethod
    def __new__(cls, value: Tensor) -> Held:
        made = Tensor._make_wrapper_subclass(
            cls,
            value.shape,
            strides=value.stride(),
            storage_offset=value.storage_offset(),
            dtype=value.dtype,
            device=torch.device(NAME, 0),
        )
        made.value = value
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} outside of the device's mode")


class Device(TorchDispatchMode):
    """While it is entered, computes what belongs to the device.

    Attributes:
        kernels: operators that ran there.
        to_host: operators that brought something from there to the host, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kernels, self.to_host = 0, []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = func._schema.name.partition("::")[2]
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        is_here = any(isinstance(t, Held) for t in tensors)
        if is_here and name not in MOVES:
            apart = [t for t in tensors if not isinstance(t, Held) and t.dim()]
            assert not apart, f"{func}: tensors on {NAME} and on the CPU"
        stays = is_here
        if kwargs.get("device") is not None:
            stays = torch.device(kwargs["device"]).type == NAME
            kwargs["device"] = torch.device("cpu")
        elif name == "copy_":
            stays = isinstance(args[0], Held)
        self.kernels += stays
        if is_here and (name in READS or (name in MOVES and not stays)):
            self.to_host.append(name)
        values = {id(_value(t)): t for t in tensors}
        found = func(*tree_map(_value, args), **tree_map(_value, kwargs))
        return tree_map(lambda r: _wrapped(r, values, stays), found)


def _value(item: Any) -> Any:
    return item.value if isinstance(item, Held) else item


def _wrapped(result: Any, arguments: dict[int, Tensor], stays: bool) -> Any:
    """A result as the caller sees it; what was written in place is the argument itself."""
    if not isinstance(result, Tensor):
        return result
    if id(result) in arguments:
        return arguments[id(result)]
    return Held(result) if stays else result
