"""Holds plain values, as a YAML file gives them, against the types of a dataclass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def typed(
    values: Mapping[str, Any], kind: Any, prefix: str = ""
) -> tuple[dict[str, Any], list[str]]:
    """The values with the types of the fields of dataclass `kind`, and what does not fit.

    Lists become tuples and whole numbers become floats where the field wants it; nothing else is
    converted. Values of nested dataclasses stay nested dicts.

    Args:
        values: by field name; a field that has a default may be absent.
        kind: a dataclass of int, float, bool, str, Literal, tuple[X, ...], X | None, dataclass.
        prefix: stands before the names in findings, e.g. `neuron.`.

    Returns:
        the values, and findings, one line each: unknown and missing keys, wrong types.
    """
    known = {f.name: f for f in fields(kind)}
    hints = get_type_hints(kind)
    found: dict[str, Any] = {}
    findings = [_unknown(prefix, str(key), known) for key in values if key not in known]
    for name, f in known.items():
        key = prefix + name
        if is_dataclass(hints[name]) and isinstance(values.get(name, {}), Mapping):
            found[name], inside = typed(values.get(name, {}), hints[name], f"{key}.")
            findings += inside
        elif name in values:
            found[name] = _fit(values[name], hints[name])
            if found[name] is _MISFIT:
                words = _in_words(hints[name])
                findings.append(f"{key} is {_short(values[name])}, allowed is {words}.")
        elif _is_required(f):
            findings.append(f"{key} is missing.")
    return found, findings


_MISFIT = object()


def _fit(value: Any, kind: Any) -> Any:
    """The value as `kind`, or `_MISFIT`."""
    origin = get_origin(kind)
    if origin is Literal:
        return value if isinstance(value, str) and value in get_args(kind) else _MISFIT
    if origin in (Union, UnionType):
        options = (_fit(value, option) for option in get_args(kind))
        return next((option for option in options if option is not _MISFIT), _MISFIT)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            return _MISFIT
        items = tuple(_fit(item, get_args(kind)[0]) for item in value)
        return _MISFIT if _MISFIT in items else items
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value if type(value) is kind else _MISFIT


def _in_words(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is Literal:
        return ", ".join(get_args(kind))
    if origin in (Union, UnionType):
        return ", ".join(_in_words(option) for option in get_args(kind))
    if origin is tuple:
        return f"a list, [..., ...], each {_in_words(get_args(kind)[0])}"
    if kind is NoneType:
        return "null"
    return "a group of keys" if is_dataclass(kind) else _WORDS[kind]


def _unknown(prefix: str, key: str, known: Iterable[str]) -> str:
    close = get_close_matches(key, known, n=1)
    if close:
        return f"unknown key {prefix}{key}: did you mean {prefix}{close[0]}?"
    return f"unknown key {prefix}{key}, allowed are {', '.join(known)}."


def _is_required(f: Field[Any]) -> bool:
    return f.default is MISSING and f.default_factory is MISSING


def _short(value: Any) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
