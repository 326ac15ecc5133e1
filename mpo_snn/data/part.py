"""One split of a data set as a loader gives it, and the choices that every run makes alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mpo_snn.data.image_files import ImageFiles
from mpo_snn.data.scaling import Scaling
from mpo_snn.data.shards import Shards
from mpo_snn.errors import DataError

ORDER_SEED = 0


@dataclass(frozen=True)
class Part:
    """The training or the test split of a data set.

    Attributes:
        x: stored samples, (N, *features), uint8 or float32, or files or shards with images.
        y: classes, int64, (N,).
        class_names: what each class is called.
        title: what the data is called in a report.
        scaling: how stored values become input.
        words: the scaling in words, where they say more than its numbers; empty otherwise.
        chosen: place of each sample in its split, (N,); None where all are there, in its order.
    """

    x: Tensor | ImageFiles | Shards
    y: Tensor
    class_names: tuple[str, ...]
    title: str
    scaling: Scaling
    words: str = ""
    chosen: Tensor | None = None

    def __len__(self) -> int:
        """N."""
        return len(self.y)

    @property
    def index(self) -> Tensor:
        """Place of each sample in its split, from 0, int64, (N,)."""
        return torch.arange(len(self)) if self.chosen is None else self.chosen

    @property
    def order(self) -> Tensor:
        """Indices in a fixed order of which every beginning holds each class in its share.

        Images in shards lie in such an order already, and cannot be reordered.
        """
        return torch.arange(len(self)) if isinstance(self.x, Shards) else stratified_order(self.y)

    def choose(self, indices: Tensor) -> Part:
        """These samples, in this order."""
        x = self.x[indices] if isinstance(self.x, Tensor) else self.x.subset(indices.tolist())
        return replace(self, x=x, y=self.y[indices], chosen=self.index[indices])


def stratified_order(y: Tensor) -> Tensor:
    """Indices in a fixed shuffled order of which every beginning holds each class in its share.

    The k-th sample (from 0) of a shuffled class of n stands at place (k + u) / n of the order, with
    one random u in [0, 1) a class, so that a beginning holds within one of its share of a class.

    Args:
        y: classes, (N,).
    """
    generator = torch.Generator().manual_seed(ORDER_SEED)
    place = torch.empty(len(y), dtype=torch.float64)
    for label in range(int(y.max()) + 1 if len(y) else 0):
        members = (y == label).nonzero()[:, 0]
        ranks = torch.randperm(len(members), generator=generator).to(torch.float64)
        shift = torch.rand((), generator=generator, dtype=torch.float64)
        place[members] = (ranks + shift) / len(members)
    return place.argsort(stable=True)


def limit(part: Part, count: int | None) -> Part:
    """The first `count` samples of the stratified order; all, in their own order, for None.

    A limit above the number of samples takes all.
    """
    if count is None or count >= len(part):
        return part
    return part.choose(part.order[:count])


def hold_out(part: Part, amount: float) -> tuple[Part, Part]:
    """Training data without, and with only, the part that is held out of it.

    Args:
        part: training split.
        amount: share below 1, or number of samples; the last ones of the stratified order.

    Raises:
        DataError: if nothing would be left in one of them.
    """
    count = round(amount * len(part)) if amount < 1 else int(amount)
    if not 0 < count < len(part):
        raise DataError(
            f"cannot hold {amount:g} out of the {len(part)} training samples for validation:"
            " data.validation leaves no sample on one side."
        )
    order = part.order
    return part.choose(order[:-count].sort().values), part.choose(order[-count:].sort().values)
