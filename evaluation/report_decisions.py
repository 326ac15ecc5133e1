"""Decisions in the report: class by class, over timesteps, and with an early exit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .activity import Activity

if TYPE_CHECKING:
    from collections.abc import Sequence


def report_decisions(activity: Activity, class_names: Sequence[str]) -> dict[str, Any]:
    """The part `decisions` of a report.

    Args:
        activity: what was measured.
        class_names: of the data set, in the order of the outputs.
    """
    decisions, samples = activity.decisions, activity.samples
    confusion = decisions.confusion.tolist()
    return {
        "classes": [_of_class(activity, label, name) for label, name in enumerate(class_names)],
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
