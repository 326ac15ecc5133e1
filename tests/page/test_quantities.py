from __future__ import annotations

import pytest

from mpo_snn.page.quantities import (
    show_bytes,
    show_count,
    show_density,
    show_energy,
    show_percent,
    show_points,
    show_ratio,
    show_rr,
    show_seconds,
)


@pytest.mark.parametrize(
    ("picojoule", "text"),
    [
        (0.0, "0 pJ"),
        (0.9, "0.9 pJ"),
        (4.6, "4.60 pJ"),
        (136, "136 pJ"),
        (999.6, "1.00 nJ"),
        (981_234, "981 nJ"),
        (3_440_000, "3.44 µJ"),
        (2.5e9, "2.50 mJ"),
        (7e12, "7.00 J"),
        (8e15, "8,000 J"),
    ],
)
def test_energy(picojoule, text):
    assert show_energy(picojoule) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (7, "7"),
        (1.5454545, "1.55"),
        (563.02, "563"),
        (9999, "9,999"),
        (10_000, "10.0 k"),
        (573_123.4, "573 k"),
        (999_999, "1.00 M"),
        (2.285e9, "2.29 G"),
    ],
)
def test_count(count, text):
    assert show_count(count) == text


def test_the_rest():
    assert show_percent(98.8888) == "98.89 %"
    assert show_density(0.25714) == "0.2571"
    assert show_ratio(3.0666) == "3.07"
    assert show_ratio(0.01234) == "0.0123"
    assert show_seconds(1e-4) == "0.0001 s"
    for show in (show_count, show_density, show_energy, show_percent, show_ratio):
        assert show(None) == "\N{EN DASH}"


def test_memory_and_ratios():
    shown = [show_bytes(value) for value in (0, 640, 9_280, 233_040, 1e6, 2.5e9)]
    assert shown == ["0 B", "640 B", "9.28 kB", "233 kB", "1.00 MB", "2.50 GB"]
    assert (show_points(0.2778), show_rr(1.0028)) == ("0.28", "1.003")
    assert {show_bytes(None), show_points(None), show_rr(None)} == {"\N{EN DASH}"}
