"""Algorithm 1 as a whole: two training steps against the paper's equations, written out in NumPy.

The derivatives of the reference are by hand: nothing of it is autograd's or this package's.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mpo_snn.leaky import MPOLeaky
from mpo_snn.mpo import MPO
from mpo_snn.settings import MPOSettings
from mpo_snn.unroll import Unrolled

Array = NDArray[np.float64]
T, B, IN, HIDDEN, OUT = 3, 6, 3, 4, 2
BETA, THETA, WIDTH, LR = 0.625, 0.5, 0.375, 0.5
LAMBDA_DIST, ETA, MOMENTUM, SCALE = 0.2, 0.05, 0.9, 0.7
WHOLE = MPOSettings(
    width_follows="spread",
    width_scale=SCALE,
    width_scale_end=None,
    lambda_dist=LAMBDA_DIST,
    lambda_width=0.1,
    height="literal",
    height_rate=ETA,
    neuron_gain=True,
)


class Network(nn.Module):
    """One hidden layer of the paper's neuron: subtract/next, input times 1 - beta."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(IN, HIDDEN, bias=False)
        self.lif = MPOLeaky(
            BETA,
            threshold=THETA,
            reset="subtract",
            reset_timing="next",
            input_gain="decay",
            width=WIDTH,
            init_hidden=True,
        )
        self.last = nn.Linear(HIDDEN, OUT, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.lif(self.first(x)))
        return out


class Reference:
    """The same in NumPy; what is constant in the backward pass is the paper's choice."""

    def __init__(self, first: Array, last: Array) -> None:
        self.first, self.last = first, last
        self.width, self.height, self.gain = WIDTH, 1.0, np.ones(HIDDEN)
        self.sigma_of_neurons: Array | None = None

    def step(self, x: Array, y: NDArray[np.int64]) -> float:
        """Lines 2 to 15 on one batch, x (time, batch, in); the joint loss, Eq. 23."""
        v, spk = np.zeros((T, B, HIDDEN)), np.zeros((T, B, HIDDEN))
        for t in range(T):  # Eq. 2 and 3
            before, fired = (v[t - 1], spk[t - 1]) if t else (0.0, 0.0)
            v[t] = BETA * before + (1 - BETA) * x[t] @ self.first.T - fired * THETA
            spk[t] = v[t] > THETA
        u = v.mean(0)  # Eq. 17
        mu, var = u.mean(), ((u - u.mean()) ** 2).mean()  # Eq. 18, 19
        sigma = math.sqrt(var)
        dist = 0.5 * (mu**2 + var - math.log(var) - 1)  # Eq. 21
        width = abs(self.width - SCALE * sigma)  # Eq. 20
        scores = (spk @ self.last.T).mean(0)
        share = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        task = -np.log(share[np.arange(B), y]).mean()

        off = (share - np.eye(OUT)[y]) / B
        slope = math.pi / (math.sqrt(3) * self.width)
        e = np.exp(-slope * (v - THETA))
        surrogate = self.height * self.gain * slope * e / (1 + e) ** 2  # Eq. 9
        towards_normal = LAMBDA_DIST * (mu + (1 - 1 / var) * (u - mu)) / u.size / T
        into_first, later = np.zeros_like(self.first), np.zeros((B, HIDDEN))
        for t in reversed(range(T)):
            later = (off / T) @ self.last * surrogate[t] + towards_normal + BETA * later
            into_first += (1 - BETA) * later.T @ x[t]
        self.first = self.first - LR * into_first
        self.last = self.last - LR * np.einsum("bo,tbh->oh", off / T, spk)

        rho = (np.abs(u - mu) <= sigma).mean()
        target = math.erf(1 / math.sqrt(2))
        self.height = min(2.0, max(0.5, self.height * (1 + ETA * (rho - target) / target)))
        self.width = MOMENTUM * self.width + (1 - MOMENTUM) * SCALE * sigma
        now, old = u.std(0), self.sigma_of_neurons
        self.sigma_of_neurons = now if old is None else 0.9 * old + 0.1 * now
        s = self.sigma_of_neurons
        gain = np.clip(s.mean() / (s + 1e-6 * s.mean()), 0.5, 2.0)
        self.gain = gain / gain.mean()
        return float(task + LAMBDA_DIST * dist + 0.1 * width)


def test_training_steps_are_the_papers() -> None:
    torch.manual_seed(3)
    network = Network().double()
    with torch.no_grad():
        network.first.weight.mul_(4)
    reference = Reference(
        network.first.weight.detach().numpy().copy(), network.last.weight.detach().numpy().copy()
    )
    unrolled, mpo = Unrolled(network, T), MPO(network, WHOLE)
    optimiser = torch.optim.SGD(network.parameters(), lr=LR)
    for _ in range(3):
        x, y = torch.randn(T, B, IN, dtype=torch.float64), torch.randint(OUT, (B,))
        loss = functional.cross_entropy(unrolled(x).mean(0), y) + mpo.regularizer()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        mpo.step()
        expected = reference.step(x.numpy(), y.numpy())
        assert float(loss.detach()) == pytest.approx(expected, rel=1e-9)
        lif = network.lif
        for found, wanted in (
            (network.first.weight, reference.first),
            (network.last.weight, reference.last),
            (lif.width, reference.width),
            (lif.height, reference.height),
            (lif.gain, reference.gain),
        ):
            np.testing.assert_allclose(found.detach().numpy(), wanted, rtol=1e-7, atol=1e-12)
    assert float(lif.height) != 1.0 and lif.gain.std() > 0.01
