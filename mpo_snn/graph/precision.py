"""What a run needs of the numbers it is done in: all their digits, and that they suffice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from mpo_snn.errors import GraphError


@contextmanager
def every_digit(device: torch.device) -> Iterator[None]:
    """Keep torch from computing with fewer digits than float32 has, whatever the caller set."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with (
            torch.autocast(device.type, enabled=False),
            torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
        ):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)


def check_range(ends: Sequence[tuple[str, Tensor]], dtype: torch.dtype) -> None:
    """Refuse what overflowed: a membrane that is NaN never fires, and would pass as quiet.

    Args:
        ends: names of nodes, and what they hold or give at the end of a run.
        dtype: of the run.

    Raises:
        GraphError: naming the nodes of which something is infinite or NaN.
    """
    sums = torch.stack([value.sum(dtype=dtype) for _, value in ends]).cpu()  # one wait
    if bool(sums.isfinite().all()):  # a sum is finite only if all that it adds up is
        return
    lost = [name for name, value in ends if not bool(value.isfinite().all())]
    if lost:
        name = str(dtype).removeprefix("torch.")
        raise GraphError(
            f"cannot run the graph in {name}: values of"
            f" {', '.join(map(repr, dict.fromkeys(lost)))} are infinite or NaN at the end;"
            f" weights or samples are too large for {torch.finfo(dtype).max:.2g}, its most"
        )
