"""The run directory: what a training run leaves behind, and how it is opened again.

- `recipe.yaml`: everything that decides what is computed;
- `environment.json`: with what it was computed;
- `metrics.csv`: losses and accuracies of every epoch;
- `membrane.csv`: statistics of every layer's membrane in every epoch;
- `checkpoints/last.ckpt`: the last finished epoch, to resume from;
- `start.safetensors`: weights of another run that it starts from, where it does;
- `model.safetensors`: the weights; written last, so a run that has them is finished.
"""

from __future__ import annotations

import csv
import itertools
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpo_snn.errors import OutputError, RecipeError, RunError
from mpo_snn.files import make_folder, write_file
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.recipe_file import read_recipe, recipe_text
from mpo_snn.training.weights import InputDescription, describe_weights, read_weights

if TYPE_CHECKING:
    from mpo_snn.data.settings import DataSettings
    from mpo_snn.unroll import Unrolled

RECIPE, ENVIRONMENT, WEIGHTS = "recipe.yaml", "environment.json", "model.safetensors"
METRICS, MEMBRANE = "metrics.csv", "membrane.csv"
CHECKPOINT = Path("checkpoints") / "last.ckpt"
START = "start.safetensors"
MADE_FOR = ("reader", "target", "started_from")
"""What a run is trained for: a NIR reader, a chip, and the run that it starts from."""


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
    def step_shape(self) -> tuple[int, ...]:
        """Shape of the network's input at one timestep."""
        from mpo_snn.encoding import shape_of_step

        recipe = self.recipe
        return shape_of_step(self.about.input_shape, recipe.encoding, recipe.timesteps)

    @property
    def reader(self) -> str | None:
        """Name of the NIR reader that it was trained for; None for none."""
        name = read_environment(self.path).get("reader")
        return name if isinstance(name, str) else None

    @property
    def target(self) -> str | None:
        """The chip that it was trained for; None for none."""
        name = read_environment(self.path).get("target")
        return name if isinstance(name, str) else None

    @property
    def started_from(self) -> str | None:
        """The run whose weights it goes on from, with the values that the chip will have."""
        name = read_environment(self.path).get("started_from")
        return name if isinstance(name, str) else None

    @property
    def epochs_done(self) -> int:
        """Epochs in metrics.csv."""
        return len(self._metrics())

    @property
    def test_accuracy(self) -> float:
        """Share of recipe.data.evaluated_on that the final weights classify right, 0 to 1.

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

        Its scans run on the fastest backend that takes them, whichever it was trained on: all fire
        the same spikes, and a proof wants float64, which not all take.

        Raises:
            RunError: if the weights cannot be read or belong to another network.
        """
        from mpo_snn.encoding import shape_of_step
        from mpo_snn.networks import build_network
        from mpo_snn.unroll import Unrolled

        path, recipe = self.path / WEIGHTS, self.recipe
        tensors, about = read_weights(path)
        network = build_network(
            recipe.network,
            replace(recipe.trained_neuron, backend=None),
            shape_of_step(about.input_shape, recipe.encoding, recipe.timesteps),
            len(about.class_names),
            recipe.output_neuron,
        )
        try:
            network.load_state_dict(tensors)
        except RuntimeError as error:
            raise RunError(
                f"cannot use '{path}': its weights are not those of the network in {RECIPE}."
            ) from error
        return Unrolled(network, recipe.timesteps, recipe.batchnorm, events=False).eval()

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


def data_path_beside(graph: str | Path, name: str | None) -> str | None:
    """Where the data of the run is whose directory holds a graph, if it is of this name."""
    data = data_beside(graph, name)
    return None if data is None else data.path


def data_beside(graph: str | Path, name: str | None) -> DataSettings | None:
    """Settings of the data of the run whose directory holds a graph, if it is of this name."""
    try:
        data = read_recipe(Path(graph).parent / RECIPE).data
    except RecipeError:
        return None
    return data if data.name == name else None


def create_run(
    recipe: Recipe, output: Path | None, start: Run | None = None, **made_for: str | None
) -> Run:
    """Make a run directory that holds its recipe, or none at all.

    Args:
        recipe: what will be computed.
        output: the directory, which must be absent or empty; None takes the next free one of
            runs/<recipe>-s<seed>, runs/<recipe>-s<seed>-2, ...
        start: a finished run of the same network, whose weights this one starts from.
        made_for: of `MADE_FOR`, what is known; `Run` remembers it.

    Raises:
        RunError: if the directory holds something.
        OutputError: if it cannot be written.
    """
    path = _next_free(recipe) if output is None else _empty(output)
    try:
        if start is not None:
            write_file(path / START, (start.path / WEIGHTS).read_bytes())
        known = {key: value for key, value in made_for.items() if value is not None}
        if known:
            write_environment(path, known)
        write_file(path / RECIPE, recipe_text(recipe))
    except (OutputError, KeyboardInterrupt):
        shutil.rmtree(path, ignore_errors=True)
        raise
    return Run(path, recipe)


def discard_run(run: Run) -> None:
    """Delete a run directory in which nothing was computed yet."""
    shutil.rmtree(run.path, ignore_errors=True)


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


def check_free(path: Path) -> None:
    """Refuse a path at which no run can start.

    Raises:
        RunError: if the directory holds something.
        OutputError: if it is a file.
    """
    if path.exists() and not path.is_dir():
        raise OutputError(f"cannot create the run directory '{path}': it is a file.")
    if path.is_dir() and any(path.iterdir()):
        raise RunError(f"cannot start a run in '{path}': it holds {_content(path)}.")


def _empty(path: Path) -> Path:
    """The directory, created unless it is there and empty."""
    check_free(path)
    return make_folder(path)


def _next_free(recipe: Recipe) -> Path:
    """A new directory with the first name that nothing has."""
    first = make_folder("runs") / f"{recipe.name}-s{recipe.seed}"
    for number in itertools.count(1):
        path = first if number == 1 else first.with_name(f"{first.name}-{number}")
        try:
            path.mkdir()
            return path
        except FileExistsError:
            continue
        except OSError as error:
            raise OutputError(f"cannot create the folder '{path}': {error.strerror}.") from error
    raise AssertionError("there is always a next number")


def _content(path: Path) -> str:
    """What a directory holds that is not empty, and what to do about it."""
    if (path / WEIGHTS).is_file():
        return "a finished run; choose another --output, or delete it"
    if (path / RECIPE).is_file():
        return f"an unfinished run; go on with --resume {path}, or choose another --output"
    return "other files; choose another --output"
