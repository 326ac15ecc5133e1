"""How gradients grow with depth: the formula against closed forms and against backward passes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from mpo_snn.gradient_growth import gradient_growth, growth_of
from mpo_snn.leaky import MPOLeaky
from mpo_snn.mpo import MPO
from mpo_snn.neurons import neurons_of
from mpo_snn.settings import HeightNorm, MPOSettings
from mpo_snn.surrogate import Shape, slope_of_width
from mpo_snn.unroll import Unrolled

SQUARES: dict[Shape, float] = {
    "sigmoid": 1 / 6,
    "arctan": 1 / (2 * math.pi),
    "piecewise_linear": 1 / 2,
    "triangle": 2 / 3,
}
"""The integral of s^2 over slope k, by hand."""


@pytest.mark.parametrize("shape", SQUARES)
@pytest.mark.parametrize("z", [-1.5, 0.0, 0.7])
def test_narrow_bumps_in_closed_form(shape: Shape, z: float) -> None:
    sigma, threshold, slope = 0.8, 0.5, 2000.0
    p = 0.5 * (1 + math.erf(z / math.sqrt(2)))
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi) / sigma
    expected = math.sqrt(sigma**2 * SQUARES[shape] * slope * density / (p * (1 - p)))
    found = gradient_growth(threshold + z * sigma, sigma, threshold, slope, shape)
    assert found == pytest.approx(expected, rel=0.01 if shape == "arctan" else 4e-3)


def test_half_of_sigma_keeps_the_norm_at_the_threshold() -> None:
    for c, rel in ((0.02, 1e-3), (0.2, 0.01), (0.5, 0.05)):
        slope = float(slope_of_width(torch.tensor(c * 0.7), "matched"))
        found = gradient_growth(0.5, 0.7, 0.5, slope, "sigmoid")
        assert found == pytest.approx(math.sqrt(0.4825 / c), rel=rel)


def test_a_height_scales_it_and_silence_has_none() -> None:
    one = gradient_growth(0.0, 1.0, 0.5, 4.0, "sigmoid")
    assert gradient_growth(0.0, 1.0, 0.5, 4.0, "sigmoid", 3.0) == pytest.approx(3 * one)
    for mean, sigma in ((-9.0, 1.0), (9.0, 1.0), (0.0, 0.0), (0.0, math.nan)):
        assert math.isnan(gradient_growth(mean, sigma, 0.5, 4.0, "sigmoid"))


def deep(batchnorm: bool, layers: int = 12, size: int = 200) -> nn.Sequential:
    found: list[nn.Module] = []
    for _ in range(layers):
        fc = nn.Linear(size, size, bias=False)
        nn.init.normal_(fc.weight, std=1.6 / math.sqrt(size))
        found += [fc, *([nn.BatchNorm1d(size)] if batchnorm else [])]
        found.append(MPOLeaky(beta=0.5, threshold=0.5, reset="zero", init_hidden=True))
    return nn.Sequential(*found)


@pytest.mark.parametrize("c", [0.2, 0.5, 0.7])
@pytest.mark.parametrize(("timesteps", "rel"), [(1, 0.05), (4, 0.15)])
def test_against_a_backward_pass(c: float, timesteps: int, rel: float) -> None:
    torch.manual_seed(0)
    network = deep(batchnorm=True)
    unrolled = Unrolled(network, timesteps)
    mpo = MPO(network, MPOSettings(width_scale=c, width_scale_end=None, width_momentum=0.0))
    x = torch.randn(256, 200).expand(timesteps, -1, -1)
    for _ in range(2):
        unrolled(x)
        mpo.step()
    spikes: list[Tensor] = []

    def observe(name: str, spk: Tensor, v: Tensor) -> None:
        spk.retain_grad()
        spikes.append(spk)

    output = unrolled(x, observe)
    (output.mean(0) * torch.randn_like(output[0])).sum().backward()
    norms = [float(spk.grad.norm()) for spk in spikes if spk.grad is not None]
    assert len(norms) == 12
    growths = [values["gradient_growth"] for values in mpo.statistics().values()]
    measured = (norms[0] / norms[-1]) ** (1 / 11)
    assert math.prod(growths[1:]) ** (1 / 11) == pytest.approx(measured, rel=rel)


@pytest.mark.parametrize("norm", ["none", "peak", "rms"])
def test_of_a_layer_by_its_statistics(norm: HeightNorm) -> None:
    """With every way to scale a height, against the mean square of what the backward pass uses."""
    torch.manual_seed(0)
    network = nn.Sequential(
        MPOLeaky(beta=0.0, threshold=0.5, width=0.4, reset="none", init_hidden=True)
    )
    mpo = MPO(network, MPOSettings(adapt_width=False, height_norm=norm))
    x = (0.1 + 0.6 * torch.randn(1, 20_000, 1)).requires_grad_()
    neuron = neurons_of(network)["0"]
    for _ in range(2):  # the second pass uses the rms of the first
        spk, _ = neuron.scan(x)
        mpo.step()
    (grad,) = torch.autograd.grad(spk.sum(), x)
    p = float(spk.detach().mean())
    expected = 0.6 * math.sqrt(float(grad.square().mean()) / (p * (1 - p)))
    assert mpo.statistics()["0"]["gradient_growth"] == pytest.approx(expected, rel=0.03)


def test_a_surrogate_that_is_a_function_has_none() -> None:
    import snntorch

    neuron = MPOLeaky(beta=0.5, spike_grad=snntorch.surrogate.atan())
    assert math.isnan(growth_of(neuron, {"mu": 0.0, "sigma": 1.0, "width": 0.5, "height": 1.0}))
