from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from mpo_snn.evaluation.significance import compare_paired, smallest_p


def sign_flip_by_enumeration(d: list[float]) -> float:
    """Two-sided p over all sign patterns, in a plain loop."""
    observed = abs(sum(d))
    patterns = list(product((-1, 1), repeat=len(d)))
    hits = sum(
        abs(sum(s * x for s, x in zip(p, d, strict=True))) >= observed - 1e-12 for p in patterns
    )
    return hits / len(patterns)


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_sign_flip_is_exact(n: int) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.normal(0.3, 1.0, n).tolist(), rng.normal(0.0, 1.0, n).tolist()
    found = compare_paired(a, b)
    d = [x - y for x, y in zip(a, b, strict=True)]
    assert found.sign_flip_p == pytest.approx(sign_flip_by_enumeration(d))


@pytest.mark.parametrize("samples", [97, 120, 360, 5000, 10000])
@pytest.mark.parametrize("digits", [10, 17])
def test_sums_of_counts_that_are_equal_are_ties(samples: int, digits: int) -> None:
    """Accuracies are counts over samples, and as a table has them; counts themselves are exact."""
    rng = np.random.default_rng(samples)
    for _ in range(8):
        a, b = rng.integers(samples - 12, samples + 1, (2, 8))
        expected = sign_flip_by_enumeration([float(x) for x in a - b])
        shares = [[round(float(x) / samples, digits) for x in counts] for counts in (a, b)]
        assert compare_paired(*shares).sign_flip_p == expected


@pytest.mark.parametrize("n", [2, 5, 13, 14, 20])
def test_the_smallest_p_is_that_of_differences_of_one_sign(n: int) -> None:
    found = compare_paired([1.0 + i for i in range(n)], [0.0] * n)
    assert found.sign_flip_p == pytest.approx(smallest_p(n), rel=1e-12)
    assert smallest_p(n) >= 2 / 2**n


def test_student_by_hand() -> None:
    """Differences 1, 2, 3: t = 2 / (1 / sqrt 3) = 2 sqrt 3, two degrees of freedom.

    For two degrees of freedom the two-sided p is 1 - t / sqrt(2 + t^2).
    """
    found = compare_paired([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    t = 2.0 * 3.0**0.5
    assert (found.n, found.mean, found.std) == (3, 2.0, 1.0)
    assert found.t_p == pytest.approx(1.0 - t / (2.0 + t * t) ** 0.5)


def test_borders() -> None:
    one = compare_paired([0.5], [0.25])
    assert (one.n, one.mean, one.std, one.t_p, one.sign_flip_p) == (1, 0.25, None, None, None)
    equal = compare_paired([0.1, 0.2], [0.1, 0.2])
    assert (equal.mean, equal.t_p, equal.sign_flip_p) == (0.0, 1.0, 1.0)
    shifted = compare_paired([0.3, 0.6, 0.9], [0.2, 0.5, 0.8])
    assert shifted.t_p is None
    assert shifted.sign_flip_p == pytest.approx(0.25)
    with pytest.raises(ValueError, match="found 1 and 2"):
        compare_paired([1.0], [1.0, 2.0])
