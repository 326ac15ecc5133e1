"""Reports side by side: MPO against a baseline, float against deployed, one reader against another.

Only what is comparable stands without a remark: reports of different data, samples, scaling of the
input, timesteps, read-outs or energy profiles are put beside each other with a note that says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mpo_snn.page.quantities import (
    show_bytes,
    show_count,
    show_density,
    show_energy,
    show_percent,
    show_ratio,
)

ROWS = (
    ("accuracy", "summary.accuracy_percent", show_percent),
    ("energy per inference", "summary.energy_pj_per_inference", show_energy),
    ("as a dense network", "summary.dense_energy_pj_per_inference", show_energy),
    ("SynOps per inference", "summary.synops_per_inference", show_count),
    ("MACs per inference", "total.mac_per_inference", show_count),
    ("spikes per inference", "total.spikes_per_inference", show_count),
    ("density", "summary.density", show_density),
    ("SEEI", "summary.seei", show_ratio),
    ("neurons", "total.neurons", show_count),
    ("parameters", "total.parameters", show_count),
    ("memory in float32", "total.memory_bytes", show_bytes),
    ("weights", "total.weights", show_count),
    ("zero weights", "total.zero_weights", show_count),
)
"""What is compared: its name, its key in a report, and how it is shown."""
MUST_AGREE = {
    "data set": "setting.dataset",
    "name of the data": "setting.data_title",
    "part of the data": "setting.split",
    "samples": "setting.samples",
    "content of the samples": "setting.data_digest",
    "input scaling": "setting.input_scaling",
    "timesteps": "setting.timesteps",
    "dt in s": "setting.dt_s",
    "encoding": "setting.encoding",
    "readout": "setting.readout",
    "energy profile": "profile.name",
    "input counted at every timestep": "setting.recompute_input",
}
_CHOICE = ("data set", "part of the data", "samples")
"""Where one of these differs, the content of the samples does so of itself."""
ADDED = ("setting.data_title", "setting.data_digest", "setting.input_scaling")
"""Keys that reports of earlier versions do not have."""
NOT_STATED = "not stated"

ENERGIES = {
    "value_pj": "summary.energy_pj_per_inference",
    "low_pj": "summary.energy_low_pj_per_inference",
    "high_pj": "summary.energy_high_pj_per_inference",
}
RUN = {
    "file": "graph.file",
    "data set": "setting.dataset",
    "name of the data": "setting.data_title",
    "part of the data": "setting.split",
    "samples": "setting.samples",
    "content of the samples": "setting.data_digest",
    "input scaling": "setting.input_scaling",
    "timesteps": "setting.timesteps",
    "dt in s": "setting.dt_s",
    "encoding": "setting.encoding",
    "readout": "setting.readout",
    "energy profile": "profile.name",
}
"""What is told of each run."""

ABSENT = object()
"""What stands under a key that is not there."""


def compare(reports: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """What stands beside what: rows of values, and remarks on what is not comparable.

    Args:
        reports: two or more, as `build_report` makes them.
        names: one for each.

    Returns:
        `names`; `rows`, each with `name`, `values`, `shown` and `against_first`: how often
        the first report's value, of accuracy the difference in points, in words ("" where there is
        none); `energies`, each network's with its lowest and highest; `timesteps`, each network's
        accuracies up to each of them; `layers`, the density of each layer that all have; `runs`,
        what was run, by name; `remarks`.
    """
    return {
        "names": list(names),
        "rows": [
            _row(name, [value_at(one, key) for one in reports], show) for name, key, show in ROWS
        ],
        "equivalence": [one["summary"]["equivalence"] for one in reports],
        "energies": [
            {name: value_at(one, key) for name, key in ENERGIES.items()} for one in reports
        ],
        "timesteps": [
            [
                {key: step[key] for key in ("timestep", "accuracy_percent")}
                for step in one["decisions"]["timesteps"]
            ]
            for one in reports
        ],
        "layers": _layers(reports),
        "runs": {name: _stated(reports, key) for name, key in RUN.items()},
        "remarks": list(_remarks(reports, names)),
    }


def _remarks(reports: Sequence[dict[str, Any]], names: Sequence[str]) -> Iterator[str]:
    found = {what: [*map(str, _stated(reports, key))] for what, key in MUST_AGREE.items()}
    unequal = [what for what, values in found.items() if len(set(values)) > 1]
    if any(what in unequal for what in _CHOICE) and "content of the samples" in unequal:
        unequal.remove("content of the samples")
    for what in unequal:
        values = found[what]
        told = ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))
        is_known = len(set(values) - {NOT_STATED}) > 1
        yield f"{'not the same' if is_known else 'not known to be the same'}: {what} ({told})"
    silent = [what for what, values in found.items() if set(values) == {NOT_STATED}]
    if silent:
        yield (
            f"not stated by any of these reports: {', '.join(silent)}; made anew, they say whether"
            " these are the same"
        )


def _stated(reports: Sequence[dict[str, Any]], key: str) -> list[Any]:
    """What each report has under a key, or that it has nothing."""
    found = [value_at(one, key) for one in reports]
    return [NOT_STATED if value is ABSENT else value for value in found]


def _row(name: str, values: list[Any], show: Any) -> dict[str, Any]:
    first, others = values[0], values[1:]
    return {
        "name": name,
        "values": values,
        "shown": [show(value) for value in values],
        "against_first": ["", *(_against(name, first, value) for value in others)],
    }


def _against(name: str, first: float | None, value: float | None) -> str:
    if first is None or value is None:
        return ""
    if name == "accuracy":
        return f"{value - first:+.2f} points"
    return f"x{value / first:.3g}" if first else ""


def _layers(reports: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    found = [{layer["name"]: layer["density"] for layer in one["layers"]} for one in reports]
    common = [
        name
        for name, density in found[0].items()
        if density is not None and all(other.get(name) is not None for other in found)
    ]
    return [{"name": name, "densities": [one[name] for one in found]} for name in common]


def value_at(report: dict[str, Any], path: str) -> Any:
    """What stands under a dotted key, `ABSENT` where nothing does."""
    value: Any = report
    for key in path.split("."):
        value = value.get(key, ABSENT) if isinstance(value, dict) else ABSENT
    return value
