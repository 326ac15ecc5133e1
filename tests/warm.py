"""What a server of fresh processes loads and compiles once, so that each of them need not."""

import sklearn.datasets  # noqa: F401
import torch

import mpo_snn.data.digits
import mpo_snn.training.fit  # noqa: F401
from mpo_snn.leaky import MPOLeaky
from mpo_snn.mpo import MPO

threads = torch.get_num_threads()
torch.set_num_threads(1)  # threads do not outlive a fork
layer = MPOLeaky(0.5)
mpo = MPO(layer)
current = torch.zeros(2, 3, 4, requires_grad=True)
layer.scan_spikes(current).sum().backward()
mpo.regularizer()
mpo.step()
torch.set_num_threads(threads)
