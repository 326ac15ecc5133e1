"""Settings of a network, as plain values; nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass

from mpo_snn.networks import network_names
from mpo_snn.settings import refuse


@dataclass(frozen=True)
class NetworkSettings:
    """Which network, and its size.

    Attributes:
        name: name of the network.
        channels: output channels of its blocks, each >= 1.
        dropout: share of the last features that is dropped in training, in [0, 1).
    """

    name: str = "convnet"
    channels: tuple[int, ...] = (32, 64, 64)
    dropout: float = 0.0

    def findings(self) -> list[str]:
        """What is unknown or out of range, one line each."""
        found = []
        if self.name not in network_names():
            found.append(f"network.name is '{self.name}', allowed is {', '.join(network_names())}.")
        if not self.channels or min(self.channels) < 1:
            found.append(
                f"network.channels is {list(self.channels)}, allowed is one number of 1 or more"
                " for each block, at least one."
            )
        if not 0.0 <= self.dropout < 1.0:
            found.append(f"network.dropout is {self.dropout:g}, allowed is 0 to below 1.")
        return found

    def __post_init__(self) -> None:
        """Refuse what is unknown or out of range."""
        refuse("network settings", self.findings())
