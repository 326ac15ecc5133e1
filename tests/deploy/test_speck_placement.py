"""Memory by hand; placement against trying every permutation."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.deploy.layers import INPUT
from mpo_snn.deploy.speck_convolution import as_convolution
from mpo_snn.deploy.speck_placement import Memory, cores_of, memory_of, place

from .speck_graphs import PROFILE, convolution, dense, layer


def test_memory_of_two_layers_by_hand():
    one = layer("a", convolution(INPUT, (2, 34, 34), 8, stride=2))
    # 2 channels, 9 entries in 16, 8 channels: 2 * 2^(4 + 3); 17x17 neurons in 32x32: 8 * 2^(5 + 5)
    assert memory_of(as_convolution(one), True) == Memory(256, 8192, 8)
    other = layer("b", dense("a", (12, 10, 10), 10, pool=2))
    # 12 channels, 25 entries in 32, 10 channels in 16: 12 * 2^(5 + 4); 10 neurons of one pixel
    assert memory_of(as_convolution(other), False) == Memory(6144, 10, 0)


def test_nine_layers_of_every_size_find_their_cores():
    sizes = {
        f"k{k}": Memory(core.kernel, core.neuron, 0) for k, core in enumerate(cores_of(PROFILE))
    }
    placement = place(dict(reversed(sizes.items())), PROFILE)
    assert not placement.findings and sorted(placement.cores.values()) == list(range(9))
    cores = cores_of(PROFILE)
    for name, core in placement.cores.items():
        assert sizes[name].fits(cores[core])
    shares = {usage.resource: usage.share for usage in placement.usage}
    assert shares["cores"] == 1 and shares["core 5 kernel memory"] == 1


@settings(deadline=None, max_examples=40, derandomize=True)
@given(
    st.lists(
        st.tuples(
            st.sampled_from((8, 16_384, 16_385, 32_769)), st.sampled_from((8, 16_385, 32_769))
        ),
        min_size=1,
        max_size=5,
    )
)
def test_places_whenever_some_order_of_cores_does(sizes):
    needs = {f"l{k}": Memory(kernel, neuron, 0) for k, (kernel, neuron) in enumerate(sizes)}
    cores = cores_of(PROFILE)
    possible = any(
        all(need.fits(cores[c]) for need, c in zip(needs.values(), order, strict=True))
        for order in permutations(range(9), len(needs))
    )
    placement = place(needs, PROFILE)
    assert possible == (not placement.findings) == (len(placement.cores) == len(needs))
    assert len(set(placement.cores.values())) == len(placement.cores)


def test_a_layer_too_large_for_every_core_says_what_is_missing():
    (finding,) = place({"wide": Memory(70_000, 10, 0)}, PROFILE).findings
    assert finding.where == "wide"
    assert "70,000 entries of kernel memory" in finding.found
    assert "65,536 of kernel (4,464 fewer) on core 5" in finding.allowed
    both = place({"wide": Memory(40_000, 40_000, 2_000)}, PROFILE)
    (finding,) = both.findings
    assert "bias" in finding.found
    assert any(usage.share > 1 for usage in both.usage)


@pytest.mark.parametrize("kernel, layers, cores", [(40_000, 3, "5, 6"), (20_000, 5, "3, 4, 5, 6")])
def test_layers_that_crowd_on_few_cores_are_named_once(kernel, layers, cores):
    needs = {f"l{k}": Memory(kernel, 10, 0) for k in range(layers)} | {"small": Memory(1, 1, 0)}
    (finding,) = place(needs, PROFILE).findings
    assert f"{layers} layers (l0, l1" in finding.found and f"({cores})" in finding.found
    assert "small" not in finding.found


def test_ten_layers_do_not_fit_on_nine_cores():
    (finding,) = place({f"l{k}": Memory(1, 1, 0) for k in range(10)}, PROFILE).findings
    assert "10 layers" in finding.found and "9 cores" in finding.found
