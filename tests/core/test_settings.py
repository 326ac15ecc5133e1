"""Settings out of range are refused, all of them at once."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mpo_snn.errors import RecipeError
from mpo_snn.leaky import MPOLeaky
from mpo_snn.settings import MPOSettings, NeuronSettings


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"width_scale": 0.0}, "mpo.width_scale is 0, allowed is above 0"),
        ({"width_scale_end": 0.0}, "mpo.width_scale_end is 0, allowed is above 0"),
        ({"target_mean": float("nan")}, "mpo.target_mean is nan, allowed is any finite number"),
        ({"target_std": float("nan")}, "mpo.target_std is nan"),
        ({"lambda_dist": -1.0}, "mpo.lambda_dist is -1, allowed is 0 or more"),
        ({"width_momentum": 1.0}, "mpo.width_momentum is 1, allowed is 0 to below 1"),
        ({"gain_momentum": -0.1}, "mpo.gain_momentum is -0.1"),
        ({"height_rate": 1.0}, "mpo.height_rate is 1, allowed is above 0, below 1"),
        ({"height_gamma": 1e-4}, "mpo.height_gamma is 0.0001, allowed is 0.001 or more"),
        ({"lambda_width": float("inf")}, "mpo.lambda_width is inf, allowed is 0 or more"),
    ],
)
def test_settings_out_of_range_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as told:
        MPOSettings(**setting)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"beta": 1.5}, "neuron.beta is 1.5, allowed is 0 to 1"),
        ({"beta": 1.0}, "which deletes the input"),
        ({"threshold": 0.0}, "neuron.threshold is 0, allowed is above 0"),
        ({"width": float("inf")}, "neuron.width is inf"),
        ({"slope": -1.0}, "neuron.slope is -1, allowed is above 0"),
        ({"alpha": 0.3}, "neuron.alpha needs neuron.model synaptic: leaky has no synapse"),
    ],
)
def test_neuron_settings_out_of_range_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        NeuronSettings(**setting)


def test_all_findings_of_settings_are_told_at_once() -> None:
    with pytest.raises(RecipeError) as told:
        MPOSettings(width_scale=-1.0, lambda_dist=-1.0, height_rate=2.0)
    assert len(told.value.findings) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"surrogate": "gauss"}, "surrogate is 'gauss', allowed are sigmoid, arctan"),
        ({"width_form": "wide"}, "width_form is 'wide', allowed are paper, scale, matched"),
        ({"slope": 0.0}, "width is inf"),
        ({"width": torch.tensor([1.0, 0.0])}, "width is 0..1"),
    ],
)
def test_surrogates_out_of_range_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        MPOLeaky(0.5, **arguments)
