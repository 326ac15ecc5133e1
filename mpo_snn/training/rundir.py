"""The run directory: what a training run leaves behind, and how it is opened again.

- `recipe.yaml`: everything that decides what is computed;
- `environment.json`: with what it was computed;
- `metrics.csv`: losses and accuracies of every epoch;
- `membrane.csv`: statistics of every layer's membrane in every epoch;
- `checkpoints/last.ckpt`: the last finished epoch, to resume from;
- `model.safetensors`: the weights; written last, so a run that has them is finished.
"""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpo_snn.errors import OutputError, RecipeError, RunError
from mpo_snn.files import make_folder, write_file
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.recipe_file import read_recipe, recipe_text
from mpo_snn.training.weights import InputDescription, describe_weights, read_weights

if TYPE_CHECKING:
    from mpo_snn.unroll import Unrolled

RECIPE, ENVIRONMENT, WEIGHTS = "recipe.yaml", "environment.json", "model.safetensors"
METRICS, MEMBRANE = "metrics.csv", "membrane.csv"
CHECKPOINT = Path("checkpoints") / "last.ckpt"


@dataclass(frozen=True)
class Run:
    """A run directory that can be read.

    Attributes:
        path: the directory.
        recipe: what it computes.
    """

    path: Path
    recipe: Recipe

    @property
    def finished(self) -> bool:
        """Whether the run has its final weights."""
        return (self.path / WEIGHTS).is_file()

    @property
    def about(self) -> InputDescription:
        """Shape of a sample, names of the classes, scaling of the input."""
        return describe_weights(self.path / WEIGHTS)

    @property
    def epochs_done(self) -> int:
        """Epochs in metrics.csv."""
        return len(self._metrics())

    @property
    def test_accuracy(self) -> float:
        """Share of the test split that the final weights classify right, 0 to 1.

        Raises:
            RunError: if metrics.csv is missing or damaged.
        """
        rows = self._metrics()
        try:
            return float(rows[-1]["test_accuracy"])
        except (IndexError, KeyError, ValueError, TypeError) as error:
            raise RunError(
                f"cannot read the test accuracy in '{self.path / METRICS}': it is missing or"
                " damaged."
            ) from error

    def load_network(self) -> Unrolled:
        """The trained network in eval mode, unrolled over the recipe's timesteps.

        Raises:
            RunError: if the weights cannot be read or belong to another network.
        """
        from mpo_snn.networks import build_network
        from mpo_snn.unroll import Unrolled

        path, recipe = self.path / WEIGHTS, self.recipe
        tensors, about = read_weights(path)
        network = build_network(
            recipe.network, recipe.neuron, about.input_shape, len(about.class_names)
        )
        try:
            network.load_state_dict(tensors)
        except RuntimeError as error:
            raise RunError(
                f"cannot use '{path}': its weights are not those of the network in {RECIPE}."
            ) from error
        return Unrolled(network, recipe.timesteps, recipe.batchnorm).eval()

    def _metrics(self) -> list[dict[str, str]]:
        try:
            with (self.path / METRICS).open(encoding="utf-8", newline="") as lines:
                return list(csv.DictReader(lines))
        except FileNotFoundError:
            return []


def open_run(path: str | Path, *, unfinished: bool = False) -> Run:
    """Open a run directory and check that it can be used.

    Args:
        path: the directory.
        unfinished: whether a run without final weights will do.

    Raises:
        RunError: if it is missing, not a run directory, unfinished, or damaged.
    """
    path = Path(path)
    if not path.is_dir():
        found = "it is a file" if path.exists() else "there is no such directory"
        raise RunError(f"cannot open the run '{path}': {found}.")
    if not (path / RECIPE).is_file():
        raise RunError(
            f"cannot open the run '{path}': it is not a run directory, it has no {RECIPE}."
            " mpo-train makes one."
        )
    try:
        run = Run(path, read_recipe(path / RECIPE))
    except RecipeError as error:
        raise RunError(f"cannot open the run '{path}': {error}") from error
    if run.finished:
        describe_weights(path / WEIGHTS)
    elif not unfinished:
        raise RunError(
            f"cannot use the run '{path}': it is not finished. Go on with"
            f" `mpo-train --resume {path}`."
        )
    return run


def create_run(recipe: Recipe, environment: dict[str, Any], output: Path | None) -> Run:
    """Make a run directory with its recipe and environment, complete or not at all.

    Args:
        recipe: what will be computed.
        environment: with what.
        output: the directory, which must be absent or empty; None takes the next free one of
            runs/<recipe>-s<seed>, runs/<recipe>-s<seed>-2, ...

    Raises:
        RunError: if the directory holds something.
        OutputError: if it cannot be written.
    """
    for path in _candidates(recipe) if output is None else [output]:
        make_folder(path.parent)
        scratch = path.parent / f".{path.name}.{os.getpid()}.part"
        try:
            make_folder(scratch)
            write_file(scratch / RECIPE, recipe_text(recipe))
            write_environment(scratch, environment)
            os.rename(scratch, path)
            return Run(path, recipe)
        except OSError as error:
            if output is not None or error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise _refusal(path, error) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    raise AssertionError("there is always a next number")


def check_output(output: Path) -> None:
    """Refuse an output that `create_run` would refuse, before any work is done.

    Raises:
        RunError: if it holds something.
        OutputError: if it is, or lies below, a file.
    """
    if output.is_dir() and not any(output.iterdir()):
        return
    if output.exists():
        raise _refusal(output)
    above = next(folder for folder in output.parents if folder.exists())
    if not above.is_dir():
        raise OutputError(f"cannot create the folder '{output}': '{above}' is a file.")


def write_environment(path: Path, environment: dict[str, Any]) -> None:
    """Write environment.json of the run directory `path`."""
    write_file(path / ENVIRONMENT, json.dumps(environment, indent=2) + "\n")


def read_environment(path: Path) -> dict[str, Any]:
    """environment.json of the run directory `path`; empty if it is missing or damaged."""
    try:
        environment = json.loads((path / ENVIRONMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return environment if isinstance(environment, dict) else {}


def _candidates(recipe: Recipe) -> Iterator[Path]:
    first = Path("runs") / f"{recipe.name}-s{recipe.seed}"
    number = 1
    while True:
        path = first if number == 1 else first.with_name(f"{first.name}-{number}")
        if not path.exists():
            yield path
        number += 1


def _refusal(path: Path, error: OSError | None = None) -> RunError | OutputError:
    if not path.exists():
        reason = error.strerror if error else "it is gone"
        return OutputError(f"cannot create the run directory '{path}': {reason}.")
    if not path.is_dir():
        return OutputError(f"cannot create the run directory '{path}': it is a file.")
    if (path / WEIGHTS).is_file():
        holds, way_out = "a finished run", "choose another --output, or delete it"
    elif (path / RECIPE).is_file():
        holds = "an unfinished run"
        way_out = f"go on with --resume {path}, or choose another --output"
    else:
        holds, way_out = "other files", "choose another --output"
    return RunError(f"cannot start a run in '{path}': it holds {holds}; {way_out}.")
