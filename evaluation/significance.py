"""Paired comparison of two configurations over the same seeds."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

EXACT_UP_TO = 13
"""Pairs up to which every one of the 2^n sign patterns is looked at; beyond, random ones."""
RANDOM_PATTERNS = 9999
_DIGITS = 7
"""Decimals that decide whether two differences, or means of them, are equal. Accuracies are ratios
of counts: those that differ do so by more, those that are equal by rounding, 1e-10 in a table."""


@dataclass(frozen=True)
class PairedDifference:
    """Differences a - b over n pairs.

    Attributes:
        n: pairs.
        mean: of the differences.
        std: sample standard deviation of the differences; None for n < 2.
        t_p: two-sided p of the paired t-test; None where it is not defined (n < 2, or all
            differences equal and not 0).
        sign_flip_p: two-sided p of the sign-flip permutation test of the mean; None for n < 2. It
            cannot go below `smallest_p`.
    """

    n: int
    mean: float
    std: float | None
    t_p: float | None
    sign_flip_p: float | None


def compare_paired(a: Sequence[float], b: Sequence[float]) -> PairedDifference:
    """Compare two samples whose elements belong together, pair by pair.

    Both tests ask whether the differences are centred on 0: Student's under normality, the
    sign-flip test (Fisher 1935) if a difference is as likely as its negative. Differences that are
    all 0 give p = 1.

    Raises:
        ValueError: if the lengths differ or there is no pair.
    """
    if len(a) != len(b) or not a:
        raise ValueError(f"pairs need equal lengths of at least 1, found {len(a)} and {len(b)}")
    d = np.subtract(a, b, dtype=np.float64)
    n = len(d)
    if n < 2:
        return PairedDifference(n, float(d.mean()), None, None, None)
    std = float(d.std(ddof=1))
    if not np.round(d, _DIGITS).any():
        return PairedDifference(n, 0.0, 0.0, 1.0, 1.0)
    all_equal = np.round(np.ptp(d), _DIGITS) == 0.0
    return PairedDifference(
        n,
        float(d.mean()),
        0.0 if all_equal else std,
        None if all_equal else float(stats.ttest_1samp(d, 0.0).pvalue),
        _sign_flip(d),
    )


def smallest_p(n: int) -> float:
    """The smallest p of the sign-flip test over n pairs, n >= 2: 2 / 2^n, or of random patterns.

    What is observed counts as one of these, on either side.
    """
    return 2.0 / (2**n if n <= EXACT_UP_TO else RANDOM_PATTERNS + 1)


def _sign_flip(d: np.ndarray) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        result = stats.permutation_test(
            (d,),
            _mean,
            permutation_type="samples",
            vectorized=True,
            n_resamples=2**EXACT_UP_TO if len(d) <= EXACT_UP_TO else RANDOM_PATTERNS,
            rng=np.random.default_rng(0),
        )
    return float(min(1.0, result.pvalue))


def _mean(d: np.ndarray, axis: int) -> Any:
    """Rounded: a tie counts as one, whatever the order in which its terms were added up."""
    return np.round(np.mean(d, axis=axis), _DIGITS)
