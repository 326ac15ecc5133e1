"""Files for the vendor's tool; that it rounds alike is shown by `make deploy-proof`."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from mpo_snn.deploy.layers import INPUT
from mpo_snn.deploy.speck_check import placement_of
from mpo_snn.deploy.speck_quantize import quantize_speck
from mpo_snn.deploy.speck_scale import layer_scale, scaled
from mpo_snn.deploy.speck_vendor import speck_files, vendor_arrays
from mpo_snn.errors import DeployError

from .speck_graphs import PROFILE, convolution, digits, layer, network


def test_arrays_round_to_what_was_quantized():
    quantized = quantize_speck(digits(bias=0.1, lower=None), PROFILE)
    arrays = vendor_arrays(quantized)
    for k, one in enumerate(quantized.layers):
        weight, bias = torch.tensor(arrays[f"weight{k}"]), torch.tensor(arrays[f"bias{k}"])
        scale = layer_scale(weight, bias, arrays[f"threshold{k}"], arrays[f"lower{k}"])
        assert torch.equal(scaled(weight, scale), one.weight)
        assert torch.equal(scaled(bias, scale), one.bias)


def test_files_hold_the_network_and_say_how_to_load_it():
    quantized = quantize_speck(digits(bias=0.1), PROFILE)
    files = speck_files(quantized, PROFILE)
    arrays = np.load(io.BytesIO(files["speck.npz"]))
    assert int(arrays["layers"]) == 3 and arrays["sources1"].tolist() == [0]
    assert arrays["pools2"].tolist() == [2] and str(arrays["reset0"]) == "subtract"
    text = files["load_on_speck.txt"]
    cores = placement_of(quantized.graph, PROFILE).cores
    order = {k: cores[name] for k, name in enumerate(("first", "second", "last"))}
    assert f"layer2core_map={order}" in text and "input_shape=(1, 8, 8)" in text
    assert 'device="speck2edevkit:0"' in text and "slow_clk_frequency" in text
    compile(files["speck_sinabs.py"], "speck_sinabs.py", "exec")
    assert "mpo_snn" not in files["speck_sinabs.py"].split('"""')[2]  # it runs without us


def test_what_sinabs_cannot_say_is_refused_at_once():
    graph = network(
        layer("a", convolution(INPUT, (1, 8, 8), 2, pool=2)),
        layer("b", convolution("a", (2, 4, 4), 2)),
        layer("c", convolution("a", (2, 4, 4), 2), convolution("b", (2, 4, 4), 2, seed=5)),
    )
    with pytest.raises(DeployError, match="2 findings") as caught:
        vendor_arrays(quantize_speck(graph, PROFILE))
    assert "c: sources with weights of their own" in str(caught.value)
    assert "a: pooling of input events" in str(caught.value)
