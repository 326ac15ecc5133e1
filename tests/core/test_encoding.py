from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mpo_snn.encoding import DARK, MOST_EVENTS, encode, shape_of_step
from mpo_snn.errors import DataError, RecipeError, ShapeError


def samples() -> torch.Tensor:
    return torch.rand(5, 2, 4, 3, generator=torch.Generator().manual_seed(0))


def test_rate_is_the_probability_of_a_spike() -> None:
    x = samples()
    spk = encode(x, 4000, "rate")
    assert set(spk.unique().tolist()) == {0.0, 1.0}
    assert (spk.mean(0) - x).abs().max() < 5 * (0.25 / 4000) ** 0.5


@pytest.mark.parametrize("kind", ["rate", "latency", "counts"])
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


@given(st.floats(0.0, 1.0), st.integers(1, 40))
def test_counts_are_the_value_in_events_evenly_spread(value: float, timesteps: int) -> None:
    events = encode(torch.tensor([[value]], dtype=torch.float64), timesteps, "counts")
    assert events.shape == (timesteps, 1, 1)
    shown = events.flatten().tolist()
    assert set(shown) <= {0.0, 1.0}
    number = round(value * timesteps)  # halves to the even number, as torch rounds
    assert sum(shown) == number
    at = [t for t, n in enumerate(shown) if n]
    gaps = {b - a for a, b in pairwise(at)}
    assert number < 2 or gaps <= {timesteps // number, -(-timesteps // number)}


def test_counts_of_a_few_values_by_hand() -> None:
    x = torch.tensor([[0.0, 0.25, 0.5, 0.75, 1.0]])
    assert encode(x, 4, "counts")[:, 0].T.tolist() == [
        [0, 0, 0, 0],
        [0, 0, 0, 1],
        [0, 1, 0, 1],
        [0, 1, 1, 1],
        [1, 1, 1, 1],
    ]


def test_rows_are_shown_one_a_step_and_then_nothing() -> None:
    x = torch.rand(3, 1, 4, 5, generator=torch.Generator().manual_seed(1))
    events = encode(x, 6, "rows")
    assert events.shape == (6, 3, 5)
    for t in range(4):
        for b in range(3):
            for column in range(5):
                assert events[t, b, column] == round(MOST_EVENTS * float(x[b, 0, t, column]))
    assert not events[4:].any()
    assert shape_of_step((1, 4, 5), "rows", 6) == (5,)
    assert shape_of_step((2, 4, 5), "counts", 1) == (2, 4, 5)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((1, 7, 5), "takes timesteps 7 or more"), ((2, 4, 5), "images of one channel")],
)
def test_rows_want_an_image_of_as_many_rows(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        encode(torch.zeros(2, *shape), 6, "rows")
    with pytest.raises(RecipeError, match=message):
        shape_of_step(shape, "rows", 6)


@pytest.mark.parametrize("kind", ["rate", "latency", "counts", "rows"])
@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_values_out_of_range_are_refused(kind: str, value: float) -> None:
    with pytest.raises(DataError, match="allowed is 0 to 1"):
        encode(torch.full((1, 3), value), 2, kind)
