"""`mpo-study`: the method's tables and figures on any recipe, over seeds."""

from __future__ import annotations

import importlib
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

from mpo_snn.cli.command import (
    ANSWER_IS_NO,
    INTERRUPTED,
    OK,
    CommandParser,
    UsageError,
    nearest,
    print_names,
    run_command,
)
from mpo_snn.cli.recipe_options import add_recipe_options, overridden_recipe
from mpo_snn.cli.run_teller import Teller, silent
from mpo_snn.evaluation.study_check import check_plan, equal_configurations
from mpo_snn.evaluation.study_parsing import (
    methods,
    parse_configurations,
    parse_numbers,
    parse_seeds,
)
from mpo_snn.evaluation.study_plan import (
    DEFAULT_CONFIGURATIONS,
    SHIPPED,
    STUDIES,
    TUNED,
    Configuration,
    Plan,
    StudyOptions,
)
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.recipe_file import load_recipe, recipe_titles

NAME = "mpo-study"
_SHOWN_IN_HELP = "digits"
_USAGE = f"{'|'.join(STUDIES)} RECIPE [--seeds 0-4] [--jobs N] [--output DIR] [--key.sub value ...]"
_DESCRIPTION = """\
Trains a recipe in several configurations over seeds, and leaves tables and figures behind.

Every run is an ordinary run directory below the output. The same command goes on where it was
stopped. Every key of the recipe can be given as in mpo-train; the defaults below are those of the
recipe digits."""
_EXAMPLES = """\
mpo-study ablation digits --epochs 1 --seeds 0,1
mpo-study ablation digits --jobs 2 --configurations 'full,tuned,narrow=--neuron.width 0.2'
mpo-study timesteps digits --sweep 4,8,12 --seeds 0-2
mpo-study robustness digits --gaussian 0.1,0.2,0.3"""
MOST_JOBS = 1000
_WIDEST_TABLE = 160
"""Columns of a console: a narrower one breaks lines, but nothing is left out."""
_OPTIONS_OF = {
    "sweep": "timesteps",
    "gaussian": "robustness",
    "salt_and_pepper": "robustness",
}


def main(argv: list[str] | None = None) -> int:
    """Run the command; `argv` is the command line without the program's name."""
    return run_command(lambda: _study(sys.argv[1:] if argv is None else argv), NAME)


def _study(argv: list[str]) -> int:
    first = _parser(load_recipe(_SHOWN_IN_HELP)).parse_args(argv)
    if first.list:
        return _list()
    plan = _plan(first, argv)
    from mpo_snn.evaluation.study_folder import check_folder

    check_folder(plan)
    try:
        return _run(plan, first)
    except KeyboardInterrupt:
        print(f"{NAME}: interrupted; go on with: {plan.command}", file=sys.stderr)
        return INTERRUPTED


def _plan(first: Any, argv: list[str]) -> Plan:
    """What the command line asks for, checked as far as that goes without computing."""
    if first.study is None or first.recipe is None:
        raise UsageError(
            "a study and a recipe are needed: mpo-study ablation digits, for example; --list shows"
            " all."
        )
    if first.study not in STUDIES:
        raise UsageError(
            f"unknown study '{first.study}'{nearest(first.study, STUDIES) or '.'} Studies are"
            f" {', '.join(STUDIES)}."
        )
    base = load_recipe(first.recipe)
    recipe = overridden_recipe(base, _parser, argv)
    if recipe.seed != base.seed:
        raise UsageError("a study has several seeds: use --seeds instead of --seed.")
    if first.study == "timesteps" and recipe.timesteps != base.timesteps:
        raise UsageError("the study timesteps has several T: use --sweep instead of --timesteps.")
    if not 1 <= first.jobs <= MOST_JOBS and first.jobs != -1:
        raise UsageError(
            f"jobs is {first.jobs}, allowed is 1 to {MOST_JOBS}, or -1 for every core."
        )
    names = first.configurations
    if names is None:
        names = ",".join(DEFAULT_CONFIGURATIONS[first.study])
    configurations = parse_configurations(names)
    if recipe.method != base.method and all("method" in c.overrides for c in configurations):
        raise UsageError(
            f"--method {recipe.method} would change nothing: every configuration has its own."
            f" Add it to the list: --configurations {names},{recipe.method}."
        )
    if recipe.threads is None:
        recipe = replace(recipe, threads=1)
    seeds, options = parse_seeds(first.seeds), _options(first, configurations)
    output = Path(f"studies/{first.study}-{recipe.name}" if first.output is None else first.output)
    command = shlex.join([NAME, *argv])
    plan = Plan(first.study, recipe, seeds, configurations, output, command, options)
    check_plan(plan)
    return plan


