"""What the table of an ablation says of a difference."""

from __future__ import annotations

import pytest

from mpo_snn.evaluation.study_ablation import difference_in_words, notes_of_tests


@pytest.mark.parametrize(
    ("t_p", "sign_flip_p", "words"),
    [
        (0.0312, 0.0625, "+0.42 (0.031, 0.062)"),
        (0.0, 0.00195, "+0.42 (<0.001, 0.002)"),
        (0.00099, 0.001, "+0.42 (<0.001, 0.001)"),
        (None, None, "+0.42 (-, -)"),
    ],
)
def test_no_p_is_shown_as_zero(t_p: float | None, sign_flip_p: float | None, words: str) -> None:
    found = {"n": 10, "mean": 0.0042, "std": 0.1, "t_p": t_p, "sign_flip_p": sign_flip_p}
    assert difference_in_words(found) == words


def test_without_a_reference_there_is_no_difference() -> None:
    assert difference_in_words(None) == ""


@pytest.mark.parametrize(("n", "floor"), [(5, "0.0625"), (13, "0.000244"), (20, "0.0002")])
def test_the_note_tells_the_smallest_p(n: int, floor: str) -> None:
    rows = {
        "baseline": {"accuracy_against": {}},
        "mpo": {"accuracy_against": {"baseline": {"n": n}}},
    }
    assert f"with n = {n} the latter cannot go below {floor}." in notes_of_tests(rows)[1]
