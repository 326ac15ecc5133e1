"""Channels last in memory for networks that convolve images, which convolutions want.

Weights and samples are put so; neurons, batchnorm and pooling keep what comes in. Values are the
same up to the order of sums, and files have no layout: what is written lies in the plain order.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def convolves_images(network: nn.Module) -> bool:
    """Whether a network has a convolution over two axes."""
    return any(isinstance(layer, nn.Conv2d) for layer in network.modules())


def channels_last(network: nn.Module) -> nn.Module:
    """The network, its kernels channels last if it convolves images; otherwise as it is."""
    if convolves_images(network):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def like_kernels(x: Tensor) -> Tensor:
    """Samples (batch, *features) channels last where a sample, or each frame of it, is an image."""
    if x.dim() == 4:
        return x.contiguous(memory_format=torch.channels_last)
    if x.dim() == 5:  # frames lie time outermost, as they are run
        frames = x.transpose(0, 1).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return frames.view(x.shape[1], x.shape[0], *x.shape[2:]).transpose(0, 1)
    return x