def _run(plan: Plan, options: Any) -> int:
    """Run the study to its end, and say what came out."""
    begin = time.monotonic()
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, _WIDEST_TABLE)
    names = ", ".join(c.name for c in plan.configurations)
    notes = equal_configurations(plan)
    if not options.quiet:
        console.print(f"study {plan.study} of {plan.recipe.name}: {names}; seeds {options.seeds}")
        console.print(f"output {plan.output}", markup=False)
        for note in notes:
            console.print(f"note   {note}", markup=False)
    from mpo_snn.evaluation.study_engine import Engine
    from mpo_snn.evaluation.study_folder import opened_folder
    from mpo_snn.evaluation.study_results import console_view, write_results

    module = importlib.import_module(f"mpo_snn.evaluation.study_{plan.study}")
    run: Callable[..., Any] = getattr(module, f"run_{plan.study}")
    engine = Engine(options.jobs, options.backend, options.device)
    with opened_folder(plan):
        results = run(plan, engine, silent if options.quiet else Teller(console))
        results = replace(results, notes=[*notes, *results.notes])
        paths = write_results(plan, results, time.monotonic() - begin)
    console.print()
    console.print(console_view(results))
    print(f"\nwrote  {paths[0]}\n       {paths[1]}")
    for path in paths[2:]:
        if path.suffix == ".svg":
            print(f"       {path}, .png")
    return ANSWER_IS_NO if all(o.diverged for o in results.outcomes) else OK


def _options(args: Any, configurations: Sequence[Configuration]) -> StudyOptions:
    """The options of single studies; those that would change nothing are refused."""
    given = {f.name: getattr(args, f.name) for f in fields(StudyOptions)}
    given = {name: text for name, text in given.items() if text is not None}
    for name in given:
        if name in _OPTIONS_OF and args.study != _OPTIONS_OF[name]:
            raise UsageError(
                f"--{name} belongs to the study {_OPTIONS_OF[name]}, not to {args.study}."
            )
        if name not in _OPTIONS_OF and all(c.name != TUNED for c in configurations):
            raise UsageError(f"--{name} is for the configuration '{TUNED}', which takes no part.")
    return StudyOptions(**{name: _read(name, value) for name, value in given.items()})


def _read(name: str, value: Any) -> Any:
    if name == "tuning_seeds":
        return parse_seeds(value)
    if name == "tuning_share":
        return value
    return parse_numbers(name, value, int if name == "sweep" else float)


def _list() -> int:
    print("studies:")
    print_names(STUDIES)
    print("\nconfigurations:")
    print_names({name: c.title for name, c in SHIPPED.items()})
    print(f"and any method: {', '.join(methods())}")
    print("\nrecipes:")
    print_names(recipe_titles())
    return OK


def _parser(recipe: Recipe) -> CommandParser:
    """The parser of the command line; the recipe's values are the defaults of its keys."""
    parser = CommandParser(NAME, _USAGE, _DESCRIPTION, _EXAMPLES)
    add, ready = parser.add_argument, StudyOptions()
    add("study", nargs="?", metavar="STUDY", help=", ".join(STUDIES))
    add("recipe", nargs="?", metavar="RECIPE", help="name or YAML file")
    add("--seeds", default="0-4", metavar="LIST", help="such as 0-4 or 0,3,7")
    add(
        "--configurations",
        metavar="LIST",
        help="what is compared; --list shows names; your own: 'name=--key.sub value'",
    )
    add("--output", metavar="DIR", help="default: studies/<study>-<recipe>")
    add("--jobs", type=int, default=1, metavar="N", help="runs at once; -1: one for each core")
    add(
        "--backend",
        type=Literal["loky", "dask", "ray"],
        default="loky",
        help="processes of this machine, or a cluster (docs/studies.md)",
    )
    add("--device", type=Literal["auto", "cpu", "cuda"], default="auto", help="where to train")
    add("--list", action="store_true", help="show studies, configurations and recipes")
    add("--quiet", action="store_true", help="say nothing before the result")
    for name, what in (
        ("slopes", "grid of the tuned baseline, 1/volt"),
        ("tuning_seeds", "seeds of every slope of that grid"),
        ("sweep", "T of the study timesteps"),
        ("gaussian", "sigmas of the study robustness, as shares of the data's range"),
        ("salt_and_pepper", "shares of pixels, of the study robustness"),
    ):
        default = ",".join(f"{value:g}" for value in getattr(ready, name))
        add(f"--{name}", metavar="LIST", help=f"{what}; default: {default}")
    add(
        "--tuning_share",
        type=float,
        metavar="SHARE",
        help=f"of the training data, held out to choose the slope; default: {ready.tuning_share:g}",
    )
    add_recipe_options(parser, recipe)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
