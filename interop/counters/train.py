"""Train the networks that are counted: python -m interop.counters.train (a minute)."""

from __future__ import annotations

import torch
from torch import nn

from mpo_snn.data import load_dataset
from mpo_snn.encoding import encode
from mpo_snn.unroll import Unrolled

from .networks import GRID, KINDS, TIMESTEPS, store

EPOCHS = 25


def main() -> None:
    """Train, round to the grid, tell the accuracy, write."""
    digits = load_dataset("digits")
    networks = {}
    for kind, build in KINDS.items():
        torch.manual_seed(0)
        network = build()
        unrolled = Unrolled(network, TIMESTEPS)
        optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
        for _ in range(EPOCHS):
            for batch in torch.randperm(len(digits.train_x)).split(64):
                logits = unrolled(encode(digits.train_x[batch], TIMESTEPS)).mean(0)
                loss = nn.functional.cross_entropy(logits, digits.train_y[batch])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.copy_((parameter * GRID).round() / GRID)
            answers = unrolled.eval()(encode(digits.test_x, TIMESTEPS)).mean(0).argmax(1)
        print(f"{kind}: {float((answers == digits.test_y).double().mean()):.2%} of the test split")
        networks[kind] = network
    store(networks)


if __name__ == "__main__":
    main()
