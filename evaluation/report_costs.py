"""Costs as plain data: spikes, operations, energy and memory of each layer, and of all together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .energy import Operations, dense_energy_pj, energy_of, uncharged
from .parameters import report_parameters, sum_parameters

if TYPE_CHECKING:
    from mpo_snn.profiles.energy import EnergyProfile

    from .evaluate import Evaluation
    from .layers import Layer


def report_layer(evaluation: Evaluation, layer: Layer, profile: EnergyProfile) -> dict[str, Any]:
    """One of the part `layers` of a report.

    Args:
        evaluation: what was measured and counted.
        layer: one of its layers.
        profile: the energy constants.
    """
    activity = evaluation.activity
    spikes = density = None
    if layer.neurons is not None:
        spikes = activity.spikes(layer.name) / activity.samples
        density = activity.density(layer.name)
    return {
        "name": layer.name,
        "node_type": layer.node_type,
        "synapses": list(layer.synapses),
        "neurons": layer.neurons,
        "spikes_per_inference": spikes,
        "density": density,
        **_operations(evaluation.operations(layer), profile),
        **report_parameters(sum_parameters(evaluation.parameters[name] for name in layer.nodes)),
    }


def report_total(
    evaluation: Evaluation, profile: EnergyProfile, layers: list[dict[str, Any]]
) -> dict[str, Any]:
    """The part `total` of a report: sums, and beside them what other ways of counting would give.

    Args:
        evaluation: what was measured and counted.
        profile: the energy constants.
        layers: what `report_layer` gave for each layer.
    """
    activity, counts = evaluation.activity, evaluation.synapses.values()
    used, once, every_step = (
        sum(
            (evaluation.operations(layer, every_step=way) for layer in evaluation.layers),
            Operations(),
        )
        for way in (None, False, True)
    )
    dense_mac = sum(count.dense_mac for count in counts)
    added = {"pooling": 0, "skip": 0}
    for addition in evaluation.additions:
        added[addition.kind] += addition.count
    return {
        "neurons": sum(layer["neurons"] or 0 for layer in layers),
        "spikes_per_inference": sum(layer["spikes_per_inference"] or 0.0 for layer in layers),
        "density": activity.network_density,
        **_operations(used, profile),
        "uncharged_mac_per_inference": uncharged(used, profile),
        "synops_with_zero_weights_per_inference": (
            sum(count.synops_dense for count in counts) / activity.samples
        ),
        "constant_input_once": {
            "mac_per_inference": once.mac,
            **_energy(once, profile),
        },
        "constant_input_every_timestep": {
            "mac_per_inference": every_step.mac,
            **_energy(every_step, profile),
        },
        "dense_mac_per_inference": dense_mac,
        "dense_energy_pj_per_inference": dense_energy_pj(dense_mac, profile),
        "pooling_additions_per_inference": added["pooling"] / activity.samples,
        "skip_additions_per_inference": added["skip"] / activity.samples,
        **report_parameters(sum_parameters(evaluation.parameters.values())),
        "zero_weights": sum(count.zero_weights for count in counts),
    }


def _operations(operations: Operations, profile: EnergyProfile) -> dict[str, float]:
    return {
        "mac_per_inference": operations.mac,
        "ac_per_inference": operations.ac,
        "graded_ac_per_inference": operations.graded_ac,
        "synops_per_inference": operations.synops,
        "neuron_updates_per_inference": operations.updates,
        **_energy(operations, profile),
    }


def _energy(operations: Operations, profile: EnergyProfile) -> dict[str, float]:
    energy = energy_of(operations, profile)
    return {
        "energy_pj_per_inference": energy.value_pj,
        "energy_low_pj_per_inference": energy.low_pj,
        "energy_high_pj_per_inference": energy.high_pj,
    }
