"""`mpo-train`: trains a recipe into a run directory."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mpo_snn.cli.command import (
    ANSWER_IS_NO,
    INTERRUPTED,
    OK,
    CommandParser,
    UsageError,
    print_names,
    run_command,
    tell_error,
)
from mpo_snn.cli.recipe_options import add_recipe_options, given_keys, overridden_recipe
from mpo_snn.cli.several import check_processes, in_rank, launch, resume_options
from mpo_snn.cli.tuned import check_tunable, tuned_recipe
from mpo_snn.profiles.chip import chip_place
from mpo_snn.training.ranks import rank
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.recipe_file import differing_keys, load_recipe, recipe_text, recipe_titles
from mpo_snn.training.rundir import check_free

if TYPE_CHECKING:
    from rich.console import Console

    from mpo_snn.training.rundir import Run

NAME, MODULE = "mpo-train", "mpo_snn.cli.train"
_SHOWN_IN_HELP = "digits"
_USAGE = (
    "RECIPE [--key.sub value ...] [--target CHIP] [--output RUN] | --resume RUN [--target CHIP]"
    " | --list"
)
_DESCRIPTION = """\
Trains a recipe and leaves a run directory behind.

RECIPE is a shipped name (--list shows them) or a YAML file of your own. Every key of it can be
given on the command line; the defaults below are those of the recipe digits."""
_EXAMPLES = """\
mpo-train digits
mpo-train digits --seed 1 --neuron.beta 0.6 --output runs/leaky
mpo-train my-recipe.yaml --print_config
mpo-train digits --reader portable
mpo-train digits --method fixed --tune
mpo-train digits --processes 2
mpo-train --resume runs/digits-s0
mpo-train digits-speck --target speck-2e
mpo-train --resume runs/digits-speck-s0 --target speck-2e"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; `argv` is the command line without the program's name."""
    words = sys.argv[1:] if argv is None else argv
    return run_command(lambda: in_rank(lambda: _train(words)), NAME)


def _train(argv: list[str]) -> int:
    # What the recipe says is the default of every option, so it must be known before the options
    # can be read; which word is the recipe, only the parser can tell.
    first = _parser(load_recipe(_SHOWN_IN_HELP)).parse_args(argv)
    if first.list:
        print_names(recipe_titles())
        return OK
    if first.target is not None:
        first.target = chip_place(first.target)
    check_processes(first.processes, first.tune)
    is_to_be_launched = first.processes is not None and first.processes > rank().count
    if first.resume is not None:
        if is_to_be_launched:
            return launch(NAME, MODULE, argv, first.processes)
        return _resume(first, argv)
    if first.recipe is None:
        raise UsageError("no recipe is given: mpo-train digits, for example; --list shows all.")
    recipe = overridden_recipe(load_recipe(first.recipe), _parser, argv)
    if is_to_be_launched and not first.print_config:
        if first.output is not None:
            check_free(Path(first.output))
        return launch(NAME, MODULE, argv, first.processes)
    if first.reader is not None:
        recipe = _inside(recipe, first.reader, given_keys(recipe, argv))
    if first.target is not None:
        fitting = _on_chip(recipe, first, given_keys(recipe, argv))
        if fitting is None:
            return ANSWER_IS_NO
        recipe = fitting
    if first.print_config:
        print(recipe_text(recipe), end="")
        return OK
    return _start(recipe, first, argv)


def _note(lines: Iterable[str]) -> None:
    if rank().is_first:
        for line in lines:
            print(f"{NAME}: note: {line}", file=sys.stderr)


def _inside(recipe: Recipe, reader: str, given: list[str]) -> Recipe:
    """The recipe inside what a reader can run; what was changed is told on stderr."""
    from mpo_snn.cli.reader_recipe import recipe_for_reader

    recipe, changes = recipe_for_reader(recipe, reader, given)
    _note(f"{line}." for line in changes)
    return recipe


def _on_chip(recipe: Recipe, options: Any, given: list[str]) -> Recipe | None:
    """The recipe inside what a chip can do, if its network fits; all is told on stderr."""
    from mpo_snn.cli.target_recipe import fits, recipe_for_target
    from mpo_snn.profiles.chip import load_chip_profile

    if options.reader is not None:
        raise UsageError("--reader and --target want different files: give one of them.")
    profile = load_chip_profile(options.target)
    recipe, changes = recipe_for_target(recipe, profile, given)
    _note(f"{line}: {profile.name} does no other." for line in changes)
    return recipe if fits(recipe, profile, recipe.name) else None


def _start(recipe: Recipe, options: Any, argv: list[str]) -> int:
    from mpo_snn.training.rundir import create_run

    output = None if options.output is None else Path(options.output)
    if options.tune:
        check_tunable(recipe)
        if output is not None:
            check_free(output)
        try:
            recipe = tuned_recipe(recipe, output, options.device, options.quiet)
        except KeyboardInterrupt:
            again = shlex.join([NAME, *argv])
            print(f"{NAME}: interrupted; go on with: {again}", file=sys.stderr)
            return INTERRUPTED
    run = _on_first(
        options,
        lambda: create_run(recipe, output, reader=options.reader, target=options.target),
    )
    return _finish(run, "start", options)


