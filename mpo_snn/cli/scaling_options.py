"""Options that scale samples for files of other programs, alike in every command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mpo_snn.cli.command import UsageError


def add_scaling_options(add: Callable[..., Any]) -> None:
    """Add `--data.normalize` and `--input-scale`.

    Args:
        add: `add_argument` of a parser or of a group of its options.
    """
    add(
        "--data_normalize",
        "--data.normalize",
        action="store_true",
        help="take the mean from every channel and divide it by its standard deviation",
    )
    add_input_scale(add)


def add_input_scale(add: Callable[..., Any]) -> None:
    """Add `--input-scale` alone.

    Args:
        add: `add_argument` of a parser or of a group of its options.
    """
    add(
        "--input-scale",
        "--input_scale",
        type=float,
        default=1.0,
        metavar="FACTOR",
        help="multiply the samples by this; 1, as they are, is the default",
    )


def check_input_scale(factor: float) -> None:
    """Refuse a factor before anything is loaded.

    Raises:
        UsageError: if it is 0, NaN or infinite, or leaves what float32 holds.
    """
    from mpo_snn.data.fit import SCALES, is_scale

    if not is_scale(factor):
        raise UsageError(f"--input-scale is {factor:g}, allowed is {SCALES}.")
