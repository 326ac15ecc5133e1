"""Driving a torch reader one timestep after the other, with the spikes of its neuron layers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from protocol import Recording
from torch import nn


@torch.no_grad()
def run_steps(model: nn.Module, x: np.ndarray, is_neuron: Callable[[nn.Module], bool]) -> Recording:
    """Call `model(x_t, state) -> (output, state)` for every timestep, from no state.

    Args:
        model: what the reader made of the file; its state is handed from step to step.
        x: (time, batch, *features).
        is_neuron: which submodules to record; the first of what they return are their spikes.
    """
    layers: dict[str, list[torch.Tensor]] = {}
    for name, module in model.named_modules():
        if is_neuron(module):
            layers[name] = []
            module.register_forward_hook(_keeping(layers[name]))
    outputs, state = [], None
    for x_t in torch.from_numpy(x):
        returned = model(x_t, state)
        if not isinstance(returned, tuple) or len(returned) != 2:
            raise TypeError(f"the model returned {_describe(returned)}, expected (output, state)")
        output, state = returned
        if not isinstance(output, torch.Tensor):
            raise TypeError(f"the output is {_describe(output)}, expected a tensor")
        outputs.append(output)
    shown = {name: torch.stack(steps).numpy() for name, steps in layers.items() if steps}
    return torch.stack(outputs).numpy(), shown


def _keeping(steps: list[torch.Tensor]) -> Callable[..., None]:
    def keep(module: nn.Module, inputs: object, returned: object) -> None:
        steps.append(returned[0] if isinstance(returned, tuple) else returned)

    return keep


def _describe(value: object) -> str:
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return type(value).__name__
