"""Settings of a network, as plain values; nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mpo_snn.networks import network_names
from mpo_snn.settings import refuse

MOST_SCALE = 1000.0
MOST_FEATURES = 1_000_000
"""Channels, or neurons of a dense layer, beyond which a size is a slip of the pen."""
MAY_LACK_BIASES = ("mlp", "convnet")
Pooling = Literal["average", "sum", "max"]
Initialisation = Literal["firing", "tdbn", "torch"]


@dataclass(frozen=True)
class NetworkSettings:
    """Which network, and its size.

    Attributes:
        name: name of the network.
        channels: output channels of the blocks of convnet, each >= 1; the other networks have
            theirs from the literature.
        hidden: sizes of the dense hidden layers of mlp, vgg11 and vgg16, each >= 1.
        normalise: batchnorm in front of the neurons of mlp and convnet; the other networks always
            have it.
        bias: biases of mlp and convnet where no batchnorm stands, the read-out included; off for
            chips that have none.
        channel_scale: factor on the channels and hidden sizes of every network, > 0.
        pooling: of spikes, over windows: their mean, their sum, or (which no NIR file can state)
            their maximum.
        dropout: share of the features in front of a dense layer that is dropped in training, in
            [0, 1).
        init: weights at the start (`mpo_snn.networks.initialisation`): `firing` makes the spread
            of every membrane the threshold, `tdbn` that of every current, `torch` changes nothing.
    """

    name: str = "convnet"
    channels: tuple[int, ...] = (32, 64, 64)
    hidden: tuple[int, ...] = (512, 512)
    normalise: bool = True
    bias: bool = True
    channel_scale: float = 1.0
    pooling: Pooling = "average"
    dropout: float = 0.0
    init: Initialisation = "firing"

    def scaled(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """Channels or layer sizes times `channel_scale`, rounded, at least 1 each."""
        return tuple(max(1, round(size * self.channel_scale)) for size in sizes)

    def findings(self) -> list[str]:
        """What is unknown or out of range, one line each."""
        found = []
        if self.name not in network_names():
            found.append(f"network.name is '{self.name}', allowed is {', '.join(network_names())}.")
        for key, what in (("channels", "block"), ("hidden", "dense hidden layer")):
            sizes = getattr(self, key)
            if not sizes or min(sizes) < 1:
                found.append(
                    f"network.{key} is {list(sizes)}, allowed is one number of 1 or more"
                    f" for each {what}, at least one."
                )
            elif max(sizes) > MOST_FEATURES:
                found.append(f"network.{key} is {list(sizes)}, allowed is up to {MOST_FEATURES}.")
        if not 0.0 < self.channel_scale <= MOST_SCALE:
            found.append(
                f"network.channel_scale is {self.channel_scale:g}, allowed is above 0 to"
                f" {MOST_SCALE:g}."
            )
        if not self.bias and self.name not in MAY_LACK_BIASES:
            found.append(
                f"network.bias is false with network.name {self.name}, allowed is true: only"
                f" {' and '.join(MAY_LACK_BIASES)} can be without."
            )
        if not 0.0 <= self.dropout < 1.0:
            found.append(f"network.dropout is {self.dropout:g}, allowed is 0 to below 1.")
        return found

    def __post_init__(self) -> None:
        """Refuse what is unknown or out of range."""
        refuse("network settings", self.findings())
