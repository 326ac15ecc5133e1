"""The scale c of the width over a training run, and the progress that moves it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mpo_snn.errors import MpoError
from mpo_snn.mpo import MPO
from mpo_snn.settings import MPOSettings
from mpo_snn.width_scale import WidthScale, width_scale_at

from .mpo_networks import channels, only, pass_through


def test_width_scale_moves_along_a_half_cosine() -> None:
    settings = MPOSettings(width_scale=1.0, width_scale_end=0.4)
    found = [width_scale_at(p, settings) for p in (0.0, 1 / 3, 0.5, 1.0)]
    assert found == pytest.approx([1.0, 0.4 + 0.6 * 0.75, 0.7, 0.4])
    assert width_scale_at(0.5, MPOSettings(width_scale=0.8, width_scale_end=None)) == 0.8


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