def _resume(options: Any, argv: list[str]) -> int:
    from mpo_snn.training.rundir import open_run

    if options.tune:
        raise UsageError("--resume goes on with a run whose slope is there already: no --tune.")
    if options.target is not None and open_run(options.resume, unfinished=True).finished:
        return _fine_tune(options, argv)
    for name in ("recipe", "output", "reader"):
        if getattr(options, name) is not None:
            raise UsageError(
                f"--resume goes on with the recipe and the directory of its run; leave out"
                f" {name} '{getattr(options, name)}'."
            )
    run = open_run(options.resume, unfinished=True)
    if options.target not in (None, run.target):
        raise UsageError(
            f"the run {run.path} is not finished: --resume it first, then go on for"
            f" {options.target}."
        )
    changed = differing_keys(run.recipe, overridden_recipe(run.recipe, _parser, argv))
    if changed:
        raise UsageError(
            f"--resume goes on with the recipe of its run; it cannot change {', '.join(changed)}."
        )
    if run.finished:
        if rank().is_first:
            print(f"the run {run.path} is finished, {_accuracy(run)}")
        return OK
    return _finish(run, "resume", options)


def _fine_tune(options: Any, argv: list[str]) -> int:
    """Go on with a finished run, with the values that a chip will have; a run of its own."""
    from mpo_snn.cli.fine_tune import check_goes_on, fine_tuning_recipe, next_to
    from mpo_snn.cli.target_recipe import fits
    from mpo_snn.profiles.chip import load_chip_profile
    from mpo_snn.training.rundir import create_run, open_run

    for name in ("recipe", "reader"):
        if getattr(options, name) is not None:
            raise UsageError(f"--resume has a recipe of its own; leave out {name}.")
    profile, first = load_chip_profile(options.target), open_run(options.resume)
    recipe = overridden_recipe(fine_tuning_recipe(first.recipe), _parser, argv)
    check_goes_on(first, recipe, profile, options.target)
    if not fits(recipe, profile, str(first.path)):
        return ANSWER_IS_NO
    output = next_to(first, profile) if options.output is None else Path(options.output)
    run = _on_first(
        options,
        lambda: create_run(
            recipe, output, start=first, target=options.target, started_from=str(first.path)
        ),
    )
    return _finish(run, "start", options)


def _on_first(options: Any, make: Callable[[], Run]) -> Run:
    """Make a run directory, once for all processes."""
    if rank().count == 1:
        return make()
    from mpo_snn.training.device import meet
    from mpo_snn.training.ranks import on_first

    meet(options.device)
    return on_first(make)


def _finish(run: Run, how: Literal["start", "resume"], options: Any) -> int:
    """Train to the end and say what came out.

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
    print(f"{_accuracy(run)}, {seconds:.1f} s, run {name}")
    if run.target is not None:
        print(f"next: mpo-deploy {name} --target {shlex.quote(run.target)}")
        return OK
    form = "--format nir" if run.reader is None else f"--reader {shlex.quote(run.reader)}"
    print(f"next: mpo-export {name} {form}")
    return OK


def _accuracy(run: Run) -> str:
    return f"{run.recipe.data.evaluated_on} accuracy {100 * run.test_accuracy:.2f} %"


def _parser(recipe: Recipe) -> CommandParser:
    """The parser of the command line; the recipe's values are the defaults of its keys."""
    parser = CommandParser(NAME, _USAGE, _DESCRIPTION, _EXAMPLES)
    parser.add_argument("recipe", nargs="?", metavar="RECIPE", help="name or YAML file")
    parser.add_argument("--output", metavar="RUN", help="run directory; absent or empty")
    parser.add_argument("--resume", metavar="RUN", help="go on with an interrupted run")
    parser.add_argument(
        "--reader",
        metavar="NAME",
        help="train what this NIR reader can run (mpo-export --list): settings of the recipe that"
        " stand in its way are changed, those given here are not, and refused",
    )
    parser.add_argument(
        "--target",
        metavar="CHIP",
        help="train what this chip can do (mpo-deploy --list): settings that stand in its way are"
        " changed, those given here are not, and the untrained network is checked; with --resume, a"
        " finished run goes on with rounded weights, as a run of its own",
    )
    parser.add_argument(
        "--tune",
        action="store_true",
        help="with --method fixed: first choose the slope on held-out training data",
    )
    parser.add_argument("--list", action="store_true", help="show the shipped recipes")
    parser.add_argument("--print_config", action="store_true", help="show all values and stop")
    parser.add_argument("--quiet", action="store_true", help="do not show progress")
    parser.add_argument(
        "--processes",
        type=int,
        metavar="N",
        help="train in N processes of this machine, a GPU for each where there are GPUs; the batch"
        " of the recipe is cut among them. On several machines torchrun starts them",
    )
    parser.add_argument(
        "--device", type=Literal["auto", "cpu", "cuda"], default="auto", help="where to train"
    )
    add_recipe_options(parser, recipe)
    return parser


def _console(quiet: bool, run: Run) -> Console | None:
    """Where progress is shown; what is coming is said at once."""
    if quiet or not rank().is_first:
        return None
    from rich.console import Console

    console, recipe = Console(), run.recipe
    lines = (
        f"recipe {recipe.name}: {recipe.network.name} on {recipe.data.name},"
        f" {recipe.epochs} epochs, {recipe.timesteps} timesteps, seed {recipe.seed}",
        f"run directory {run.path}",
    )
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
    return console


if __name__ == "__main__":
    raise SystemExit(main())
