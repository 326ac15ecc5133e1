"""Runs the trials of a study: in parallel processes, resumed where they stopped.

A trial is an ordinary run directory. What is finished stays, what is unfinished goes on from its
last epoch, and a run whose loss stops being a number is an outcome, not the end of the study.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpo_snn.errors import RunError, StudyError
from mpo_snn.files import write_file
from mpo_snn.training.rundir import RECIPE, Run, create_run, open_run

from .study_engine import Device, Engine, connected, is_local_worker, resolved
from .study_folder import DIVERGED, check_data, run_path, to_json
from .study_plan import Configuration, Trial
from .study_worker import working_for


@dataclass(frozen=True)
class Measure:
    """What a study measures on a finished run; kept beside it under this name.

    Attributes:
        name: of the file in the run directory, without `.json`.
        settings: JSON values; what was measured under other settings is measured anew.
        function: gives JSON values from a run, the settings and the device's name.
        probed: whether the run is watched while it trains (`mpo_snn.training.probe`).
    """

    name: str
    settings: Mapping[str, Any]
    function: Callable[[Run, Mapping[str, Any], str], dict[str, Any]]
    probed: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a trial.

    Attributes:
        trial: which one.
        run: its run directory.
        measured: what was measured on it; empty if it diverged.
        diverged: why it stopped, or None.
        seconds: spent on it now; 0 where everything was there already.
    """

    trial: Trial
    run: Run
    measured: Mapping[str, Any]
    diverged: str | None
    seconds: float


ByName = Mapping[str, Sequence[Outcome]]
"""Outcomes by name of their configuration."""


def grouped(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """Outcomes by name of their configuration."""
    by_name: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_name.setdefault(outcome.trial.configuration, []).append(outcome)
    return by_name


def with_runs(
    configurations: Sequence[Configuration], outcomes: Sequence[Outcome]
) -> list[Configuration]:
    """The configurations of which a run did not diverge."""
    names = {o.trial.configuration for o in outcomes if not o.diverged}
    return [c for c in configurations if c.name in names]


def by_seed(outcomes: Sequence[Outcome], key: str) -> dict[int, float]:
    """A figure of every seed, without the runs that diverged."""
    return {o.trial.seed: o.measured[key] for o in outcomes if not o.diverged}


def run_trials(
    trials: Sequence[Trial],
    output: Path,
    engine: Engine,
    measure: Measure,
    tell: Callable[[Outcome], None],
) -> list[Outcome]:
    """Train and measure all trials.

    Args:
        trials: in the order of the result.
        output: folder of the study.
        engine: where they run.
        measure: what is measured on each.
        tell: called with each outcome as it comes.

    Raises:
        StudyError: if the engine is not installed or cannot be reached, one of its processes was
            killed, or the data changed while runs were trained.
        MpoError: what a single run raises, but DivergedError.
        KeyboardInterrupt: if the user stops it; calling it again goes on.
    """
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    found: dict[str, Outcome] = {}
    parent = os.getpid() if is_local_worker(engine) else None
    try:
        with connected(engine):
            results = Parallel(n_jobs=engine.jobs, return_as="generator_unordered")(
                delayed(run_trial)(trial, output, measure, engine.device, parent)
                for trial in _slowest_first(trials)
            )
            for outcome in results:
                found[outcome.trial.name] = outcome
                tell(outcome)
    except TerminatedWorkerError as error:
        raise StudyError(
            f"stopped the study in '{output}': a process that trained its runs was killed, by"
            " somebody or for want of memory. The same command goes on; fewer --jobs need less"
            " memory."
        ) from error
    check_data(output, trials)
    return [found[trial.name] for trial in trials]


def run_trial(
    trial: Trial, output: Path, measure: Measure, device: Device, parent: int | None = None
) -> Outcome:
    """Train a trial to its end, or as far as it gets, and measure it.

    Args:
        trial: what to compute.
        output: folder of the study.
        measure: what to measure.
        device: where.
        parent: number of the process that has started this one for such work, if one has.
    """
    with working_for(parent):
        return _run(trial, output, measure, device)


def _run(trial: Trial, output: Path, measure: Measure, device: Device) -> Outcome:
    begin = time.monotonic()
    path = run_path(output, trial)
    diverged = _note_of_divergence(path)
    if diverged is not None:
        return Outcome(trial, Run(path, trial.recipe), {}, diverged, 0.0)
    run, trained, diverged = _trained(trial, path, device, measure.probed)
    if diverged is not None:
        return Outcome(trial, run, {}, diverged, time.monotonic() - begin)
    kept = path / f"{measure.name}.json"
    settings = dict(measure.settings)
    measured = None if trained else _kept(kept, settings)
    if measured is not None:
        return Outcome(trial, run, measured, None, 0.0)
    measured = measure.function(run, settings, resolved(device))
    kept_values = {"settings": settings, "measured": measured}
    write_file(kept, to_json({**kept_values, "sha256": _checksum(kept_values)}))
    return Outcome(trial, run, measured, None, time.monotonic() - begin)


def _trained(
    trial: Trial, path: Path, device: Device, probed: bool
) -> tuple[Run, bool, str | None]:
    """The run, whether there was something left to train, and why it diverged, if it did."""
    if (path / RECIPE).is_file():
        run, started = open_run(path, unfinished=True), True
        if run.finished:
            return run, False, None
    else:
        for left_by_a_kill in path.glob(".*.part"):
            left_by_a_kill.unlink(missing_ok=True)
        run, started = create_run(trial.recipe, path), False
    from mpo_snn.training.divergence import DivergedError
    from mpo_snn.training.fit import resume, start
    from mpo_snn.training.probe import probes

    callbacks = probes(run) if probed else []
    try:
        if started:
            resume(run, device=device, callbacks=callbacks)
        else:
            start(run, device=device, callbacks=callbacks)
    except DivergedError as error:
        write_file(path / DIVERGED, f"{error}\n")
        return run, True, str(error)
    return run, True, None


def _note_of_divergence(path: Path) -> str | None:
    try:
        note = (path / DIVERGED).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    return " ".join(note.split()) or "the reason is not known"


def _kept(path: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """What was measured before under the same settings; None if it is to be measured anew."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        checksum = kept.pop("sha256", None)
        is_wanted = kept["settings"] == json.loads(to_json(settings))
        measured: dict[str, Any] = kept["measured"]
        intact = checksum == _checksum(kept)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(f"cannot read '{path}': it is damaged. Delete it.") from error
    if checksum is None or not is_wanted:
        return None
    if not intact:
        raise RunError(f"cannot use '{path}': its checksum does not match. Delete it.")
    return measured


def _checksum(values: dict[str, Any]) -> str:
    return hashlib.sha256(to_json(values).encode()).hexdigest()


def _slowest_first(trials: Iterable[Trial]) -> list[Trial]:
    """Long runs start first, so that none of them is left over at the end."""
    return sorted(trials, key=lambda trial: -trial.recipe.timesteps * trial.recipe.epochs)
