"""A figure that is to reach something: its bounds, and how it is found in result files."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpo_snn.training.environment import git

Row = Mapping[str, Any]
HERE = Path(__file__).parent
PEERS = {"snnTorch": "snntorch loop", "SpikingJelly": "spikingjelly multi-step"}
OURS, OURS_WITH_MPO = "mpo-snn", "mpo-snn + MPO"
KERNELS_OF_GPU = ":(top)mpo_snn/kernels/triton_*.py"


@dataclass(frozen=True)
class Goal:
    """One line of the table, or one for each case.

    Attributes:
        item: what is measured.
        file: name of the result file without the device.
        unit: `x` for a ratio, `%`, `/s` or `s`.
        must: bound of a release.
        goal: bound that is worked for.
        measured: the figure of one row; None where the row says nothing of it.
        lower_is_better: whether the bounds are upper ones.
        device: `cpu` or `gpu`.
        best_case: whether one case of each device has to reach it, not every one.
    """

    item: str
    file: str
    unit: str
    must: float
    goal: float
    measured: Callable[[Row], float | None]
    lower_is_better: bool = False
    device: str = "cpu"
    best_case: bool = False

    def verdict(self, value: float) -> str:
        """`goal`, `must` or `short`."""
        if self.sign * value >= self.sign * self.goal:
            return "goal"
        return "must" if self.sign * value >= self.sign * self.must else "short"

    @property
    def sign(self) -> float:
        """What makes the better one of two values the larger one."""
        return -1.0 if self.lower_is_better else 1.0


@dataclass(frozen=True)
class Found:
    """A measured figure with the case it was measured in."""

    goal: Goal
    case: Mapping[str, Any]
    value: float
    made_with: Mapping[str, Any]


def over_both(
    item: str,
    file: str,
    where: tuple[str, ...],
    *,
    snntorch: tuple[float, float],
    spikingjelly: tuple[float, float],
    device: str = "cpu",
    best_case: bool = False,
) -> Iterator[Goal]:
    """Two goals, of one variant over each of both peers, with must and goal of each.

    Args:
        item: as in `Goal`, with {} for the peer.
        file: as in `Goal`.
        where: keys of the variant, and of its part, that has the speed-ups.
        snntorch: must and goal over the loop of snnTorch.
        spikingjelly: must and goal over the multi-step node of SpikingJelly.
        device: as in `Goal`.
        best_case: as in `Goal`.
    """
    for (name, peer), (must, goal) in zip(PEERS.items(), (snntorch, spikingjelly), strict=True):

        def measured(row: Row, peer: str = peer) -> float | None:
            found: Any = row["variants"]
            for key in (*where, "speed_up_over", peer):
                found = (found or {}).get(key)
            return found  # type: ignore[no-any-return]

        yield Goal(
            item.format(name),
            file,
            "x",
            must,
            goal,
            measured,
            device=device,
            best_case=best_case,
        )


def measured(folder: Path, goals: Iterable[Goal]) -> list[Found]:
    """Every figure in the result files of a folder, goal by goal, in the order of their rows."""
    return [found for goal in goals for found in _of_goal(folder, goal)]


def _of_goal(folder: Path, goal: Goal) -> list[Found]:
    found = []
    for path in sorted(folder.glob(f"{goal.file}-*.json")):
        is_cpu = path.stem == f"{goal.file}-cpu"
        if is_cpu == (goal.device == "cpu"):
            for row in json.loads(path.read_text(encoding="utf-8"))["rows"]:
                value = goal.measured(row)
                if value is not None:
                    found.append(Found(goal, row["case"], value, row["made_with"]))
    if not goal.best_case:
        return found
    best: dict[str, Found] = {}
    for row in sorted(found, key=lambda f: goal.sign * f.value):
        best[row.made_with["device"]] = row
    return list(best.values())


def kernel_changed() -> datetime.datetime | None:
    """When a GPU's kernels last changed, as git knows it; None where it cannot be told.

    A clone without history has all files changed by its only commit, so it tells nothing.
    """
    if git(HERE, "rev-parse", "--is-shallow-repository") != "false":
        return None
    date = git(HERE, "log", "-1", "--format=%cI", "--", KERNELS_OF_GPU)
    return datetime.datetime.fromisoformat(date) if date else None


def is_older(found: Found, kernel: datetime.datetime | None) -> bool:
    """Whether a figure of a GPU was measured before its kernels last changed."""
    if kernel is None or found.goal.device != "gpu":
        return False
    return datetime.datetime.fromisoformat(found.made_with["date"]) < kernel
