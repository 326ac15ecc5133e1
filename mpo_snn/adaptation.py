"""Turns the snnTorch neurons of somebody's own network into MPO neurons."""

from __future__ import annotations

import warnings
from typing import Any, Literal, TypeVar, get_args

import snntorch
from torch import nn

from mpo_snn.errors import MpoError
from mpo_snn.leaky import MPOLeaky
from mpo_snn.neurons import MPONeuron
from mpo_snn.snntorch_surrogate import shape_and_slope, was_chosen
from mpo_snn.surrogate import Shape
from mpo_snn.synaptic import MPOSynaptic

Network = TypeVar("Network", bound=nn.Module)


def adapt(
    network: Network,
    *,
    surrogate: Shape | Literal["keep"] | None = None,
    width: float | None = None,
) -> Network:
    """Replace every `snntorch.Leaky` and `snntorch.Synaptic` in place.

    Parameters, reset and calling convention are kept. The input gain stays `unit`, as snnTorch has
    it. Only the backward pass changes: by default every neuron gets the surrogate that `MPOLeaky`
    has by itself, a sigmoid of width 0.5 volt, whatever it had; a warning names those that had
    another than snnTorch's own default, `atan()`. The optimiser must be built afterwards, for
    learnable leaks and thresholds are new parameters.

    One reset of snnTorch cannot be kept to the letter: with `reset_mechanism="subtract"` and
    `reset_delay=False` it gives part of a reset back where the membrane exceeds twice the threshold
    (`MPOLeaky`). A warning says so.

    Args:
        network: whose neurons are replaced; returned.
        surrogate: shape of every surrogate (`mpo_snn.surrogate`). None is `sigmoid`, with the
            warning. `keep` leaves each neuron its own: `atan` and `sigmoid` of snnTorch are shapes
            here, to the same gradient, whose width MPO may adapt; any other function stays one
            (`spike_grad`), which MPO takes with `MPOSettings(adapt_width=False)`.
        width: of every surrogate in volt, > 0; None is 0.5. Not with `keep`.

    Raises:
        MpoError: naming every neuron that has no equal here (other classes than Leaky and Synaptic,
            inhibition, state quantisation, graded spikes, a Synaptic that loses the current of the
            step after its reset to zero; with `keep`, a neuron without a surrogate). Nothing is
            replaced then. Likewise if the surrogate is unknown, or a width is given with `keep`.
        RecipeError: if the width is not above 0.
    """
    _check_surrogate(surrogate, width)
    if isinstance(network, snntorch.SpikingNeuron):
        kind = type(network).__name__
        raise MpoError(f"cannot adapt a bare {kind}: pass the network that contains it.")
    found = {
        name: module
        for name, module in network.named_modules(remove_duplicate=False)
        if isinstance(module, snntorch.SpikingNeuron) and not isinstance(module, MPONeuron)
    }
    keep = surrogate == "keep"
    findings = [line for name, neuron in found.items() for line in _findings(name, neuron, keep)]
    if findings:
        raise MpoError("cannot adapt the network", findings)
    replaced = [name for name, neuron in found.items() if was_chosen(neuron)]
    new = {neuron: _converted(neuron, surrogate, width) for neuron in found.values()}
    for name, neuron in found.items():
        parent, _, child = name.rpartition(".")
        setattr(network.get_submodule(parent), child, new[neuron])
    if any(neuron.init_hidden for neuron in found.values()):
        warnings.warn(
            "neurons with init_hidden=True were adapted: reset them with"
            " mpo_snn.reset_hidden(network); snntorch.utils.reset does not reach them.",
            stacklevel=2,
        )
    if surrogate is None and replaced:
        warnings.warn(
            f"neurons {', '.join(replaced)} had a surrogate that somebody chose, and now have a"
            f" sigmoid of width {0.5 if width is None else width:g}: adapt(network,"
            " surrogate='keep') keeps it, surrogate='sigmoid' says that this is meant.",
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


def _check_surrogate(surrogate: str | None, width: float | None) -> None:
    words = (*get_args(Shape), "keep")
    if surrogate is not None and surrogate not in words:
        raise MpoError(
            f"cannot adapt the network: surrogate is '{surrogate}', allowed are"
            f" {', '.join(words)}; a function goes into MPOLeaky(spike_grad=...)."
        )
    if surrogate == "keep" and width is not None:
        raise MpoError(
            f"cannot adapt the network: surrogate='keep' keeps every width, and width is {width}:"
            " leave one of them out."
        )


def _surrogate_of(
    neuron: snntorch.LIF, surrogate: str | None, width: float | None
) -> dict[str, Any]:
    """What an MPO neuron is given as its surrogate."""
    if surrogate != "keep":
        given = {"surrogate": surrogate, "width": width}
        return {name: value for name, value in given.items() if value is not None}
    known = shape_and_slope(neuron.spike_grad)
    if known is None:
        return {"spike_grad": neuron.spike_grad}
    return {"surrogate": known[0], "slope": known[1]}


def _converted(neuron: snntorch.LIF, surrogate: str | None, width: float | None) -> MPONeuron:
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
        **_surrogate_of(neuron, surrogate, width),
    }
    if isinstance(neuron, snntorch.Synaptic):
        arguments["alpha"] = neuron.alpha.detach().clamp(0.0, 1.0)
        arguments["learn_alpha"] = isinstance(neuron.alpha, nn.Parameter)
        adapted: MPONeuron = MPOSynaptic(**arguments)
    else:
        adapted = MPOLeaky(**arguments)
    adapted.to(neuron.threshold.device).train(neuron.training)
    return adapted


def _findings(name: str, neuron: snntorch.SpikingNeuron, keep: bool) -> list[str]:
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
    if keep and neuron.surrogate_disable:
        findings.append(
            f"neuron '{name}' has surrogate_disable, no surrogate that could be kept: name a shape."
        )
    return findings
