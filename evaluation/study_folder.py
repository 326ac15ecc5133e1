"""The folder of a study: which study it is, and the run directories below it.

- `study.json`: the study and the recipe that it varies;
- `runs/<trial>/`: an ordinary run directory for every trial, with what the study measured on it;
- `results.csv`, `summary.json`, `figures/`: what came out, written when all trials are done.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mpo_snn.errors import StudyError
from mpo_snn.file_lock import kept_from_others
from mpo_snn.files import make_folder, write_file
from mpo_snn.training.recipe_file import differing_keys, read_recipe
from mpo_snn.training.rundir import CHECKPOINT, RECIPE, WEIGHTS

from .study_plan import Plan, Trial

IDENTITY, RUNS, DIVERGED = "study.json", "runs", "diverged.txt"


def run_path(output: Path, trial: Trial) -> Path:
    """Where the run directory of a trial is."""
    return output / RUNS / trial.name


def check_folder(plan: Plan) -> None:
    """Refuse a folder that is not one of this very study.

    Raises:
        StudyError: if it is a file, or holds another study or something else.
    """
    output = plan.output
    if output.exists() and not output.is_dir():
        raise StudyError(f"cannot put the study into '{output}': it is a file.")
    if not output.is_dir() or not any(output.iterdir()):
        return
    try:
        identity = json.loads((output / IDENTITY).read_text(encoding="utf-8"))
        study, name = str(identity["study"]), str(identity["recipe"])
    except FileNotFoundError as error:
        raise StudyError(
            f"cannot put the study into '{output}': it holds other files; choose another --output."
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(
            f"cannot use the study in '{output}': {IDENTITY} is damaged; choose another --output."
        ) from error
    if (study, name) != (plan.study, plan.recipe.name):
        raise StudyError(
            f"cannot put the study into '{output}': it holds the study {study} of the recipe"
            f" {name}; choose another --output."
        )


def check_trials(output: Path, trials: Sequence[Trial]) -> None:
    """Refuse to go on with runs that were started with another recipe or on other data.

    Raises:
        StudyError: naming the runs and what differs.
        RecipeError: if a recipe.yaml is damaged.
    """
    from .study_data import other_data

    found: list[str] = []
    others: dict[str, list[str]] = {}
    same: list[tuple[Trial, Path]] = []
    for trial in trials:
        path = run_path(output, trial)
        if path.exists() and not path.is_dir():
            found.append(f"'{path}' is a file, not the folder of a run; move it away.")
        changed = _changed_keys(path / RECIPE, trial)
        if changed:
            others.setdefault(", ".join(changed), []).append(trial.name)
        elif _is_kept(path):
            same.append((trial, path))
    found += [f"{_some(names)} had other {changed}." for changed, names in others.items()]
    found += [
        f"the data is not what {_some(names)} began with: {what}."
        for what, names in other_data(same, is_read=True).items()
    ]
    if found:
        raise StudyError(
            f"cannot go on with the study in '{output}'; put things back as they were, or choose"
            " another --output",
            found,
        )


def check_data(output: Path, trials: Sequence[Trial]) -> None:
    """Refuse runs that are done, but not on the same data: it changed while others trained.

    Raises:
        StudyError: naming the runs and what differs.
    """
    from .study_data import other_data

    found = other_data([(trial, run_path(output, trial)) for trial in trials], is_read=False)
    if found:
        raise StudyError(
            f"cannot compare the runs in '{output}': the data changed while they were trained."
            " Delete those of one kind and give the same command again, or choose another --output",
            [f"{_some(names)} differ: {what}." for what, names in found.items()],
        )


def _is_kept(path: Path) -> bool:
    """Whether there is something in a run directory that a study goes on from or takes over."""
    return any((path / name).is_file() for name in (WEIGHTS, CHECKPOINT, DIVERGED))


def _changed_keys(recipe: Path, trial: Trial) -> list[str]:
    return differing_keys(read_recipe(recipe), trial.recipe) if recipe.is_file() else []


def _some(names: Sequence[str]) -> str:
    """The first three names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


@contextmanager
def opened_folder(plan: Plan) -> Iterator[None]:
    """The folder, made and named, and kept from other processes while it is worked in.

    Raises:
        StudyError: if another process works in it.
        OutputError: if it cannot be written.
    """
    make_folder(plan.output / RUNS)
    # The lock is on the file: whoever comes second must not put another in its place.
    if not (plan.output / IDENTITY).exists():
        identity = {"study": plan.study, "recipe": plan.recipe.name}
        write_file(plan.output / IDENTITY, to_json(identity))
    busy = StudyError(f"cannot work in '{plan.output}': another mpo-study does so now.")
    with kept_from_others(plan.output / IDENTITY, busy):
        try:
            yield
        except Exception:
            _discard_if_empty(plan.output)
            raise


def _discard_if_empty(output: Path) -> None:
    """Delete the folder of a study of which no run was started."""
    content = {path.name for path in output.iterdir()}
    if content == {IDENTITY, RUNS} and not any((output / RUNS).iterdir()):
        (output / RUNS).rmdir()
        (output / IDENTITY).unlink()
        output.rmdir()


def to_json(values: Any) -> str:
    """JSON as it stands in files: two spaces, no NaN, a final newline."""
    return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
