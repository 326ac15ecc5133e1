"""Trains a run directory to its end for `mpo-train`, and says what came out and what is next."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from mpo_snn.cli.command import ANSWER_IS_NO, INTERRUPTED, OK, tell_error
from mpo_snn.cli.several import resume_options
from mpo_snn.cli.train_parser import NAME
from mpo_snn.training.ranks import rank
from mpo_snn.training.recipe_file import words_of_method

if TYPE_CHECKING:
    from rich.console import Console

    from mpo_snn.training.rundir import Run


def train_run(run: Run, how: Literal["start", "resume"], options: Any) -> int:
    """Train to the end and say what came out; the exit code of the command.

    The run directory is there before torch and Lightning are loaded, which takes seconds, so that
    whoever stops the command at any time has a run to resume.
    """
    name, begin = shlex.quote(str(run.path)), time.monotonic()
    try:
        console = _console(options.quiet, run)
        from mpo_snn.cli.fine_tune import watching
        from mpo_snn.training.divergence import DivergedError
        from mpo_snn.training.fit import resume, start

        train = {"start": start, "resume": resume}[how]
        try:
            train(run, device=options.device, console=console, callbacks=watching(run))
        except DivergedError as error:
            if rank().is_first:
                tell_error(NAME, str(error))
            return ANSWER_IS_NO
    except KeyboardInterrupt:
        if rank().is_first:
            again = f"{NAME} --resume {name}{resume_options()}"
            print(f"{NAME}: interrupted; go on with: {again}", file=sys.stderr)
        return INTERRUPTED
    if not rank().is_first:
        return OK
    seconds = time.monotonic() - begin
    print(f"{accuracy_of(run)}, {seconds:.1f} s, run {name}")
    print(_next(run, name))
    return OK


def _next(run: Run, name: str) -> str:
    """What there is to do with the run, which may have no form in NIR.

    Args:
        run: a finished one.
        name: its path, as a shell takes it.
    """
    network, neuron = run.recipe.network, run.recipe.trained_neuron
    if run.target is not None:
        return f"next: mpo-deploy {name} --target {shlex.quote(run.target)}"
    if neuron.model == "klif":
        return "not for mpo-export: its neurons have no form in NIR (docs/neurons.md)"
    if network.pooling == "max":
        return "not for mpo-export: maxima have no form in NIR (docs/networks.md)"
    if not neuron.fires_once:
        return f"next: mpo-deploy {name} --target CHIP; mpo-deploy --list shows them"
    form = "--format nir" if run.reader is None else f"--reader {shlex.quote(run.reader)}"
    return f"next: mpo-export {name} {form}"


def made_on_first(options: Any, make: Callable[[], Run]) -> Run:
    """Make a run directory, once for all processes."""
    if rank().count == 1:
        return make()
    from mpo_snn.training.device import meet
    from mpo_snn.training.ranks import on_first

    meet(options.device)
    return on_first(make)


def accuracy_of(run: Run) -> str:
    """The accuracy of a finished run, in words; files are evaluated in float32."""
    recipe = run.recipe
    rounded = "" if recipe.precision == "float32" else f" in {recipe.precision}"
    return f"{recipe.data.evaluated_on} accuracy {100 * run.test_accuracy:.2f} %{rounded}"


def _console(quiet: bool, run: Run) -> Console | None:
    """Where progress is shown; what is coming is said at once."""
    if quiet or not rank().is_first:
        return None
    from rich.console import Console

    console, recipe = Console(), run.recipe
    steps = f"{recipe.timesteps} timesteps"
    if recipe.early_timesteps is not None:
        steps += f" ({recipe.early_timesteps} in the first {recipe.early_epochs} epochs)"
    own = words_of_method(recipe)
    lines = (
        f"recipe {recipe.name}: {recipe.network.name} on {recipe.data.name},"
        f" {recipe.epochs} epochs, {steps}, seed {recipe.seed}",
        *([own] if own else []),
        f"run directory {run.path}",
    )
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
    return console
