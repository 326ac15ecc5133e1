"""Turns samples into the input of every timestep."""

from __future__ import annotations

import zlib

import torch
from torch import Tensor

from mpo_snn.errors import DataError, RecipeError, ShapeError

ENCODINGS = ("direct", "rate", "latency", "frames")
DARK = 0.01
"""Below this value a pixel has no spike in the latency code."""


def encode(x: Tensor, timesteps: int, kind: str = "direct", *, fresh: bool = False) -> Tensor:
    """Input of all timesteps, (time, batch, *features), from samples (batch, *features).

    - `direct` shows the same analog values at every timestep; it is a view with time stride 0, by
      which `Unrolled` and the graph simulator see that it is constant.
    - `rate` draws a spike at every timestep with the value as its probability
      (`snntorch.spikegen.rate`).
    - `latency` gives every value one spike, the earlier the larger, 1 at the first timestep; none
      below `DARK` (`snntorch.spikegen.latency`, linear).
    - `frames` takes samples that have a time axis already, (batch, time, *features), such as framed
      events.

    Args:
        x: samples; for `rate` and `latency`, values in [0, 1].
        timesteps: T.
        kind: which encoding.
        fresh: whether `rate` draws from torch's global random numbers, as training does. Otherwise
            its draws are a function of each sample's own values, so that whoever shows a sample,
            alone or in any batch, shows the same spikes.

    Raises:
        RecipeError: if the kind is unknown.
        ShapeError: if the samples of `frames` do not have one frame for every timestep.
        DataError: if values of `rate` or `latency` are out of range.
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
    low, high = float(x.min()), float(x.max())
    if not (low >= 0.0 and high <= 1.0):
        raise DataError(
            f"cannot encode values from {low:g} to {high:g} by {kind}, allowed is 0 to 1; leave out"
            " data.normalize, or use encoding direct."
        )
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
