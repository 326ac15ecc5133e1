"""Bar charts: names are whole however long, and rows lie below each other."""

from __future__ import annotations

import html
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.page.bar_chart import LONGEST_ROW, Bar, bar_chart

NAMES = st.lists(st.text("abc.12", min_size=1, max_size=60), min_size=1, max_size=6).map(" ".join)
BARS = st.builds(
    Bar,
    NAMES,
    st.none() | st.just([0.5]),
    st.sampled_from(["", "12.5 %", "1,024 of 2,048 words"]),
    note=st.sampled_from(["", "1 of 8 configurations"]),
)


@given(st.lists(BARS, min_size=1, max_size=3))
@settings(max_examples=15, deadline=None)
def test_names_are_whole(bars: list[Bar]) -> None:
    drawing = bar_chart(bars, 1.0, "t", "p")
    texts = [html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", drawing)]
    wanted = "".join(bar.name.replace(" ", "") + bar.label + bar.note for bar in bars)
    assert sorted("".join(texts).replace(" ", "")) == sorted(wanted.replace(" ", ""))
    for bar in bars:
        assert all(len(line) + len(bar.label) <= LONGEST_ROW for line in bar.lines)
        assert set(bar.lines) <= set(texts)


def test_rows_with_more_lines_are_as_much_higher() -> None:
    def height(*bars: Bar) -> float:
        return float(
            re.findall(r'viewBox="0 0 [\d.]+ ([\d.]+)"', bar_chart(bars, 1.0, "t", "p"))[0]
        )

    short, noted = Bar("a", [0.5], "x"), Bar("a", [0.5], "x", note="1 of 2")
    long = Bar("a" * 90, [0.5], "x")
    assert height(short, noted) == height(noted, short) == height(short, short) + 16
    assert height(short, long) == height(short, short) + 16
