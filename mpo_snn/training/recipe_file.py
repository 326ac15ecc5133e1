"""Recipes as YAML: the shipped ones by name, anybody's by path."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from mpo_snn import recipes
from mpo_snn.errors import RecipeError
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.recipe_values import recipe_from

SHIPPED = Path(recipes.__file__).parent
_SUFFIXES = (".yaml", ".yml")


def recipe_titles() -> dict[str, str]:
    """The shipped recipes by name, with the first line of their opening comment."""
    titles = {}
    for path in sorted(SHIPPED.glob("*.yaml")):
        with path.open(encoding="utf-8") as lines:
            titles[path.stem] = next(lines).lstrip("# ").rstrip().rstrip(".")
    return titles


def load_recipe(word: str) -> Recipe:
    """A recipe by its shipped name, or from a YAML file.

    Raises:
        RecipeError: if there is none of this name, or its file cannot be used.
    """
    shipped = SHIPPED / f"{word}.yaml"
    if re.fullmatch(r"[\w-]+", word) and shipped.is_file():
        return read_recipe(shipped, f"recipe '{word}'")
    if Path(word).suffix in _SUFFIXES or Path(word).is_file():
        return read_recipe(Path(word))
    names = list(recipe_titles())
    close = get_close_matches(word, names, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise RecipeError(
        f"unknown recipe '{word}': {hint}shipped are {', '.join(names)}; a file of your own ends"
        " in .yaml."
    )


def read_recipe(path: Path, what: str | None = None) -> Recipe:
    """A recipe from a YAML file; where the file gives no name, it is that of the file.

    Raises:
        RecipeError: if the file is absent, is not YAML, or does not hold a recipe.
    """
    what = what or f"recipe '{path}'"
    try:
        text = path.read_text(encoding="utf-8")
        values = yaml.load(text, Loader=_Loader)
    except OSError as error:
        raise RecipeError(f"cannot read {what}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"cannot read {what}: it is not text in UTF-8.") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"cannot read {what}: {_where_and_why(error)}.") from error
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise RecipeError(f"cannot read {what}: it holds no sensible YAML, {reason}.") from error
    if not isinstance(values, dict):
        raise RecipeError(f"cannot use {what}: it holds no keys, expected `key: value` lines.")
    return recipe_from({"name": path.stem, **values}, what)


def plain_value(text: str) -> Any:
    """A value as it would stand in a recipe file: a number, true, [1, 2], a word.

    Raises:
        RecipeError: if it is not YAML.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise RecipeError(f"cannot read the value '{text}': {_where_and_why(error)}.") from error


def recipe_text(recipe: Recipe) -> str:
    """The recipe with all its values as YAML; `read_recipe` gives the same recipe back.

    What the method sets itself is a comment at the head.
    """
    text = yaml.dump(recipe.values(), Dumper=_Dumper, sort_keys=False)
    own = words_of_method(recipe)
    return f"# {own}\n{text}" if own else text


def words_of_method(recipe: Recipe) -> str:
    """What the method trains otherwise than the recipe says, in words; empty for nothing."""
    if not recipe.set_by_method:
        return ""
    lines = yaml.dump(recipe.set_by_method, Dumper=_Dumper, sort_keys=False).splitlines()
    return f"method {recipe.method} sets {', '.join(lines)}"


def flat_values(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a recipe by dotted key: `neuron.beta`, 0.5."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat_values(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def differing_keys(a: Recipe, b: Recipe) -> list[str]:
    """Dotted keys that have different values in two recipes."""
    one, other = dict(flat_values(a.values())), dict(flat_values(b.values()))
    return [key for key in one if one[key] != other[key]]


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, with three habits of YAML 1.1 taken out.

    `1e-3` is a number, `off` is a word, and a key given twice is an error.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value} is given twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag != "tag:yaml.org,2002:bool"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, with lists on one line."""

    def represent_list_in_line(self, values: list[Any]) -> yaml.Node:
        return self.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)


_Dumper.add_representer(list, _Dumper.represent_list_in_line)
for _kind in (_Loader, _Dumper):  # the dumper puts words that look like numbers into quotes
    _kind.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
        list("-+.0123456789"),
    )


def _where_and_why(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else problem
