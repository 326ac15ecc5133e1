"""Findings for people: what differs in the place alone stands once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mpo_snn.deploy.finding import Finding, grouped

FINDINGS = st.builds(
    Finding,
    st.sampled_from(["a", "b", "c"]),
    *[st.sampled_from(["x", "y"])] * 4,
)


@given(st.lists(FINDINGS))
def test_every_finding_stands_once_with_all_of_its_places(findings: list[Finding]) -> None:
    shown = grouped(findings)
    rest = [(one.found, one.allowed, one.fix, one.source) for one in shown]
    assert len(set(rest)) == len(rest)
    apart = {
        (place, *r) for one, r in zip(shown, rest, strict=True) for place in one.where.split(", ")
    }
    assert apart == {(x.where, x.found, x.allowed, x.fix, x.source) for x in findings}


def test_the_first_of_each_decides_the_order() -> None:
    one, two = Finding("a", "x", "y", "z"), Finding("a", "u", "y", "z")
    last = Finding("b", "x", "y", "z")
    assert [x.where for x in grouped([one, two, last])] == ["a, b", "a"]
