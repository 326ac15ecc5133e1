"""`mpo-train`: trains a recipe into a run directory."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpo_snn.cli.command import (
    ANSWER_IS_NO,
    INTERRUPTED,
    OK,
    UsageError,
    print_names,
    run_command,
)
from mpo_snn.cli.recipe_options import given_keys, overridden_recipe
from mpo_snn.cli.several import check_processes, in_rank, launch
from mpo_snn.cli.train_parser import NAME
from mpo_snn.cli.train_parser import train_parser as _parser
from mpo_snn.cli.train_run import accuracy_of, made_on_first, train_run
from mpo_snn.cli.tuned import check_tunable, tuned_recipe
from mpo_snn.cli.without_effect import keys_without_effect
from mpo_snn.profiles.chip import chip_place
from mpo_snn.training.ranks import rank
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.recipe_file import differing_keys, load_recipe, recipe_text, recipe_titles
from mpo_snn.training.rundir import check_free

if TYPE_CHECKING:
    from mpo_snn.training.rundir import Run

MODULE = "mpo_snn.cli.train"
_SHOWN_IN_HELP = "digits"


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
    _note(keys_without_effect(recipe, given_keys(recipe, argv)))
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
    from mpo_snn.cli.target_recipe import fits, recipe_for_target, refuse_method
    from mpo_snn.profiles.chip import load_chip_profile

    if options.reader is not None:
        raise UsageError("--reader and --target want different files: give one of them.")
    profile = load_chip_profile(options.target)
    recipe, changes = recipe_for_target(recipe, profile, given)
    _note(f"{line}." for line in changes)
    refuse_method(recipe, profile)
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
    run = made_on_first(
        options,
        lambda: create_run(recipe, output, reader=options.reader, target=options.target),
    )
    return train_run(run, "start", options)


def _resume(options: Any, argv: list[str]) -> int:
    from mpo_snn.training.rundir import open_run

    if options.tune:
        raise UsageError("--resume goes on with a run whose slope is there already: no --tune.")
    run = open_run(options.resume, unfinished=True)
    if options.target is not None and run.finished:
        return _fine_tune(run, options, argv)
    for name in ("recipe", "output", "reader"):
        if getattr(options, name) is not None:
            raise UsageError(
                f"--resume goes on with the recipe and the directory of its run; leave out"
                f" {name} '{getattr(options, name)}'."
            )
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
            print(f"the run {run.path} is finished, {accuracy_of(run)}")
        return OK
    return train_run(run, "resume", options)


def _fine_tune(first: Run, options: Any, argv: list[str]) -> int:
    """Go on with a finished run, with the values that a chip will have; a run of its own."""
    from mpo_snn.cli.fine_tune import check_goes_on, fine_tuning_recipe, next_to
    from mpo_snn.cli.target_recipe import fits, refuse_method
    from mpo_snn.profiles.chip import load_chip_profile
    from mpo_snn.training.rundir import create_run

    for name in ("recipe", "reader"):
        if getattr(options, name) is not None:
            raise UsageError(f"--resume has a recipe of its own; leave out {name}.")
    profile = load_chip_profile(options.target)
    recipe = overridden_recipe(fine_tuning_recipe(first.recipe), _parser, argv)
    check_goes_on(first, recipe, profile, options.target)
    refuse_method(recipe, profile)
    if not fits(recipe, profile, str(first.path)):
        return ANSWER_IS_NO
    output = next_to(first, profile) if options.output is None else Path(options.output)
    run = made_on_first(
        options,
        lambda: create_run(
            recipe, output, start=first, target=options.target, started_from=str(first.path)
        ),
    )
    return train_run(run, "start", options)


if __name__ == "__main__":
    raise SystemExit(main())
