"""The pictures of an equivalence record: what they count, and that they say it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mpo_snn.evaluation.equivalence_charts import cells, equivalence_charts

LAYERS = [
    {"layer": "quiet", "differing": 0, "entries": 4000},
    {"layer": "<loud>", "differing": 7, "entries": 900},
]
PART = {
    "equal": True,
    "layers": LAYERS,
    "differing_by_timestep": {"<loud>": [0, 2, 5, 0]},
    "roots_by_distance": {"quiet": {"-6": 2, "-7": 1}, "<loud>": {"-7": 3, "-17": 4}},
}
RECORD = {
    "equal": True,
    "timesteps": 4,
    "float32": PART,
    "float64": {**PART, "differing_by_timestep": {}, "roots_by_distance": {}},
}
TRACK, ACCENT = "var(--track)", "var(--accent)"


def texts(svg: Any) -> list[str]:
    return re.findall(r"<text[^>]*>(.*?)</text>", str(svg))


def test_a_strip_has_a_cell_per_timestep_and_ink_where_spikes_differ() -> None:
    float64, float32 = equivalence_charts(RECORD)
    assert (float64["precision"], float32["precision"]) == ("float64", "float32")
    assert float64["strips"].count(TRACK) == float32["strips"].count(TRACK) == 8
    assert float64["strips"].count(ACCENT) == 0 and float32["strips"].count(ACCENT) == 2
    assert texts(float32["strips"]) == [
        "quiet",
        "0 of 4,000",
        "&lt;loud&gt;",
        "7 of 900",
        "timestep 0",
        "3",
    ]
    opacities = [float(o) for o in re.findall(r"opacity: ([\d.]+)", str(float32["strips"]))]
    assert len(opacities) == 1 and 0.25 < opacities[0] < 1  # the most is drawn in full


def test_many_timesteps_share_cells_and_none_is_lost() -> None:
    for timesteps in (1, 59, 60, 61, 500, 1000):
        row = cells(list(range(timesteps)), timesteps)
        assert sum(row) == sum(range(timesteps)) and 1 <= len(row) <= 60
    assert cells([], 3) == [0, 0, 0]


def test_a_histogram_adds_up_the_layers() -> None:
    float64, float32 = equivalence_charts(RECORD)
    assert float64["histogram"] is None
    assert float32["histogram"].count(ACCENT) == 3
    assert {"2", "4", "rounding explains these"} <= set(texts(float32["histogram"]))
    assert texts(float32["histogram"]).count("4") == 2  # 1 + 3 at 1e-7, and what is nearer


@pytest.mark.parametrize("record", [None, {}, {"float32": {"layers": LAYERS}}, {"float32": 3}])
def test_records_of_earlier_versions_have_no_pictures(record: Any) -> None:
    assert equivalence_charts(record) == []
