"""Whole numbers on a command line: what is out of range is told with what is allowed."""

from __future__ import annotations

from mpo_snn.cli.command import UsageError


def check_whole(option: str, number: int | None, low: int, high: int | None = None) -> None:
    """Refuse a number out of range.

    Args:
        option: as it is written, without its dashes.
        number: what was given; None, where nobody gave any, is fine.
        low: the smallest that is allowed.
        high: the largest; None for no such limit.

    Raises:
        UsageError: if it is out of range.
    """
    if number is None or (low <= number and (high is None or number <= high)):
        return
    allowed = f"{low} or more" if high is None else f"{low} to {high}"
    raise UsageError(f"--{option} is {number}, allowed is {allowed}.")


def note_on_samples(asked: int | None, there: int) -> tuple[str, ...]:
    """A line where fewer samples are there than `--samples` asked for; none otherwise."""
    if asked is None or asked <= there:
        return ()
    return (f"--samples is {asked}, but there are only {there}: all of them are run.",)


def note_on_calibration(asked: int, there: int) -> tuple[str, ...]:
    """A line where the training split is smaller than `--calibration`; none otherwise."""
    if asked <= there:
        return ()
    return (
        f"--calibration is {asked}, but there are only {there}: the quantizer sees all of them.",
    )
