"""One spiking network in three libraries, with the same weights: ours, snnTorch, SpikingJelly.

The neurons are those of `NEURON`: reset to zero, unit input gain, beta 0.5, so that all three fire
the same spikes. Images are shown unchanged at every timestep; logits are the mean over time.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mpo_snn.encoding import encode
from mpo_snn.mpo import MPO
from mpo_snn.neurons import MPONeuron
from mpo_snn.settings import NeuronSettings
from mpo_snn.unroll import BatchNormMode, Unrolled

SLOPE = 4.0
NEURON = NeuronSettings(
    beta=0.5, threshold=0.5, input_gain="unit", width=1.0 / SLOPE, width_form="scale"
)


@dataclass(frozen=True)
class Network:
    """A network that answers all timesteps.

    Attributes:
        module: what holds the parameters.
        logits: mean logits (batch, classes) of images (batch, channels, height, width).
        normalises_each_step: whether its batchnorm in training sees each timestep by itself.
        mpo: the method, where it is on.
    """

    module: nn.Module
    logits: Callable[[Tensor], Tensor]
    normalises_each_step: bool = False
    mpo: MPO | None = None


def builders(timesteps: int, backend: str | None = None) -> dict[str, Callable[..., Network]]:
    """Each library's network by name, from one of ours and our way of batchnorm.

    `backend` is the kernel of ours; None takes the one for the device.
    """
    return {
        "snntorch loop": lambda net, mode="folded": _snntorch_loop(net, timesteps),
        "spikingjelly multi-step": lambda net, mode="folded": _spikingjelly(net, timesteps),
        "mpo-snn": lambda net, mode="folded": ours(net, timesteps, mode, backend),
        "mpo-snn + MPO": lambda net, mode="folded": ours(
            net, timesteps, mode, backend, with_mpo=True
        ),
    }


def ours(
    network: nn.Module,
    timesteps: int,
    mode: BatchNormMode = "folded",
    backend: str | None = None,
    with_mpo: bool = False,
) -> Network:
    """This project's, unrolled over time; the network is copied."""
    network = copy.deepcopy(network)
    for layer in network.modules():
        if isinstance(layer, MPONeuron):
            layer.backend = backend
    module = Unrolled(network, timesteps, mode)
    return Network(
        module,
        lambda image: module(encode(image, timesteps)).mean(0),
        mode == "per_step",
        MPO(network) if with_mpo else None,
    )


def _snntorch_loop(network: nn.Module, timesteps: int) -> Network:
    """As its tutorials write it: all layers at one timestep, then the next.

    `reset_mechanism="zero"` resets one step later here, which gives the same spikes.
    """
    import snntorch
    from snntorch import surrogate

    sigmoid = surrogate.sigmoid(slope=SLOPE)

    def neuron() -> Any:
        return snntorch.Leaky(
            NEURON.beta,
            NEURON.threshold,
            # its spikes are float32 whatever the membrane is; the check is made in float64
            spike_grad=lambda x: sigmoid(x).to(x.dtype),
            reset_mechanism="zero",
            init_hidden=True,
        )

    layers = _with_neurons(network, neuron)
    neurons = [layer for layer in layers.modules() if isinstance(layer, snntorch.Leaky)]

    def logits(image: Tensor) -> Tensor:
        for layer in neurons:
            layer.reset_mem()
        return torch.stack([layers(image) for _ in range(timesteps)]).mean(0)

    return Network(layers, logits, normalises_each_step=True)


def _spikingjelly(network: nn.Module, timesteps: int) -> Network:
    """Multi-step: time folded into the batch between neurons; its own kernel for the device."""
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    def node() -> Any:
        return neuron.LIFNode(
            tau=1.0 / (1.0 - NEURON.beta),
            decay_input=False,
            v_threshold=NEURON.threshold,
            v_reset=0.0,
            surrogate_function=surrogate.Sigmoid(alpha=SLOPE),
            detach_reset=True,
            step_mode="m",
        )

    module = _with_neurons(network, node, layer.SeqToANNContainer)

    def logits(image: Tensor) -> Tensor:
        functional.reset_net(module)
        result: Tensor = module(image.expand(timesteps, *image.shape)).mean(0)
        return result

    return Network(module, logits)


def _with_neurons(
    network: nn.Module,
    neuron: Callable[[], nn.Module],
    stateless: Callable[[nn.Module], nn.Module] = lambda layer: layer,
) -> nn.Module:
    """A copy of the network, each neuron in place of ours, `stateless` around each other layer."""
    network = copy.deepcopy(network)

    def replace(parent: nn.Module) -> None:
        for name, child in parent.named_children():
            if isinstance(child, MPONeuron):
                setattr(parent, name, neuron())
            elif next(child.children(), None) is None:
                setattr(parent, name, stateless(child))
            else:
                replace(child)

    replace(network)
    return network
