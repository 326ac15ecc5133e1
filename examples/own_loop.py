"""Somebody's own snnTorch network and training loop, with MPO in three lines (marked below)."""

import snntorch as snn
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from mpo_snn import MPO, adapt


class Network(nn.Module):
    """Two layers of snnTorch neurons, the loop over time written by hand."""

    def __init__(self) -> None:
        """Build the layers."""
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(64, 100), snn.Leaky(beta=0.9)
        self.fc2, self.lif2 = nn.Linear(100, 10), snn.Leaky(beta=0.9, reset_mechanism="none")

    def forward(self, x: torch.Tensor, timesteps: int = 8) -> torch.Tensor:
        """Mean membrane of the output neurons, (batch, 10)."""
        mem1, mem2, total = self.lif1.init_leaky(), self.lif2.init_leaky(), 0.0
        for _ in range(timesteps):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            _, mem2 = self.lif2(self.fc2(spk1), mem2)
            total = total + mem2
        return total / timesteps


torch.manual_seed(0)
images, labels = (torch.tensor(array) for array in load_digits(return_X_y=True))
train_x, test_x, train_y, test_y = train_test_split(
    images.float() / 16, labels, test_size=0.2, stratify=labels, random_state=0
)
network = adapt(Network())
mpo = MPO(network)  # 1: after adapt
optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
steps = [batch for _ in range(8) for batch in torch.randperm(len(train_x)).split(64)]
for done, batch in enumerate(steps):
    loss = nn.functional.cross_entropy(network(train_x[batch]), train_y[batch])
    loss = loss + mpo.regularizer()  # 2: after the forward pass, once
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    mpo.step(progress=done / len(steps))  # 3: after the optimiser; the share that is done
accuracy = (network.eval()(test_x).argmax(1) == test_y).float().mean()
print(f"test accuracy: {float(accuracy):.2%}")
