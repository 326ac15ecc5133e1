"""What classes are taken for, drawn or listed, against the numbers of the report."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.evaluation.confusion import MOST_CLASSES, MOST_LISTED, confusion_chart, most_confused

TEXT = re.compile(r"<text[^>]*>(?:<tspan[^>]*>)?([^<]*)<")


def decisions(confusion, names=None):
    names = names or [f"c{k}" for k in range(len(confusion))]
    return {"confusion": confusion, "classes": [{"name": name} for name in names]}


@settings(deadline=None, max_examples=15)
@given(
    st.integers(1, 6).flatmap(
        lambda n: st.lists(
            st.lists(st.integers(0, 9999), min_size=n, max_size=n), min_size=n, max_size=n
        )
    )
)
def test_every_count_but_zero_is_written(confusion):
    written = TEXT.findall(confusion_chart(decisions(confusion)))
    counts = [f"{count:,}" for row in confusion for count in row if count]
    labels = [f"c{k}" for k in range(len(confusion))] * 2
    assert sorted(written) == sorted([*counts, *labels, "class", "answer"])


def test_a_cell_is_the_darker_the_larger_its_share():
    drawing = confusion_chart(decisions([[90, 9, 1], [0, 100, 0], [0, 0, 0]]))
    found = re.findall(r"fill: var\(--accent\); opacity: ([\d.]+)", drawing)
    assert [float(one) for one in found] == pytest.approx(
        [0.55 * 0.9, 0.55 * 0.3, 0.55 * 0.1, 0.55], abs=1e-6
    )


def test_names_are_text_and_long_ones_are_cut():
    drawing = confusion_chart(decisions([[1, 0], [0, 1]], ["<b> & $x$", "a very long class name"]))
    assert "&lt;b&gt; &amp; $x$" in drawing
    assert "a very long class name" not in drawing and "\N{HORIZONTAL ELLIPSIS}" in drawing


def test_many_classes_are_a_list_of_the_most_frequent():
    size = MOST_CLASSES + 1
    confusion = [[(7 * i + 3 * j) % 11 for j in range(size)] for i in range(size)]
    assert confusion_chart(decisions(confusion)) is None
    found = most_confused(decisions(confusion))
    wrong = sorted(
        (confusion[i][j] for i in range(size) for j in range(size) if i != j), reverse=True
    )
    assert [one["count"] for one in found] == wrong[:MOST_LISTED]
    assert all(confusion[one["label"]][one["answer"]] == one["count"] for one in found)
    assert all(one["label"] != one["answer"] for one in found)
    few = [row[:-1] for row in confusion[:-1]]
    assert confusion_chart(decisions(few)) is not None and most_confused(decisions(few)) == []
