from __future__ import annotations

import pytest
import torch

from mpo_snn.data.corruptions import Corruption, DataRange, corrupt, data_range, range_over

X = torch.full((64, 3, 16, 16), 0.5)
UNIT = DataRange(torch.zeros(3, 1, 1), torch.ones(3, 1, 1))


def test_gaussian_noise_has_the_sigma_of_its_level() -> None:
    noise = corrupt(X, "gaussian", 0.1, UNIT, seed=3) - X
    assert float(noise.std()) == pytest.approx(0.1, rel=0.02)
    assert abs(float(noise.mean())) < 0.002


def test_a_level_means_the_same_on_normalised_data() -> None:
    """Scaling by (x - 0.5) / 0.25 turns [0, 1] into [-2, 2]: noise and data scale together."""
    within = DataRange(torch.full((3, 1, 1), -2.0), torch.full((3, 1, 1), 2.0))
    plain = corrupt(X, "gaussian", 0.3, UNIT, seed=1)
    scaled = corrupt((X - 0.5) / 0.25, "gaussian", 0.3, within, seed=1)
    torch.testing.assert_close(scaled, (plain - 0.5) / 0.25)


def test_salt_and_pepper_hits_whole_pixels_in_its_share() -> None:
    noisy = corrupt(X, "salt_and_pepper", 0.2, UNIT, seed=5)
    hit = noisy != X
    assert bool((hit == hit[:, :1]).all())
    assert float(hit.float().mean()) == pytest.approx(0.2, abs=0.01)
    values = noisy[hit]
    assert set(values.unique().tolist()) == {0.0, 1.0}
    assert float(values.mean()) == pytest.approx(0.5, abs=0.03)
    assert torch.equal(corrupt(X, "salt_and_pepper", 0.0, UNIT, seed=5), X)


@pytest.mark.parametrize("kind", ["gaussian", "salt_and_pepper"])
def test_noise_is_a_function_of_seed_level_and_place(kind: Corruption) -> None:
    torch.manual_seed(0)
    first = corrupt(X, kind, 0.2, UNIT, seed=1)
    torch.manual_seed(9)
    before = torch.get_rng_state()
    assert torch.equal(corrupt(X, kind, 0.2, UNIT, seed=1), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert bool((X == 0.5).all())
    for other in (
        corrupt(X, kind, 0.2, UNIT, seed=2),
        corrupt(X, kind, 0.2, UNIT, seed=1, first=1),
    ):
        assert not torch.equal(other, first)


@pytest.mark.parametrize("kind", ["gaussian", "salt_and_pepper"])
@pytest.mark.parametrize("features", [(3, 5, 5), (2, 3, 5, 5)], ids=["images", "frames"])
@pytest.mark.parametrize("size", [1, 3, 10])
def test_a_sample_has_the_same_noise_in_any_batch(
    kind: Corruption, features: tuple[int, ...], size: int
) -> None:
    x = torch.rand(10, *features, generator=torch.Generator().manual_seed(0))
    whole = corrupt(x, kind, 0.2, UNIT, seed=1)
    parts = [
        corrupt(part, kind, 0.2, UNIT, seed=1, first=size * place)
        for place, part in enumerate(x.split(size))
    ]
    assert torch.equal(torch.cat(parts), whole)
    noise = whole - x
    assert len(torch.unique(noise.flatten(1), dim=0)) == 10


@pytest.mark.parametrize("kind", ["gaussian", "salt_and_pepper"])
def test_noise_stays_within_the_range(kind: Corruption) -> None:
    x = torch.rand(20, 4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    noisy = corrupt(x, kind, 0.9, UNIT, seed=1)
    assert noisy.shape == x.shape
    assert float(noisy.min()) == 0.0
    assert float(noisy.max()) == 1.0


def test_range_by_channel() -> None:
    x = torch.tensor([[[[0.0, 1.0]], [[2.0, 3.0]]], [[[5.0, 4.0]], [[-1.0, 0.0]]]])
    found = data_range(x)
    assert found.low.flatten().tolist() == [0.0, -1.0]
    assert found.high.flatten().tolist() == [5.0, 3.0]
    halves = range_over(x.split(1))
    assert torch.equal(halves.low, found.low)
    assert torch.equal(halves.high, found.high)
    framed = data_range(x.unsqueeze(0))
    assert torch.equal(framed.high, found.high)
