r"""Weights at the start that keep deep layers firing: neither silent nor saturated.

A current that is white in time with standard deviation s moves the free membrane of a LIF neuron
(`mpo_snn.lif`), within n steps from rest, by

.. math:: \sigma_V = s\, g \sqrt{\textstyle\sum_{k<n} \beta^{2k}}

with g the input gain, 1 - beta or 1. With a synapse in front (`mpo_snn.synapse`), :math:`\beta^k`
becomes the response of both, :math:`g_s \sum_{j \le k} \alpha^j \beta^{k-j}`. Three ways to
choose s:

- `firing`: sigma_V is the threshold, so that fluctuations alone carry one membrane in six over it
  (J. Rossbroich, J. Gygax and F. Zenke, "Fluctuation-driven initialization for spiking neural
  network training", Neuromorphic Computing and Engineering 2(4), 2022; their xi is 1).
- `tdbn`: s is the threshold (H. Zheng et al., "Going deeper with directly-trained larger spiking
  neural networks", AAAI 2021, with alpha = 1): threshold-dependent batchnorm. Their scale alpha *
  V_th and the learnable weight are one parameter here, which computes the same.
- `torch`: the layers as torch leaves them; batchnorm makes s 1 volt.

Where a neuron has a batchnorm in front, s is its weight: batchnorm undoes any scale of the weights
before it, so these stay as torch draws them. Where two normalised currents meet in a residual sum
each gets s / sqrt(2) (alpha = 1/sqrt(2) there in tdBN too). A dense layer or convolution directly
in front of neurons has its weights drawn from N(0, s^2 / (fan-in * m)), with m the expected mean
square of an input; pooling k independent spikes divides m by k, or multiplies it where it sums.
Where such a layer has no bias, nothing could take back the mean of its current, and some neurons
would always fire and others never: the weights of each neuron are shifted to the sum 0.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from mpo_snn.errors import RecipeError
from mpo_snn.networks.resnet import ResidualBlock
from mpo_snn.networks.settings import Initialisation
from mpo_snn.neurons import MPONeuron
from mpo_snn.settings import NeuronSettings

STEPS = 4
"""n: steps within which the membrane is to reach its spread; finite, for beta may be 1."""
INPUT_MEAN_SQUARE = 0.25
"""m of samples: that of images in [0, 1] is 0.1 (digits on black) to 0.3 (photographs)."""
SPIKE_MEAN_SQUARE = 0.12
"""m of spikes: their density, as layers with batchnorm show it at beta = 0.5."""


def current_spread(neuron: NeuronSettings, init: Initialisation) -> float:
    """Standard deviation s of a neuron's current at the start, `firing` or `tdbn`, in volt."""
    if init == "tdbn":
        return neuron.threshold
    alpha = neuron.alpha if neuron.model == "synaptic" else 0.0
    gain = (1.0 - neuron.beta) * (1.0 - alpha) if neuron.input_gain == "decay" else 1.0
    responses = [sum(alpha**j * neuron.beta ** (k - j) for j in range(k + 1)) for k in range(STEPS)]
    return neuron.threshold / (gain * math.sqrt(sum(h * h for h in responses)))


@torch.no_grad()
def initialise(
    network: nn.Module, neuron: NeuronSettings, init: Initialisation, largest_input: float = 1.0
) -> None:
    """Set the weights of a fresh network, drawing from torch's global random numbers.

    Args:
        network: as its builder made it.
        neuron: settings of every neuron.
        init: which way.
        largest_input: value that samples in [0, 1] reach as input.

    Raises:
        RecipeError: if `tdbn` is asked of a network without batchnorm.
    """
    if init == "torch":
        return
    spread = current_spread(neuron, init)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    for norm in norms:
        norm.weight.fill_(spread)
    for block in network.modules():
        if isinstance(block, ResidualBlock):
            for norm in block.summed():
                norm.weight.fill_(spread / math.sqrt(2.0))
    if not norms and init == "tdbn":
        raise RecipeError(
            "network.init is tdbn, but the network has no batchnorm: use firing, or"
            " network.normalise."
        )
    first = SPIKE_MEAN_SQUARE if norms else INPUT_MEAN_SQUARE * largest_input**2
    _initialise_linear(network, spread, first, pools_count=not norms)


def _initialise_linear(
    network: nn.Module, spread: float, mean_square: float, *, pools_count: bool
) -> None:
    """Fluctuation-driven weights for every linear layer directly in front of a neuron layer.

    Where there is batchnorm, that can only be the one in front of an output neuron.

    Args:
        network: is changed.
        spread: standard deviation of the current that is wanted, in volt.
        mean_square: m of the input of the first such layer.
        pools_count: whether m follows the pooling in between; not where batchnorm sets the spread
            of all but the last layer.
    """
    for layer, following in pairwise(network.modules()):
        if isinstance(layer, nn.AvgPool2d) and pools_count:
            window = _window(layer)
            mean_square *= window if layer.divisor_override == 1 else 1.0 / window
        elif isinstance(layer, nn.Linear | nn.Conv2d) and isinstance(following, MPONeuron):
            fan_in = layer.weight[0].numel()
            nn.init.normal_(layer.weight, std=spread / math.sqrt(fan_in * mean_square))
            if layer.bias is None:
                _center(layer.weight)
            else:
                nn.init.zeros_(layer.bias)
            mean_square = SPIKE_MEAN_SQUARE


def _center(weight: Tensor) -> None:
    """Take the mean off the weights of every neuron; torch draws in the same order as before."""
    weight.sub_(weight.mean(tuple(range(1, weight.dim())), keepdim=True))


def _window(pool: nn.AvgPool2d) -> int:
    """Values that a pool takes together."""
    size = pool.kernel_size
    return size * size if isinstance(size, int) else math.prod(size)
