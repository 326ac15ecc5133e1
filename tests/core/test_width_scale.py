"""The scale c of the width over a training run, and the progress that moves it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from mpo_snn.errors import MpoError
from mpo_snn.gradient_growth import gradient_growth
from mpo_snn.leaky import MPOLeaky
from mpo_snn.mpo import MPO
from mpo_snn.settings import MPOSettings
from mpo_snn.width_scale import WidthScale, at_depth, scale_at_depth, width_scale_at

from .mpo_networks import channels, only, pass_through


def test_width_scale_moves_along_a_half_cosine() -> None:
    settings = MPOSettings(width_scale=1.0, width_scale_end=0.4)
    found = [width_scale_at(p, settings) for p in (0.0, 1 / 3, 0.5, 1.0)]
    assert found == pytest.approx([1.0, 0.4 + 0.6 * 0.75, 0.7, 0.4])
    assert width_scale_at(0.5, MPOSettings(width_scale=0.8, width_scale_end=None)) == 0.8


@pytest.mark.parametrize("layers", [7, 8, 15, 18, 33, 152])
def test_gradients_grow_tenfold_through_a_deep_network(layers: int) -> None:
    """By the factor of one layer, integrated numerically over a normal membrane."""
    sigma, c = 0.4, scale_at_depth(layers)
    narrow = 1e-3  # of the membrane's spread, as the closed form assumes
    slope = math.pi / (math.sqrt(3.0) * narrow * sigma)
    factor = gradient_growth(0.5, sigma, 0.5, slope, "sigmoid") * math.sqrt(narrow / c)
    assert factor ** (layers - 1) == pytest.approx(10.0, rel=1e-3)


@pytest.mark.parametrize("layers", [1, 2, 6])
def test_shallow_networks_end_with_narrow_bumps(layers: int) -> None:
    assert scale_at_depth(layers) == 0.2


def test_depth_is_the_number_of_layers_with_neurons() -> None:
    network = nn.Sequential(*(MPOLeaky(beta=0.5) for _ in range(9)))
    settings = MPO(network, MPOSettings()).settings
    assert settings == at_depth(MPOSettings(), 9)
    assert (settings.width_scale, settings.width_scale_end) == (0.7, scale_at_depth(9))
    constant = MPOSettings(width_scale="depth", width_scale_end=None)
    assert MPO(network, constant).settings.width_scale == scale_at_depth(9)
    stated = MPOSettings(width_scale=0.6, width_scale_end=0.3)
    assert MPO(network, stated).settings == stated


def test_progress_of_the_step_sets_the_width_scale() -> None:
    network = pass_through(width=2.0)
    settings = only(
        adapt_width=True, width_scale=1.0, width_scale_end=0.5, width_momentum=0.0, lambda_width=1.0
    )
    mpo = MPO(network, settings)
    sigma = float(channels().std(correction=0))
    for progress, c in ((0.0, 1.0), (0.5, 0.75), (1.0, 0.5)):
        network[0].scan(channels())
        mpo.step(progress)
        assert float(network[0].width) == pytest.approx(c * sigma, rel=1e-5)
    network[0].scan(2 * channels())
    assert float(mpo.regularizer()) == pytest.approx(0.5 * sigma, rel=1e-5)


@pytest.mark.parametrize("progress", (-0.1, 1.5, 20, float("nan")))
def test_a_progress_that_is_no_share_is_refused(progress: float) -> None:
    network = pass_through(width=0.3)
    mpo = MPO(network, only())
    network[0].scan(channels())
    with pytest.raises(MpoError, match="allowed is 0 to 1: the share of the training that is done"):
        mpo.step(progress)


@pytest.mark.parametrize("share", [float("nan"), float("inf"), -0.1, 1.5, "a", None])
def test_progress_that_is_no_share_is_refused(share: Any) -> None:
    mpo = MPO(pass_through())
    mpo.progress = 0.25
    with pytest.raises(MpoError, match="allowed is 0 to 1"):
        mpo.progress = share
    assert mpo.progress == 0.25


def test_the_scale_moves_wherever_it_lies() -> None:
    settings = MPOSettings(width_scale=0.8, width_scale_end=0.2)
    scale = WidthScale(settings)
    widths = [torch.ones(3, dtype=dtype) for dtype in (torch.float32, torch.float64)]
    before = [scale.beside(width) for width in widths]
    scale.progress = 0.7
    for width, old in zip(widths, before, strict=True):
        expected = torch.tensor(width_scale_at(0.7, settings), dtype=width.dtype)
        assert torch.equal(scale.beside(width), expected)
        assert float(old) == pytest.approx(0.8)
    assert scale.beside(torch.ones((), dtype=torch.bfloat16)).dtype == torch.float32
