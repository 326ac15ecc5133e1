"""Decisions in the report: class by class, over timesteps, and with an early exit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .energy import Operations, energy_of

if TYPE_CHECKING:
    from mpo_snn.profiles.energy import EnergyProfile

    from .activity import Activity
    from .evaluate import Evaluation


def report_decisions(evaluation: Evaluation, profile: EnergyProfile) -> dict[str, Any]:
    """The part `decisions` of a report.

    Args:
        evaluation: what was measured and counted.
        profile: the energy constants.
    """
    activity = evaluation.activity
    decisions, samples = activity.decisions, activity.samples
    confusion = decisions.confusion.tolist()
    return {
        "classes": [
            _of_class(activity, label, name) | _cost_of_class(evaluation, label, profile)
            for label, name in enumerate(evaluation.class_names)
        ],
        "confusion": confusion,
        "timesteps": [
            {"timestep": t, "accuracy_percent": 100.0 * correct / samples}
            for t, correct in enumerate(decisions.correct_at.tolist(), 1)
        ],
        "early_exit": [
            {
                "patience": patience,
                "mean_timesteps": steps / samples,
                "accuracy_percent": 100.0 * correct / samples,
            }
            for patience, (steps, correct) in enumerate(
                zip(decisions.exit_steps.tolist(), decisions.exit_correct.tolist(), strict=True), 1
            )
        ],
    }


def _of_class(activity: Activity, label: int, name: str) -> dict[str, Any]:
    answers = activity.decisions.confusion[label]
    samples, correct = int(answers.sum()), int(answers[label])
    wrong = answers.clone()
    wrong[label] = 0
    neurons = sum(counts.numel() for counts in activity.spike_counts.values())
    spikes = sum(float(counts[label]) for counts in activity.class_spikes.values())
    places = neurons * activity.timesteps * samples
    return {
        "name": name,
        "samples": samples,
        "correct": correct,
        "accuracy_percent": 100.0 * correct / samples if samples else None,
        "taken_for": int(wrong.argmax()) if int(wrong.sum()) else None,
        "density": spikes / places if places else None,
        "densities": {
            layer: (
                float(counts[label])
                / (activity.spike_counts[layer].numel() * activity.timesteps * samples)
                if samples
                else None
            )
            for layer, counts in activity.class_spikes.items()
        },
    }


def _cost_of_class(evaluation: Evaluation, label: int, profile: EnergyProfile) -> dict[str, Any]:
    """Operations and energy per inference of a class; what does not depend on spikes is in both."""
    activity = evaluation.activity
    samples = activity.decisions.samples_of(label)
    if not samples:
        return {
            "synops_per_inference": None,
            "energy_pj_per_inference": None,
            "synops": dict.fromkeys(activity.class_synops),
        }
    parts = (evaluation.operations(layer, label=label) for layer in evaluation.layers)
    used = sum(parts, Operations())
    return {
        "synops_per_inference": used.synops,
        "energy_pj_per_inference": energy_of(used, profile).value_pj,
        "synops": {
            name: float(count[label]) / samples for name, count in activity.class_synops.items()
        },
    }
