"""The drawings of the page, each out of its part of the report."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from mpo_snn.graph.kinds import SPIKING
from mpo_snn.page.bar_chart import Bar, bar_chart
from mpo_snn.page.curve_chart import curve_chart
from mpo_snn.page.histogram_chart import Histogram, histogram_chart
from mpo_snn.page.quantities import show_count, show_density, show_energy, show_percent
from mpo_snn.page.raster_chart import RasterLayer, raster_chart

from .confusion import confusion_chart
from .graph_chart import DrawnNode, graph_charts

FAULT_AXES = {
    "gaussian": "sigma / range of the data",
    "salt_and_pepper": "share of the pixels",
    "weight_bits": "share of the bits flipped",
    "threshold_jitter": "sigma / threshold",
    "dead_neurons": "share of the neurons",
    "dropped_spikes": "share of the spikes",
    "clock_jitter": "share of the spikes",
}
MOST_CLASSES = 10
"""So many are drawn, the ones that are right least often; the table has all."""


def layer_charts(report: dict[str, Any]) -> dict[str, Markup]:
    """Density, operations and energy of the layers, and the decisions."""
    layers, total = report["layers"], report["total"]
    spiking = [layer for layer in layers if layer["density"] is not None]
    working = [
        layer for layer in layers if layer["mac_per_inference"] + layer["synops_per_inference"]
    ]
    operations = total["mac_per_inference"] + total["synops_per_inference"]
    energy = total["energy_pj_per_inference"]
    drawn = {
        "density": bar_chart(
            [Bar(one["name"], [one["density"]], show_density(one["density"])) for one in spiking],
            1.0,
            "Spike density of each layer",
            "density",
        ),
        "operations": bar_chart(
            [Bar(one["name"], _kinds(one), show_count(sum(_kinds(one)))) for one in working],
            operations,
            "Operations of each layer per inference, by kind",
            "operations",
        ),
        "energy": bar_chart(
            [_energy_bar(one, energy) for one in layers if one["energy_pj_per_inference"]],
            energy,
            "Energy of each layer per inference",
            "energy",
        ),
    }
    return {name: Markup(svg) for name, svg in (drawn | _decision_charts(report)).items()}


def robustness_charts(robustness: dict[str, Any] | None) -> list[tuple[str, Markup, list[int]]]:
    """Title, drawing and rows of each kind of fault: the mean over seeds, and every seed.

    The rows are places in `levels`.
    """
    if robustness is None:
        return []
    found = [value for row in robustness["levels"] for value in row["accuracies_percent"]]
    within = (max(0.0, min(found) - 3.0), 102.0)
    drawn = []
    for kind in dict.fromkeys(row["kind"] for row in robustness["levels"]):
        places = [i for i, row in enumerate(robustness["levels"]) if row["kind"] == kind]
        rows = [robustness["levels"][i] for i in places]
        curve = [(row["level"], row["accuracy_percent"]) for row in rows]
        if rows[0]["level"] > 0.0:
            curve = [(0.0, robustness["clean_accuracy_percent"]), *curve]
        seeds = [(row["level"], value) for row in rows for value in row["accuracies_percent"]]
        title = f"Accuracy under {kind.replace('_', ' ')}"
        svg = curve_chart(curve, seeds, FAULT_AXES[kind], title, f"fault-{kind}", within)
        drawn.append((kind.replace("_", " ").capitalize(), Markup(svg), places))
    return drawn


def _decision_charts(report: dict[str, Any]) -> dict[str, str]:
    decisions = report["decisions"]
    confusion = confusion_chart(decisions)
    classes = [one for one in decisions["classes"] if one["samples"]]
    found = [one["accuracy_percent"] for one in decisions["timesteps"] + decisions["early_exit"]]
    lowest = min(found) - max(1.0, 0.08 * (max(found) - min(found)))
    highest = max(found) + 0.08 * (max(found) - lowest)  # so near that no tick is above 100 %
    drawn = {} if confusion is None else {"confusion": confusion}
    return drawn | {
        "timesteps": curve_chart(
            [(one["timestep"], one["accuracy_percent"]) for one in decisions["timesteps"]],
            [(one["mean_timesteps"], one["accuracy_percent"]) for one in decisions["early_exit"]],
            "timesteps",
            "Accuracy over timesteps, and with an early exit",
            "timesteps",
            (lowest, highest),
        ),
        "classes": bar_chart(
            [
                Bar(
                    one["name"],
                    [one["accuracy_percent"]],
                    show_percent(one["accuracy_percent"]),
                )
                for one in sorted(classes, key=lambda one: one["accuracy_percent"])[:MOST_CLASSES]
            ],
            100.0,
            "Accuracy of each class, the lowest first",
            "classes",
        ),
    }


def _kinds(layer: dict[str, Any]) -> list[float]:
    keys = ("mac_per_inference", "ac_per_inference", "graded_ac_per_inference")
    return [layer[key] for key in keys]


def _energy_bar(layer: dict[str, Any], total: float) -> Bar:
    value = layer["energy_pj_per_inference"]
    return Bar(
        layer["name"], [value], f"{show_energy(value)} \N{MIDDLE DOT} {100 * value / total:.0f} %"
    )


def drawn_graph(report: dict[str, Any]) -> list[Markup]:
    """The graph, in one drawing or several."""
    graph = report["graph"]
    nodes = [
        DrawnNode(
            node["name"],
            f"{node['kind']} \N{MIDDLE DOT} {'x'.join(map(str, node['shape']))}",
            node["kind"] in SPIKING,
        )
        for node in graph["nodes"]
    ]
    edges = [(source, target) for source, target in graph["edges"]]
    return [Markup(svg) for svg in graph_charts(nodes, edges, "The graph", "graph")]


def sample_charts(report: dict[str, Any]) -> dict[str, Markup]:
    """Raster and membranes of the sample that was looked at; nothing where none was."""
    sample = report["sample"]
    if sample is None or not sample["layers"]:
        return {}
    layers = sample["layers"]
    raster = [
        RasterLayer(
            layer["name"],
            f"{len(layer['shown_neurons'])} of {show_count(layer['neurons'])} neurons",
            len(layer["shown_neurons"]),
            [(t, row) for t, row in layer["spikes"]],
        )
        for layer in layers
    ]
    histograms = [
        Histogram(
            layer["name"],
            f"{show_count(layer['spike_count'])} spikes,"
            f" {layer['membrane_beyond_percent']:.1f} % beyond"
            + ("" if layer["membrane_unit"] == "threshold" else ", in volt"),
            layer["membrane_edges"],
            layer["membrane_counts"],
        )
        for layer in layers
    ]
    timesteps = report["setting"]["timesteps"]
    drawn = {
        "raster": raster_chart(raster, timesteps, "Spikes of one sample", "raster"),
        "membranes": histogram_chart(
            histograms, 1.0, "membrane / threshold", "Membranes of one sample", "membranes"
        ),
    }
    return {name: Markup(svg) for name, svg in drawn.items()}
