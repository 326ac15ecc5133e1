"""Runs a network that is written for one timestep over all of them, layer by layer.

Stateless layers see time folded into the batch, neurons run one scan over time, and what does not
depend on time is computed once. In eval mode this equals the loop over timesteps spike for spike.
In training, batchnorm has two named modes:

- `folded` (default): statistics over time and batch together, as if all timesteps were one batch
  (threshold-dependent batchnorm's choice); running statistics are updated once.
- `per_step`: each timestep is normalised by itself and updates the running statistics in turn,
  as the loop over timesteps does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mpo_snn.errors import RecipeError, ShapeError, UnrollError
from mpo_snn.neurons import MPONeuron, neurons_of
from mpo_snn.repeated import repeated
from mpo_snn.spiking_convolution import SpikingConvolution
from mpo_snn.timestep_state import membrane_read
from mpo_snn.trace import trace_timestep
from mpo_snn.traced_operation import Name, Operation, operations_of, with_values

BatchNormMode = Literal["folded", "per_step"]
Observer = Callable[[str, Tensor, Tensor], None]
_MEMBRANE = ".membrane"
"""Name of the membrane that the network is read out by, among the values inside it."""


@dataclass
class _Value:
    """A value inside the network: (batch, ...) while constant in time, else (time, batch, ...)."""

    tensor: Tensor
    constant: bool


class Unrolled(nn.Module):
    """A one-timestep network, run over `timesteps` of them.

    Args:
        network: plain torch.nn with MPO neurons; its forward is one timestep.
        timesteps: T, at least 1; may be set anew between two calls.
        batchnorm: how batchnorm sees time in training mode.
        events: whether convolutions go over to events while their input is sparse, on a CPU
            (`mpo_snn.spiking_convolution`).

    Raises:
        UnrollError: if forward cannot be read as one timestep; all reasons at once.
        RecipeError: if timesteps, batchnorm or events is out of range.
    """

    def __init__(
        self,
        network: nn.Module,
        timesteps: int,
        batchnorm: BatchNormMode = "folded",
        events: bool = True,
    ) -> None:
        """Trace the network once."""
        super().__init__()
        if timesteps < 1:
            raise RecipeError(f"timesteps is {timesteps}, allowed is 1 or more.")
        if batchnorm not in get_args(BatchNormMode):
            raise RecipeError(f"batchnorm is '{batchnorm}', allowed are folded, per_step.")
        if not isinstance(events, bool):
            raise RecipeError(f"events is {events!r}, allowed are True and False.")
        self.network = network
        self.timesteps = timesteps
        self.batchnorm: BatchNormMode = batchnorm
        self.events = events
        self._trace()

    def _trace(self) -> None:
        self.graph = trace_timestep(self.network)
        self._operations = operations_of(self.graph)
        self._read_out = membrane_read(self.network, self.graph)
        self._convolutions: dict[nn.Module, SpikingConvolution] = {}

    @property
    def neurons(self) -> dict[str, MPONeuron]:
        """The neurons by name, in the order in which they run."""
        known = neurons_of(self.network)
        return {str(n.target): known[str(n.target)] for n in self.graph.nodes if n.target in known}

    @property
    def spiking(self) -> dict[str, MPONeuron]:
        """The neurons whose spikes do something: not one that gives its membrane and never resets.

        Spikes of a layer that the network is read out by are read by its own reset alone.
        """
        return {
            name: neuron
            for name, neuron in self.neurons.items()
            if name != self._read_out or neuron.reset_kind != "none"
        }

    def forward(self, x: Tensor, observe: Observer | None = None) -> Tensor:
        """Outputs of all timesteps.

        Args:
            x: input, (time, batch, *features); a time stride of 0 (`x.expand(T, ...)`, as
                `mpo_snn.encoding` gives for direct coding) marks it as constant in time.
            observe: called with name, spikes and membrane of every neuron layer,
                (time, batch, *features) each, as it runs.

        Returns:
            output of the network at every timestep, (time, batch, *outputs): logits, spikes, or
            the membrane in volt as single steps return it, whatever forward returns first.

        Raises:
            ShapeError: if the time axis is not `timesteps` long.
        """
        if x.dim() < 2 or x.shape[0] != self.timesteps:
            raise ShapeError(
                f"input of Unrolled has shape {tuple(x.shape)}, expected"
                f" ({self.timesteps}, batch, ...): time first."
            )
        constant = self.timesteps > 1 and x.stride(0) == 0
        values: dict[str, Any] = {}
        result: Tensor | None = None
        for operation in self._operations:
            name, op, args = operation.name, operation.op, operation.args
            if op == "placeholder":
                first = not values
                values[name] = _Value(x[0] if constant else x, constant) if first else None
            elif op == "output":
                result = self._over_time(_first(args[0], values))
            elif op == "call_module":
                values[name] = self._run_layer(operation, values, observe)
            elif op == "call_function" and operation.target.__name__ == "getitem":
                values[name] = values.get(args[0].name if args[1] == 0 else _MEMBRANE)
            else:
                values[name] = self._run_function(operation, values)
            for done in operation.done:
                values.pop(done, None)
        if result is None:
            raise UnrollError("the network returns nothing: return the logits of one timestep.")
        return result

    def _run_layer(
        self, operation: Operation, values: dict[str, Any], observe: Observer | None
    ) -> _Value:
        layer = self.network.get_submodule(operation.target)
        x: _Value = values[operation.args[0].name]
        if isinstance(layer, MPONeuron):
            return self._run_neuron(layer, operation.target, x, values, observe)
        if isinstance(layer, _BatchNorm) and (layer.training or layer.running_mean is None):
            return self._run_batchnorm(layer, x)
        if isinstance(layer, nn.Dropout | nn.Dropout2d) and layer.training:
            x = _Value(self._over_time(x), False)
        return self._fold(x, layer)

    def _run_neuron(
        self,
        neuron: MPONeuron,
        name: str,
        x: _Value,
        values: dict[str, Any],
        observe: Observer | None,
    ) -> _Value:
        current = self._over_time(x)
        if name == self._read_out:
            spk, v, membrane = neuron.scan_membrane(current)
            values[_MEMBRANE] = _Value(membrane, False)
        elif observe is None:
            return _Value(neuron.scan_spikes(current), False)
        else:
            spk, v = neuron.scan(current)
        if observe is not None:
            observe(name, spk, v)
        return _Value(spk, False)

    def _run_function(self, operation: Operation, values: dict[str, Any]) -> _Value:
        inputs = [values[name] for name in operation.inputs]
        constant = all(value.constant for value in inputs)
        tensors = {
            name: value.tensor if constant else self._over_time(value).flatten(0, 1)
            for name, value in zip(operation.inputs, inputs, strict=True)
        }
        args = with_values(operation.args, Name, lambda n: tensors[n.name])
        kwargs = with_values(operation.kwargs, Name, lambda n: tensors[n.name])
        if operation.op == "call_method":
            result = getattr(args[0], operation.target)(*args[1:], **kwargs)
        else:
            result = operation.target(*args, **kwargs)
        batch = next(iter(tensors.values())).shape[0]
        if result.dim() == 0 or result.shape[0] != batch:
            raise UnrollError(
                f"operation '{operation.name}' mixes the samples of a batch:"
                f" {batch} went in, shape {tuple(result.shape)} came out."
                " Keep the first axis, e.g. torch.flatten(x, 1)."
            )
        return _Value(result if constant else result.unflatten(0, (self.timesteps, -1)), constant)

    def _run_batchnorm(self, layer: _BatchNorm, x: _Value) -> _Value:
        if self.batchnorm == "per_step" or not layer.training:
            if not x.constant:
                return _Value(torch.stack([layer(step) for step in x.tensor]), False)
            result = layer(x.tensor)
            with torch.no_grad():
                for _ in range(self.timesteps - 1):
                    layer(x.tensor)
            return _Value(result, True)
        is_shared = isinstance(layer, nn.SyncBatchNorm)  # whose count is that of all processes
        if x.constant and not is_shared and x.tensor.numel() > x.tensor.shape[1]:
            return _Value(_batchnorm_of_repeats(layer, x.tensor, self.timesteps), True)
        return self._fold(_Value(self._over_time(x), False), layer)

    def _fold(self, x: _Value, layer: nn.Module) -> _Value:
        if x.constant:
            return _Value(layer(x.tensor), True)
        run: Callable[[Tensor], Tensor] = layer
        if self.events and type(layer) is nn.Conv2d:
            run = self._convolutions.setdefault(layer, SpikingConvolution(layer))
        result = run(x.tensor.flatten(0, 1))
        return _Value(result.unflatten(0, (self.timesteps, -1)), False)  # type: ignore[no-untyped-call]

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: without the trace, which belongs to this very network."""
        state = self.__dict__.copy()
        del state["graph"], state["_operations"], state["_read_out"], state["_convolutions"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Trace the network of the copy."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._trace()

    def _over_time(self, x: _Value) -> Tensor:
        return repeated(x.tensor, self.timesteps) if x.constant else x.tensor


def _batchnorm_of_repeats(layer: _BatchNorm, x: Tensor, repeats: int) -> Tensor:
    """Batchnorm of x repeated `repeats` times, computed on x alone.

    Mean and biased variance are those of x; only the running variance, which is unbiased, sees the
    larger count: its update is scaled by (n - 1)/n * nT/(nT - 1).
    """
    if not layer.track_running_stats or layer.running_var is None:
        return layer(x)  # type: ignore[no-any-return]
    before = layer.running_var.clone()
    result: Tensor = layer(x)
    count = x.numel() // x.shape[1]
    momentum = layer.momentum
    if momentum is None:
        assert layer.num_batches_tracked is not None, "batchnorm without a count of batches"
        momentum = 1.0 / float(layer.num_batches_tracked)
    with torch.no_grad():
        kept = before * (1.0 - momentum)
        scale = (count - 1) / count * (count * repeats) / (count * repeats - 1)
        # .data: the backward pass holds the buffer, but never reads it in training mode.
        layer.running_var.data.copy_(kept + (layer.running_var - kept) * scale)
    return result


def _first(output: Any, values: dict[str, Any]) -> _Value:
    while isinstance(output, tuple | list):
        output = output[0]
    value = values.get(output.name) if isinstance(output, Name) else None
    if value is None:
        raise UnrollError(
            "the first thing that forward returns must be the network's output (logits, spikes or"
            " a membrane); states may follow."
        )
    return value  # type: ignore[no-any-return]
