"""Turns the snnTorch neurons of somebody's own network into MPO neurons."""

from __future__ import annotations

import warnings
from typing import TypeVar

import snntorch
from torch import nn

from mpo_snn.errors import MpoError
from mpo_snn.neurons import MPOLeaky

Network = TypeVar("Network", bound=nn.Module)


def adapt(network: Network) -> Network:
    """Replace every `snntorch.Leaky` in place, parameters, reset and calling convention kept.

    The input gain stays `unit`, as snnTorch has it. Only the backward pass changes: the surrogate
    becomes the one that MPO steers. The optimiser must be built afterwards, for learnable beta and
    threshold are new parameters.

    One neuron of snnTorch cannot be kept to the letter: with `reset_mechanism="subtract"` and
    `reset_delay=False` it gives part of a reset back where the membrane exceeds twice the threshold
    (`MPOLeaky`). A warning says so.

    Raises:
        MpoError: naming every neuron that has no equal here (other classes than Leaky, inhibition,
            state quantisation, graded spikes). Nothing is replaced then.
    """
    if isinstance(network, snntorch.Leaky):
        raise MpoError("cannot adapt a bare Leaky: pass the network that contains it.")
    found = {
        name: module
        for name, module in network.named_modules(remove_duplicate=False)
        if isinstance(module, snntorch.SpikingNeuron) and not isinstance(module, MPOLeaky)
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
            f"neurons {', '.join(approximate)} subtract within the step: MPOLeaky follows the"
            " equation, snnTorch does so only up to twice the threshold; above it, spikes differ.",
            stacklevel=2,
        )
    return network


def _converted(neuron: snntorch.Leaky) -> MPOLeaky:
    adapted = MPOLeaky(
        neuron.beta.detach().clamp(0.0, 1.0),
        neuron.threshold.detach(),
        reset=neuron.reset_mechanism,
        reset_timing="next" if neuron.reset_delay else "step",
        input_gain="unit",
        learn_beta=isinstance(neuron.beta, nn.Parameter),
        learn_threshold=isinstance(neuron.threshold, nn.Parameter),
        init_hidden=neuron.init_hidden,
        output=neuron.output,
    )
    adapted.to(neuron.threshold.device).train(neuron.training)
    return adapted


def _findings(name: str, neuron: snntorch.SpikingNeuron) -> list[str]:
    kind = type(neuron).__name__
    if type(neuron) is not snntorch.Leaky:
        return [f"neuron '{name}' is a {kind}: only snntorch.Leaky can be adapted."]
    findings = []
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
