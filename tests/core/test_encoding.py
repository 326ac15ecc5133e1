from __future__ import annotations

import pytest
import torch

from mpo_snn.encoding import DARK, encode
from mpo_snn.errors import DataError, ShapeError


def samples() -> torch.Tensor:
    return torch.rand(5, 2, 4, 3, generator=torch.Generator().manual_seed(0))


def test_rate_is_the_probability_of_a_spike() -> None:
    x = samples()
    spk = encode(x, 4000, "rate")
    assert set(spk.unique().tolist()) == {0.0, 1.0}
    assert (spk.mean(0) - x).abs().max() < 5 * (0.25 / 4000) ** 0.5


@pytest.mark.parametrize("kind", ["rate", "latency"])
def test_a_sample_looks_the_same_in_any_batch_and_at_any_time(kind: str) -> None:
    x = samples()
    whole = encode(x, 6, kind)
    state = torch.get_rng_state()
    for index in (3, 0):
        assert torch.equal(encode(x[[index]], 6, kind)[:, 0], whole[:, index])
    assert torch.equal(encode(x.flip(0), 6, kind).flip(1), whole)
    assert torch.equal(torch.get_rng_state(), state)


def test_training_draws_anew() -> None:
    x = samples()
    torch.manual_seed(0)
    first, second = encode(x, 6, "rate", fresh=True), encode(x, 6, "rate", fresh=True)
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(encode(x, 6, "rate", fresh=True), first)


def test_latency_is_one_spike_the_earlier_the_larger() -> None:
    x = torch.tensor([[1.0, 0.75, 0.5, 0.25, DARK + 1e-4, DARK / 2, 0.0]])
    spk = encode(x, 5, "latency")[:, 0]
    assert spk.sum(0).tolist() == [1, 1, 1, 1, 1, 0, 0]
    assert spk[:, :5].argmax(0).tolist() == [0, 1, 2, 3, 4]


def test_frames_are_shown_one_a_step() -> None:
    x = torch.rand(3, 4, 2, 5, 5)
    assert torch.equal(encode(x, 4, "frames")[2, 1], x[1, 2])
    with pytest.raises(ShapeError, match="wants 5 frames"):
        encode(x, 5, "frames")


@pytest.mark.parametrize("kind", ["rate", "latency"])
@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_values_out_of_range_are_refused(kind: str, value: float) -> None:
    with pytest.raises(DataError, match="allowed is 0 to 1"):
        encode(torch.full((1, 3), value), 2, kind)
