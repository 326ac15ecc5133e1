"""Runs a piece of code that may change a module, and leaves the module as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass
class Assigned:
    """Attributes that the code gave other values, by dotted name, with these values."""

    values: dict[str, Any]


@contextmanager
def untouched(network: nn.Module) -> Iterator[Assigned]:
    """Put back every attribute, buffer and container of the network and its submodules.

    Tensors that were changed in place get their values back. It holds as well where the code ends
    in an exception. What lies outside the modules, or deeper than one container, is not looked at.

    Args:
        network: any module.

    Yields:
        what was assigned meanwhile, filled in when the code has ended.
    """
    modules = {name: (module, _Memory(module)) for name, module in network.named_modules()}
    assigned = Assigned({})
    try:
        yield assigned
    finally:
        for name, (module, memory) in modules.items():
            prefix = f"{name}." if name else ""
            found = memory.assigned(module)
            assigned.values.update({prefix + key: value for key, value in found.items()})
            memory.restore(module)


class _Memory:
    """What one module holds."""

    def __init__(self, module: nn.Module) -> None:
        self.attributes, self.buffers = dict(module.__dict__), dict(module._buffers)
        self.contents = {
            key: value.copy()
            for key, value in self.attributes.items()
            if isinstance(value, dict | list | set)
        }
        tensors = [*self.attributes.values(), *module._buffers.values()]
        self.tensors = [
            (tensor, tensor._version, tensor.detach().clone())
            for tensor in tensors
            if type(tensor) is Tensor and not tensor.is_inference()
        ]

    def assigned(self, module: nn.Module) -> dict[str, Any]:
        """Attributes and buffers that are not what they were."""
        before = {**self.attributes, **self.buffers}
        now = {**module.__dict__, **module._buffers}
        gone = object()
        return {key: value for key, value in now.items() if value is not before.get(key, gone)}

    def restore(self, module: nn.Module) -> None:
        """Give the module back what it held."""
        if not _is_same(module.__dict__, self.attributes):
            module.__dict__.clear()
            module.__dict__.update(self.attributes)
        for key, content in self.contents.items():
            container = module.__dict__[key]
            if isinstance(container, list):
                container[:] = content
            elif not _is_same(container, content):
                container.clear()
                container.update(content)
        with torch.no_grad():
            for tensor, version, values in self.tensors:
                if tensor._version != version:
                    tensor.copy_(values)


def _is_same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return list(a) == list(b) and all(a[key] is b[key] for key in a)
    return bool(a == b)
