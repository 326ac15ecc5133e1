from __future__ import annotations

import pytest
import torch

from mpo_snn.encoding import encode
from mpo_snn.errors import RecipeError
from mpo_snn.networks import build_network, network_names
from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.settings import NeuronSettings
from mpo_snn.unroll import Unrolled


@pytest.mark.parametrize("name", network_names())
def test_every_network_maps_samples_to_classes(name: str) -> None:
    settings = NetworkSettings(name, (4, 6), dropout=0.1)
    network = build_network(settings, NeuronSettings(), (2, 8, 12), 5)
    logits = Unrolled(network, 3)(encode(torch.rand(2, 2, 8, 12), 3))
    assert logits.shape == (3, 2, 5)


def test_neuron_settings_reach_the_neurons() -> None:
    neuron = NeuronSettings(beta=0.3, threshold=0.7, reset="subtract", learn_beta=True)
    network = build_network(NetworkSettings("convnet", (4,)), neuron, (1, 4, 4), 2)
    lif = Unrolled(network, 1).neurons["features.2"]
    assert lif.beta.item() == pytest.approx(0.3)
    assert lif.threshold.item() == pytest.approx(0.7)
    assert lif.reset_kind == "subtract"
    assert lif.beta.requires_grad


def test_image_too_small_for_the_blocks() -> None:
    with pytest.raises(RecipeError, match="5 blocks pool an image of 8x8 away"):
        build_network(NetworkSettings("convnet", (2,) * 5), NeuronSettings(), (1, 8, 8), 2)
