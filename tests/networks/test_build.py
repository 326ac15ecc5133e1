from __future__ import annotations

import pytest
import torch
from torch import nn

from mpo_snn.errors import RecipeError
from mpo_snn.networks import build_network, network_names
from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.settings import NeuronSettings
from mpo_snn.unroll import Unrolled


def build(name, shape, classes=10, neuron=None, **settings):
    return build_network(
        NetworkSettings(name, **settings), neuron or NeuronSettings(), shape, classes
    )


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def test_neuron_settings_reach_the_neurons() -> None:
    neuron = NeuronSettings(beta=0.3, threshold=0.7, reset="subtract", learn_beta=True)
    network = build("convnet", (1, 4, 4), 2, neuron, channels=(4,))
    lif = Unrolled(network, 1).neurons["features.2"]
    assert lif.beta.item() == pytest.approx(0.3)
    assert lif.threshold.item() == pytest.approx(0.7)
    assert lif.reset_kind == "subtract"
    assert lif.beta.requires_grad


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights are allocated but not drawn, so that full-size networks cost nothing."""
    monkeypatch.setattr(nn.init, "kaiming_uniform_", lambda tensor, *_, **__: tensor)


def resnet_body(blocks, channels) -> int:
    """Weights and batchnorms of the blocks, counted by hand."""
    total, depth = 0, channels[0]
    for number, width in zip(blocks, channels, strict=True):
        for _ in range(number):
            total += 9 * depth * width + 9 * width * width + 4 * width
            if depth != width:
                total += depth * width + 2 * width
            depth = width
    return total


@pytest.mark.usefixtures("empty")
def test_full_sizes_are_those_of_the_literature() -> None:
    resnet18 = build("resnet18", (3, 32, 32))
    resnet19 = build("resnet19", (3, 32, 32))
    resnet34 = build("resnet34", (3, 224, 224), 1000)
    assert count(resnet18.blocks) == resnet_body((2, 2, 2, 2), (64, 128, 256, 512))
    assert count(resnet18) == 11_173_962, "ResNet-18 for CIFAR-10, as it is usually counted"
    body = resnet_body((3, 3, 2), (128, 256, 512))
    stem, dense = 3 * 9 * 128 + 2 * 128, 512 * 256 + 2 * 256 + 256 * 10 + 10
    assert count(resnet19) == stem + body + dense == 12_698_250
    assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in resnet19.modules()) == 19 + 2
    assert count(resnet34) == 21_797_672, "torchvision's resnet34"


@pytest.mark.usefixtures("empty")
def test_bodies_have_the_parameters_of_torchvision() -> None:
    from mpo_snn.operators import declare_torchvision_operators

    declare_torchvision_operators()
    from torchvision.models import resnet18, resnet34, vgg11_bn, vgg16_bn

    for name, reference in (("resnet18", resnet18), ("resnet34", resnet34)):
        ours = build(name, (3, 64, 64))
        with torch.device("meta"):
            theirs = reference()
        layers = (theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4)
        assert count(ours.blocks) == count(*layers)
    for name, reference in (("vgg11", vgg11_bn), ("vgg16", vgg16_bn)):
        ours = build(name, (3, 32, 32))
        with torch.device("meta"):
            theirs = reference()
        biases = sum(m.bias.numel() for m in theirs.features if isinstance(m, nn.Conv2d))
        assert count(ours.features) == count(theirs.features) - biases
        weighted = [m for m in ours.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        assert len(weighted) == int(name.removeprefix("vgg"))


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize("name", network_names())
def test_channel_scale_reaches_every_layer(name: str) -> None:
    full, half = (build(name, (3, 32, 32), channel_scale=s) for s in (1.0, 0.5))
    for one, other in zip(full.modules(), half.modules(), strict=True):
        if isinstance(one, nn.Conv2d):
            assert other.out_channels == one.out_channels // 2
        elif isinstance(one, nn.BatchNorm1d):
            assert other.num_features == one.num_features // 2
    small = build(name, (3, 32, 32), channel_scale=1e-6)
    assert {m.out_channels for m in small.modules() if isinstance(m, nn.Conv2d)} <= {1}


@pytest.mark.parametrize("pooling", ["average", "sum", "max"])
def test_pooling_of_two_by_two_spikes(pooling: str) -> None:
    from mpo_snn.networks.pooling import build_pooling

    spikes = torch.tensor([[[[1.0, 0.0, 1.0, 1.0], [1.0, 0.0, 1.0, 1.0]]]])
    expected = {"average": [0.5, 1.0], "sum": [2.0, 4.0], "max": [1.0, 1.0]}[pooling]
    assert build_pooling(pooling, 2)(spikes).flatten().tolist() == expected


@pytest.mark.parametrize(
    ("name", "shape", "classes", "settings", "message"),
    [
        ("convnet", (1, 8, 8), 2, {"channels": (2,) * 5}, "5 blocks pool an image of 8x8 away"),
        ("vgg16", (3, 16, 40), 2, {}, r"vgg16: samples have shape \(3, 16, 40\).*32x32 pixels"),
        ("resnet18", (3, 7, 8), 2, {}, r"resnet18: samples have shape \(3, 7, 8\).*8x8 pixels"),
        ("resnet19", (3, 3, 3), 2, {}, r"resnet19: .*halves images 2 times and needs 4x4"),
        ("resnet34", (3, 28, 28), 2, {}, r"resnet34: .*halves images 5 times and needs 32x32"),
        ("vgg11", (700,), 2, {}, r"vgg11: samples have shape \(700,\), expected images"),
        ("convnet", (2, 8), 2, {}, r"convnet: samples have shape \(2, 8\), expected images"),
        ("resnet19", (2, 0, 8), 2, {}, r"resnet19: samples have shape \(2, 0, 8\), expected"),
        ("mlp", (), 2, {}, r"mlp: samples have shape \(\), expected at least one value"),
        ("vgg11", (3, 32, 32), 1, {}, "vgg11: the data has 1 classes, allowed is 2 or more"),
        ("resnet19", (3, 8, 8), 2, {"pooling": "max"}, "resnet19: .*no pooling windows"),
        ("mlp", (4,), 2, {"pooling": "max"}, "mlp: .*no pooling windows"),
        (
            "mlp",
            (4,),
            2,
            {"init": "tdbn", "normalise": False},
            "but the network has no batchnorm",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(name, shape, classes, settings, message) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        build(name, shape, classes, **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(3, 32, 32), (2, 34, 34), (1, 45, 60), (2, 128, 128)])
@pytest.mark.parametrize("name", [n for n in network_names() if n != "mlp"])
def test_images_of_any_sufficient_size_fit(name: str, shape: tuple[int, ...]) -> None:
    network = build(name, shape, 7, channel_scale=1 / 32)
    assert network.eval()(torch.zeros(1, *shape)).shape == (1, 7)


def test_settings_out_of_range_are_told_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        NetworkSettings("vgg", channels=(), hidden=(0,), channel_scale=0.0, dropout=1.0)
    assert len(caught.value.findings) == 5
