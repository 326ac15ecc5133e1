"""Every key of a recipe as an option of the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from mpo_snn.cli.command import CommandParser
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.recipe_file import flat_values
from mpo_snn.training.recipe_values import recipe_from


def add_recipe_options(parser: CommandParser, recipe: Recipe) -> None:
    """Add `--key.sub` for every key; the values of the recipe are the defaults."""
    parser.add_class_arguments(Recipe)
    parser.set_defaults(dict(flat_values(recipe.values())))


def given_keys(recipe: Recipe, argv: list[str]) -> list[str]:
    """Dotted keys of a recipe that the command line gives, also where their value stays as it was.

    A group as a whole, `--neuron {...}`, gives all of its keys.
    """
    options = {word.partition("=")[0].rstrip("+") for word in argv if word.startswith("--")}
    return [
        key
        for key, _ in flat_values(recipe.values())
        if options & {f"--{key}", f"--{key.partition('.')[0]}"}
    ]


def overridden_recipe(
    recipe: Recipe, parser_of: Callable[[Recipe], CommandParser], argv: list[str]
) -> Recipe:
    """The recipe with the values that the command line gives.

    Args:
        recipe: what holds where nothing is given.
        parser_of: the command's parser with a recipe's values as defaults.
        argv: the command line without the program's name.

    Raises:
        UsageError: if an option is unknown or its value has the wrong type.
        RecipeError: if values are out of range; all findings at once.
    """
    options = parser_of(recipe).parse_args(argv).as_dict()
    values = {field.name: options[field.name] for field in dataclasses.fields(Recipe)}
    return recipe_from(values, "these settings")
