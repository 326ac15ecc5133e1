"""Figures of all studies without training: what the runs measured is made up."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mpo_snn.evaluation import (
    study_ablation,
    study_dynamics,
    study_robustness,
    study_timesteps,
)
from mpo_snn.evaluation.study_engine import Engine
from mpo_snn.evaluation.study_plan import Configuration, Plan, StudyOptions, Trial
from mpo_snn.evaluation.study_results import Results, measurement
from mpo_snn.evaluation.study_runs import Outcome
from mpo_snn.training.probe import bin_edges
from mpo_snn.training.recipe_file import load_recipe
from mpo_snn.training.rundir import Run

MODULES: dict[str, Any] = {
    "ablation": study_ablation,
    "timesteps": study_timesteps,
    "robustness": study_robustness,
    "dynamics": study_dynamics,
}
LAYERS, WEIGHTS = ("features.2", "features.5"), ("features.0", "features.3", "readout")
SWEEP, NOISES = (2, 4, 8), {"gaussian": (0.1, 0.5), "salt_and_pepper": (0.05, 0.2)}


def named(count: int) -> tuple[Configuration, ...]:
    """`mpo`, `baseline` and others, among them one with a long name."""
    names = ["mpo", "baseline", "a-rather-long-name.of_my_own-for-which-there-is-no-room"]
    names += [f"own-{n}" for n in range(count)]
    return tuple(Configuration(name, name, {"method": "fixed"}) for name in names[:count])


def draw(
    study: str,
    configurations: Sequence[Configuration],
    monkeypatch: pytest.MonkeyPatch,
    seeds: tuple[int, ...] = (0, 1, 2),
    diverged: Iterable[str] = (),
    epochs: int = 5,
    validation: float = 0.0,
) -> tuple[Plan, Results]:
    """The results of a study in which the runs of some configurations diverged.

    `diverged` holds names of configurations, or of single trials.
    """
    base = load_recipe("digits")
    recipe = replace(base, epochs=epochs, data=replace(base.data, validation=validation))
    options = StudyOptions(sweep=SWEEP, **NOISES)
    plan = Plan(study, recipe, seeds, tuple(configurations), Path("out"), "mpo-study", options)
    module, lost = MODULES[study], set(diverged)

    def run_trials(trials: Sequence[Trial], *_: Any) -> list[Outcome]:
        return [
            Outcome(
                trial,
                Run(Path("out"), trial.recipe),
                measured(trial),
                "loss is nan" if lost & {trial.name, trial.configuration} else None,
                0.0,
            )
            for trial in trials
        ]

    monkeypatch.setattr(module, "run_trials", run_trials)
    if study == "dynamics":
        monkeypatch.setattr(module, "watched_rows", watched)
    results: Results = getattr(module, f"run_{study}")(plan, Engine(), lambda outcome: None)
    return plan, results


def _level(trial: Trial) -> float:
    """A number of its own for each run, within 0 and 1."""
    return (sum(map(ord, trial.configuration)) % 29 + 3 * math.sin(trial.seed)) / 40 + 0.1


def measured(trial: Trial) -> dict[str, Any]:
    """Everything that any study measures."""
    level, steps = _level(trial), trial.recipe.timesteps
    layer = {
        "neurons": 10.0,
        "density": 0.2 * level + 0.1 / steps,
        "coverage": 0.5 + level / 4 - 0.2 / steps,
        "v_end": level - 1 / steps,
        "near_fire": level / 10,
    }
    noisy = {
        kind: {f"{value:g}": 0.9 * (1 - value * level) for value in values}
        for kind, values in NOISES.items()
    }
    layers = {name: dict(layer) for name in LAYERS}
    return {"accuracy": 0.9, "density": layer["density"], "layers": layers, "noisy": noisy}


def watched(outcome: Outcome) -> list[dict[str, Any]]:
    """Rows over the epochs; the membranes of `klif` pile up at 0."""
    level, rows = _level(outcome.trial), []
    for epoch in range(1, outcome.trial.recipe.epochs + 1):
        grown = level * (1 - 0.5 / epoch)
        for name in ("train_loss", "train_accuracy", "test_accuracy"):
            rows.append(measurement(outcome, name, grown, "1", epoch=epoch))
        for layer in LAYERS:
            for name in ("mu", "sigma", "width", "height", "rho", "coverage"):
                rows.append(measurement(outcome, name, grown, "V", epoch=epoch, layer=layer))
            for edge, share in membrane(outcome.trial.configuration == "klif").items():
                row = measurement(outcome, "membrane_share", share, "1", level=edge)
                rows.append(row | {"epoch": epoch, "layer": layer})
        for weight in WEIGHTS:
            rows.append(
                measurement(outcome, "gradient_norm", grown, "1", epoch=epoch, layer=weight)
            )
    return rows


def membrane(piled: bool) -> dict[float, float]:
    """Shares of a normal membrane in bins of a tenth; `piled`: half of it in the bin at 0."""
    heights = {edge: math.exp(-((edge + 0.05) ** 2) / 2) for edge in bin_edges()}
    total = sum(heights.values())
    shares = {edge: height / total for edge, height in heights.items()}
    if piled:
        shares = {edge: share / 2 + 0.5 * (edge == 0.0) for edge, share in shares.items()}
    return shares
