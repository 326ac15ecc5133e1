"""The command line of `mpo-train`: its own options, and every key of a recipe."""

from __future__ import annotations

from typing import Literal

from mpo_snn.cli.command import CommandParser
from mpo_snn.cli.recipe_options import add_recipe_options
from mpo_snn.training.recipe import Recipe

NAME = "mpo-train"
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


def train_parser(recipe: Recipe) -> CommandParser:
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
