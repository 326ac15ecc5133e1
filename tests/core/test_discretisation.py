from __future__ import annotations

import pytest
import torch

from mpo_snn.discretisation import gradient_degradation, near_fire, rate_errors, v_end

V = torch.tensor([[[9.0, 9.0, 9.0, 9.0]], [[0.44, 0.45, 0.5, 0.6]]])
"""Two steps of four neurons; with threshold 0.5 the band is [0.45, 0.5)."""


def test_final_membrane_by_hand() -> None:
    threshold = torch.tensor(0.5)
    assert float(v_end(V, threshold)) == pytest.approx((0.44 + 0.45 + 0.5 + 0.6) / 4 / 0.5)
    per_neuron = torch.tensor([0.44, 0.45, 0.5, 0.6])
    assert float(v_end(V, per_neuron)) == pytest.approx(1.0)


def test_near_fire_by_hand() -> None:
    """0.45 is near, 0.5 has reached the threshold, 0.44 is too far, 0.6 is above."""
    v = V.double()
    v[1, 0, 1] = 0.46
    assert float(near_fire(v, torch.tensor(0.5))) == 0.25
    assert float(near_fire(v, torch.tensor(0.5), near=0.2)) == 0.5
    assert float(near_fire(v - 1.0, torch.tensor(0.5))) == 0.0


def test_rate_error_by_hand() -> None:
    errors, silent = rate_errors({"a": 0.3, "b": 0.1, "c": 0.1}, {"a": 0.2, "b": 0.2, "c": 0.0})
    assert errors == pytest.approx({"a": 0.5, "b": 0.5})
    assert silent == ["c"]


def test_gradient_degradation_by_hand() -> None:
    assert gradient_degradation(0.6, 0.8) == pytest.approx(0.25)
    assert gradient_degradation(0.8, 0.8) == 0.0
    assert gradient_degradation(0.1, 0.0) is None
