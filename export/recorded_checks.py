"""What is wrong with the arrays of a recording: what they claim, then their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mpo_snn.data.npz_headers import ArrayHeader, memory_of_machine, quoted
from mpo_snn.short_text import short

from .recording import core_shape

INPUT, OUTPUT = "input", "output"
MOST_SPIKES = 2**15 - 1
"""Of a neuron in a step, as int16 holds them."""
_MOST_TOLD = 10
"""Names that do not belong, before the rest of them is counted."""
_AXES = "(time, samples, *features)"
_LARGEST = np.finfo(np.float32).max


def name_findings(names: Mapping[str, int], layers: Sequence[str]) -> list[str]:
    """What is wrong with the names alone.

    Args:
        names: of the arrays, each with how often it is there.
        layers: spiking layers that may be recorded.
    """
    unknown = [name for name in names if name not in (*layers, INPUT, OUTPUT)]
    allowed = ", ".join((*layers, INPUT, OUTPUT))
    found = [
        f"there is no spiking layer {quoted(name)}, allowed are {allowed}."
        for name in unknown[:_MOST_TOLD]
    ]
    if len(unknown) > _MOST_TOLD:
        found.append(f"{len(unknown) - _MOST_TOLD} more names are no spiking layers either.")
    twice = [name for name, times in names.items() if times > 1 and name not in unknown]
    found += [f"{quoted(name)} is there twice: leave one." for name in twice]
    for name in (INPUT, OUTPUT):
        if name not in names:
            held = ", ".join(map(quoted, list(names)[:_MOST_TOLD])) or "nothing"
            found.append(f"there is no '{name}', wanted is {_AXES}; the archive holds {held}.")
    return found


def shape_findings(
    headers: Mapping[str, ArrayHeader], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, list[str]]:
    """What is wrong with the shapes, by array; only arrays with findings are there.

    Args:
        headers: by array, the one first whose timesteps and samples the others must have.
        shapes: at one timestep, as the file says, by array.
    """
    found: dict[str, list[str]] = {}
    first: tuple[str, tuple[int, ...]] | None = None
    for name, header in headers.items():
        shape = header.shape
        if len(shape) < 3 or min(shape) < 1:
            found[name] = [f"'{name}' has shape {short(str(shape))}, wanted is {_AXES}."]
            continue
        first = first or (name, shape)
        lines = []
        if shape[:2] != first[1][:2]:
            lines.append(
                f"'{name}' has {shape[0]} timesteps of {shape[1]} samples, '{first[0]}'"
                f" {first[1][0]} of {first[1][1]}."
            )
        if core_shape(shape[2:]) != core_shape(shapes[name]):
            lines.append(
                f"'{name}' has shape {short(str(shape[2:]))} at one timestep, the file says"
                f" {shapes[name]}."
            )
        if lines:
            found[name] = lines
    return found


def memory_findings(headers: Mapping[str, ArrayHeader]) -> list[str]:
    """That no memory holds the values, as they are stored and in the four bytes of float32."""
    needed = sum(header.values * (header.dtype.itemsize + 4) for header in headers.values())
    there = memory_of_machine()
    if needed <= there:
        return []
    largest = max(headers, key=lambda name: headers[name].values * headers[name].dtype.itemsize)
    return [
        f"its arrays take {needed / 1e9:.3g} GB of memory, this machine has {there / 1e9:.3g} GB;"
        f" the largest is '{largest}', {headers[largest].shape}: record fewer samples or timesteps."
    ]


def value_finding(name: str, values: NDArray[np.generic], fired_by: str | None) -> str | None:
    """What is wrong with the values of an array; None if nothing is.

    Args:
        name: of the array.
        values: numbers or bool, (time, samples, *features).
        fired_by: the layer whose spikes they must be; None where any number will do.
    """
    numbers: NDArray[np.floating] = values  # type: ignore[assignment]
    if not np.isfinite(numbers).all():
        return f"'{name}' has values that are NaN or infinite."
    if fired_by is not None:
        is_count = (numbers >= 0) & (numbers <= MOST_SPIKES)
        if values.dtype.kind == "f":
            is_count &= numbers == np.rint(numbers)
        if not is_count.all():
            what = "has" if fired_by == name else f"is what layer '{fired_by}' fires, but has"
            return (
                f"'{name}' {what} values that are no numbers of spikes: record spikes, not"
                " membranes."
            )
    elif values.dtype.kind == "f" and (np.abs(numbers) > _LARGEST).any():
        return f"'{name}' has values beyond float32, allowed is up to {_LARGEST:.2g}."
    return None
