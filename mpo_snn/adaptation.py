"""Turns the snnTorch neurons of somebody's own network into MPO neurons."""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

import snntorch
from torch import nn

from mpo_snn.errors import MpoError
from mpo_snn.leaky import MPOLeaky
from mpo_snn.neurons import MPONeuron
from mpo_snn.synaptic import MPOSynaptic

Network = TypeVar("Network", bound=nn.Module)


def adapt(network: Network) -> Network:
    """Replace every `snntorch.Leaky` and `snntorch.Synaptic` in place.

    Parameters, reset and calling convention are kept. The input gain stays `unit`, as snnTorch has
    it. Only the backward pass changes: the surrogate becomes the one that MPO steers. The optimiser
    must be built afterwards, for learnable leaks and thresholds are new parameters.

    One reset of snnTorch cannot be kept to the letter: with `reset_mechanism="subtract"` and
    `reset_delay=False` it gives part of a reset back where the membrane exceeds twice the threshold
    (`MPOLeaky`). A warning says so.

    Raises:
        MpoError: naming every neuron that has no equal here (other classes than Leaky and Synaptic,
            inhibition, state quantisation, graded spikes, a Synaptic that loses the current of the
            step after its reset to zero). Nothing is replaced then.
    """
    if isinstance(network, snntorch.SpikingNeuron):
        kind = type(network).__name__
        raise MpoError(f"cannot adapt a bare {kind}: pass the network that contains it.")
    found = {
        name: module
        for name, module in network.named_modules(remove_duplicate=False)
        if isinstance(module, snntorch.SpikingNeuron) and not isinstance(module, MPONeuron)
    }
    findings = [line for name, neuron in found.items() for line in _findings(name, neuron)]
    if findings:
        raise MpoError("cannot adapt the network", findings)
    new = {neuron: _converted(neuron) for neuron in found.values()}
    for name, neuron in found.items():
        parent, _, child = name.rpartition(".")
        setattr(network.get_submodule(parent), child, new[neuron])
    if any(neuron.init_hidden for neuron in found.values()):
        warnings.warn(
            "neurons with init_hidden=True were adapted: reset them with"
            " mpo_snn.reset_hidden(network); snntorch.utils.reset does not reach them.",
            stacklevel=2,
        )
    approximate = [
        name
        for name, neuron in found.items()
        if neuron.reset_mechanism == "subtract" and not neuron.reset_delay
    ]
    if approximate:
        warnings.warn(
            f"neurons {', '.join(approximate)} subtract within the step: MPO neurons follow the"
            " equation, snnTorch does so only up to twice the threshold; above it, spikes differ.",
            stacklevel=2,
        )
    return network


def _converted(neuron: snntorch.LIF) -> MPONeuron:
    arguments: dict[str, Any] = {
        "beta": neuron.beta.detach().clamp(0.0, 1.0),
        "threshold": neuron.threshold.detach(),
        "reset": neuron.reset_mechanism,
        "reset_timing": "next" if neuron.reset_delay else "step",
        "input_gain": "unit",
        "learn_beta": isinstance(neuron.beta, nn.Parameter),
        "learn_threshold": isinstance(neuron.threshold, nn.Parameter),
        "init_hidden": neuron.init_hidden,
        "output": neuron.output,
    }
    if isinstance(neuron, snntorch.Synaptic):
        arguments["alpha"] = neuron.alpha.detach().clamp(0.0, 1.0)
        arguments["learn_alpha"] = isinstance(neuron.alpha, nn.Parameter)
        adapted: MPONeuron = MPOSynaptic(**arguments)
    else:
        adapted = MPOLeaky(**arguments)
    adapted.to(neuron.threshold.device).train(neuron.training)
    return adapted


def _findings(name: str, neuron: snntorch.SpikingNeuron) -> list[str]:
    kind = type(neuron).__name__
    if type(neuron) not in (snntorch.Leaky, snntorch.Synaptic):
        return [
            f"neuron '{name}' is a {kind}: only snntorch.Leaky and snntorch.Synaptic can be"
            " adapted."
        ]
    findings = []
    if kind == "Synaptic" and neuron.reset_mechanism == "zero" and neuron.reset_delay:
        findings.append(
            f"neuron '{name}' is a Synaptic that loses the current of the step after each spike"
            " (reset_mechanism zero, reset_delay=True), which has no equal: build it with"
            " reset_delay=False, which does not."
        )
    if not bool((neuron.threshold > 0).all()):
        findings.append(f"neuron '{name}' has a threshold that is not above 0.")
    if neuron.inhibition:
        findings.append(f"neuron '{name}' has inhibition, which has no equal: remove it.")
    if neuron.state_quant:
        findings.append(f"neuron '{name}' has state_quant, which has no equal: remove it.")
    if neuron.graded_spikes_factor.requires_grad or float(neuron.graded_spikes_factor) != 1.0:
        findings.append(
            f"neuron '{name}' has graded_spikes_factor, allowed is 1: move the factor into the"
            " weights that follow."
        )
    return findings
