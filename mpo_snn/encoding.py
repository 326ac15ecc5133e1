"""Turns samples into the input of every timestep."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import torch
from torch import Tensor

from mpo_snn.errors import DataError, RecipeError, ShapeError

ENCODINGS = ("direct", "rate", "latency", "frames", "counts", "rows")
OF_UNIT_VALUES = ("rate", "latency", "counts", "rows")
"""Encodings of values in [0, 1] alone."""
DARK = 0.01
"""Below this value a pixel has no spike in the latency code."""
MOST_EVENTS = 15
"""Events of a value of 1 in one row: what an input channel of Xylo takes in a timestep."""


def encode(
    x: Tensor, timesteps: int, kind: str = "direct", *, fresh: bool = False, trusted: bool = False
) -> Tensor:
    """Input of all timesteps, (time, batch, *features), from samples (batch, *features).

    - `direct` shows the same analog values at every timestep; it is a view with time stride 0, by
      which `Unrolled` and the graph simulator see that it is constant.
    - `rate` draws a spike at every timestep with the value as its probability
      (`snntorch.spikegen.rate`).
    - `latency` gives every value one spike, the earlier the larger, 1 at the first timestep; none
      below `DARK` (`snntorch.spikegen.latency`, linear).
    - `frames` takes samples that have a time axis already, (batch, time, *features), such as framed
      events.
    - `counts` gives a value x the number N = round(x T) of events, at most one a step and evenly
      spread: floor(N (t + 1) / T) - floor(N t / T) at step t.
    - `rows` shows an image of one channel row by row, one a step: (time, batch, width), a value x
      as round(15 x) events (`MOST_EVENTS`); nothing after the last row.

    `counts` and `rows` are whole numbers, which chips take, and functions of the sample alone.

    Args:
        x: samples; for `OF_UNIT_VALUES`, values in [0, 1].
        timesteps: T.
        kind: which encoding.
        fresh: whether `rate` draws from torch's global random numbers, as training does. Otherwise
            its draws are a function of each sample's own values, so that whoever shows a sample,
            alone or in any batch, shows the same spikes.
        trusted: whether values are known to lie in [0, 1]; to look waits for the device.

    Raises:
        RecipeError: if the kind is unknown.
        ShapeError: if the samples of `frames` do not have one frame for every timestep, or those
            of `rows` are no images of one channel with at most that many rows.
        DataError: if values that are to be in [0, 1] are not.
    """
    if kind == "direct":
        return x.expand(timesteps, *x.shape)
    if kind == "frames":
        if x.ndim < 3 or x.shape[1] != timesteps:
            raise ShapeError(
                f"cannot show samples of shape {tuple(x.shape[1:])} as frames: the encoding wants"
                f" {timesteps} frames, one for every timestep."
            )
        return x.transpose(0, 1)
    if kind not in ENCODINGS:
        raise RecipeError(f"unknown encoding '{kind}': choose one of {', '.join(ENCODINGS)}.")
    low, high = (0.0, 1.0) if trusted else (float(x.min()), float(x.max()))
    if not (low >= 0.0 and high <= 1.0):
        raise DataError(
            f"cannot encode values from {low:g} to {high:g} by {kind}, allowed is 0 to 1; leave out"
            " data.normalize, divide them in the data (for a file of another program, --input-scale"
            " FACTOR multiplies them), or use encoding direct, which chips do not take."
        )
    if kind == "counts":
        return _counts(x, timesteps)
    if kind == "rows":
        return _rows(x, timesteps)
    from snntorch import spikegen

    if kind == "latency":
        spk: Tensor = spikegen.latency(
            x, num_steps=timesteps, threshold=DARK, normalize=True, linear=True, clip=True
        )
        return spk.to(x.dtype)
    if fresh:
        return spikegen.rate(x, num_steps=timesteps)  # type: ignore[no-any-return]
    on_cpu, spikes = x.cpu(), []
    with torch.random.fork_rng(devices=[]):
        for sample in on_cpu:
            torch.manual_seed(zlib.crc32(sample.contiguous().numpy().tobytes()))
            spikes.append(spikegen.rate(sample, num_steps=timesteps))
    return torch.stack(spikes, dim=1).to(x.device)


def shape_of_step(shape: Sequence[int], kind: str, timesteps: int) -> tuple[int, ...]:
    """Shape of the input of one timestep, which is what a network is built for.

    Args:
        shape: of one sample; of one frame where samples are frames.
        kind: which encoding.
        timesteps: T.

    Raises:
        RecipeError: if samples of this shape cannot be shown so.
    """
    if kind != "rows":
        return tuple(shape)
    fault = _no_rows(shape, timesteps)
    if fault:
        raise RecipeError(fault)
    return (shape[-1],)


def largest_input(kind: str) -> float:
    """What a value of 1 in a sample is shown as: `MOST_EVENTS` by rows, 1 elsewhere."""
    return float(MOST_EVENTS) if kind == "rows" else 1.0


def _no_rows(shape: Sequence[int], timesteps: int) -> str:
    """Why samples of a shape cannot be shown row by row; "" if they can."""
    if len(shape) != 3 or shape[0] != 1:
        return (
            f"cannot show samples of shape {tuple(shape)} by rows: the encoding wants images of one"
            " channel, (1, height, width); use counts."
        )
    if shape[1] > timesteps:
        return (
            f"cannot show samples of shape {tuple(shape)} by rows in {timesteps} timesteps: one row"
            f" a step takes timesteps {shape[1]} or more."
        )
    return ""


def _counts(x: Tensor, timesteps: int) -> Tensor:
    number = (x * timesteps).round().to(torch.int64)
    ends = torch.arange(timesteps + 1, device=x.device).reshape(-1, *[1] * x.ndim)
    so_far = number * ends // timesteps
    return so_far.diff(dim=0).to(x.dtype)


def _rows(x: Tensor, timesteps: int) -> Tensor:
    fault = _no_rows(x.shape[1:], timesteps)
    if fault:
        raise ShapeError(fault)
    batch, _, height, width = x.shape
    shown = x.new_zeros(timesteps, batch, width)
    shown[:height] = (x[:, 0] * MOST_EVENTS).round().transpose(0, 1)
    return shown
