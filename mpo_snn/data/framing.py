r"""Cuts the events of a recording into frames.

With `time`, event k at :math:`t_k` falls into frame
:math:`\lfloor (t_k - t_0)\, T / (t_{n-1} - t_0 + 1) \rfloor`; with `count`, into frame
:math:`\lfloor k T / n \rfloor`.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Events(NamedTuple):
    """Events of one recording, in the order of time.

    Attributes:
        x: column, (n,).
        y: row, (n,).
        p: polarity, 0 or 1, (n,).
        t: time in microseconds, (n,), not decreasing.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    p: NDArray[Any]
    t: NDArray[Any]


def frame(
    events: Events, timesteps: int, shape: tuple[int, int, int], by: Literal["time", "count"]
) -> NDArray[np.uint8]:
    """Counts of events, (timesteps, polarity, height, width); more than 255 count as 255.

    Args:
        events: of one recording, at least one.
        timesteps: number of frames.
        shape: (polarities, height, width) of a frame.
        by: frames of equal length, or of equal number of events.
    """
    n = len(events.t)
    if by == "time":
        t = events.t.astype(np.int64) - int(events.t[0])
        step = t * timesteps // (int(t[-1]) + 1)
    else:
        step = np.arange(n, dtype=np.int64) * timesteps // n
    polarities, height, width = shape
    place = step * polarities + events.p.astype(np.int64)
    place = (place * height + events.y) * width + events.x
    counts = np.bincount(place, minlength=timesteps * polarities * height * width)
    return counts.clip(max=255).astype(np.uint8).reshape(timesteps, *shape)
