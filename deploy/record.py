"""A deployment in plain values: `report.json`, which the page and the console are drawn from."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mpo_snn.profiles.chip import ChipProfile
from mpo_snn.profiles.chip_keys import KEYS, Flag

from .deployment import Answers, Deployment
from .energy import energy_per_inference
from .families import family_of
from .finding import Fact
from .xylo_clock import clock_facts
from .xylo_quantize import XyloIntegers

SCHEMA_VERSION = 1


def report_of(deployment: Deployment, source: str, command: str, dt: float) -> dict[str, Any]:
    """Everything that was found out, units in the keys.

    Args:
        deployment: what was measured.
        source: run or file that was deployed.
        command: the command line that makes this again.
        dt: timestep of the network, in s.
    """
    profile, run, samples = deployment.profile, deployment.run, deployment.samples
    pairs = zip(deployment.real.predicted, deployment.chip.predicted, strict=True)
    return {
        "schema_version": SCHEMA_VERSION,
        "source": source,
        "command": command,
        "target": {
            "name": profile.name,
            "title": profile.title,
            "family": profile.family,
            "arithmetic": family_of(profile).arithmetic,
            "notes": profile.notes,
            "neuron": _said(profile, "neuron"),
            "format": _said(profile, "format"),
        },
        "data": deployment.of,
        "samples": samples,
        "calibration_samples": deployment.calibrated_on,
        "accuracy": {
            "float": _answers(deployment.real),
            "rounded": _answers(deployment.rounded),
            "chip": _answers(deployment.chip),
        },
        "same_answer_percent": 100 * sum(a == b for a, b in pairs) / samples,
        "layers": _layers(deployment),
        "events": dict(run.events),
        "synaptic_events_per_inference": run.synaptic_events / samples,
        "neuron_updates_per_inference": run.updates / samples,
        "energy": [asdict(one) for one in energy_per_inference(profile, run, samples)],
        "resources": [{**asdict(one), "share": one.share} for one in deployment.check.usage],
        "placement": dict(deployment.check.placement),
        "facts": [asdict(one) for one in _facts(deployment, dt)],
        "warnings": [asdict(one) for one in deployment.check.warnings],
    }


def _said(profile: ChipProfile, table: str) -> dict[str, Any]:
    """What the integers are for, as the profile has it: overflow, rounding, bits and the like."""
    keys = KEYS[profile.family].items()
    defaults = {key: rule.default for key, rule in keys if isinstance(rule, Flag)}
    said = {f"{table}.{name}": one.value for name, one in profile.tables[table].items()}
    return {
        key.removeprefix(f"{table}."): value
        for key, value in {**defaults, **said}.items()
        if key.startswith(f"{table}.")
    }


def _facts(deployment: Deployment, dt: float) -> list[Fact]:
    if isinstance(deployment.integers, XyloIntegers):
        network, activity = deployment.integers.network, deployment.run.activity
        return clock_facts(network, deployment.profile, activity, dt)
    return []


def _answers(answers: Answers) -> dict[str, Any]:
    return {"right": answers.right, "percent": 100 * answers.accuracy}


def _layers(deployment: Deployment) -> list[dict[str, Any]]:
    layers = []
    for layer, error in zip(deployment.integers.graph, deployment.integers.errors, strict=True):
        assert layer.name == error.layer, "errors stand in the order of the layers"
        samples = deployment.samples
        layers.append(
            {
                "name": layer.name,
                "shape": list(layer.shape),
                "neurons": layer.size,
                "scale": error.scale,
                "weight_error_percent": 100 * error.weight_error,
                "largest_weight_error_in_units": error.largest_error,
                "weights": error.weights,
                "dead_weights": error.dead_weights,
                "clipped_values": error.saturated,
                "threshold_error_percent": 100 * error.threshold,
                "decay_error": error.decay,
                "note": error.note,
                "spikes_per_inference": {
                    "float": deployment.real.spikes[layer.name] / samples,
                    "rounded": deployment.rounded.spikes[layer.name] / samples,
                    "chip": deployment.chip.spikes[layer.name] / samples,
                },
            }
        )
    return layers
