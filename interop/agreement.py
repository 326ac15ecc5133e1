"""How far a reader's recording agrees with the simulator's, and whether rounding explains the rest.

A difference is rounding where layer replay says so: the float64 graph is run with every layer fed
by the spikes that the reader showed, and a neuron's first difference there must lie as close to
threshold as float32 can move a membrane (`mpo_snn.export.replay`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mpo_snn.errors import MpoError
from mpo_snn.export.recording import Recording
from mpo_snn.export.replay import TOLERANCE
from mpo_snn.export.rounding import membrane_bounds
from mpo_snn.export.sources import GraphSource

from .readers import Recorded

OUTPUT_TOLERANCE = 1e-4
"""Of an output that is no spikes, relative to its largest value: that of float32."""


@dataclass(frozen=True)
class Agreement:
    """Reader against reference.

    Attributes:
        version: name and version of the reader.
        identical: share of equal entries of the output, over the timesteps compared.
        jaccard: spikes in both over spikes in either, of the output.
        layers: per layer that the reader shows, (identical, jaccard).
        differing: entries that differ, over output and layers.
        roots: first differences of a neuron that rounding explains; None where not all explained,
            or where the reader does not show what replay needs.
        ties: how many of these roots lie exactly at threshold.
        problem: why the recordings cannot be compared, None where they can.
    """

    version: str
    identical: float = 0.0
    jaccard: float = 0.0
    layers: dict[str, tuple[float, float]] | None = None
    differing: int = 0
    roots: int | None = None
    ties: int = 0
    problem: str | None = None

    @property
    def is_exact(self) -> bool:
        """Whether every spike is the same."""
        return self.problem is None and self.differing == 0

    @property
    def is_rounding(self) -> bool:
        """Whether spikes differ, and rounding at threshold is why."""
        return self.problem is None and self.differing > 0 and self.roots is not None


def agree(
    source: GraphSource, x: Tensor, reference: Recording, recorded: Recorded, late: int = 0
) -> Agreement:
    """Compare a reader with the reference.

    Args:
        source: the float64 graph, for replay.
        x: input, (time, batch, *features).
        reference: what the simulator showed.
        recorded: what the reader showed.
        late: steps by which the reader's output is known to come late.
    """
    if recorded.error is not None:
        return Agreement(recorded.reader, problem=recorded.error)
    expected = reference.output.numpy()
    output = recorded.output
    if output.size != expected.size:
        problem = f"output of shape {output.shape}, expected {expected.shape}"
        return Agreement(recorded.reader, problem=problem)
    output = output.reshape(expected.shape)[late:]
    expected = expected[: len(expected) - late]
    same = _same_values(output, expected)
    layers, differing = {}, int((~same).sum())
    for layer, spikes in _shown(reference, recorded).items():
        a, b = reference.spikes[layer].numpy(), spikes
        layers[layer] = (float((a == b).mean()), _jaccard(a, b))
        differing += int((a != b).sum())
    roots, ties = None, 0
    if differing and not late:
        roots, ties = _rounding_roots(source, x, reference, recorded)
    jaccard = _jaccard(output > 0, expected > 0)
    share = float(same.mean())
    return Agreement(recorded.reader, share, jaccard, layers, differing, roots, ties)


def _same_values(output: np.ndarray, expected: np.ndarray) -> np.ndarray:
    if np.isin(expected, (0.0, 1.0)).all():
        return output == expected
    return np.abs(output - expected) <= OUTPUT_TOLERANCE * np.abs(expected).max()


def _jaccard(a: np.ndarray, b: np.ndarray) -> float:
    either = int((a | b).sum())
    return int((a & b).sum()) / either if either else 1.0


def _shown(reference: Recording, recorded: Recorded) -> dict[str, np.ndarray]:
    """Layers of the reference that the reader shows, by name; dots may have become underscores."""
    plain = {name.replace(".", "_"): value for name, value in recorded.layers.items()}
    found = {}
    for layer, spikes in reference.spikes.items():
        value = plain.get(layer.replace(".", "_"))
        if value is not None and value.size == spikes.numel():
            found[layer] = value.reshape(tuple(spikes.shape))
    return found


def _rounding_roots(
    source: GraphSource, x: Tensor, reference: Recording, recorded: Recorded
) -> tuple[int | None, int]:
    shown = {name: torch.from_numpy(v) for name, v in _shown(reference, recorded).items()}
    if set(shown) != set(reference.spikes):
        return None, 0
    fed = Recording(shown, reference.v, reference.output)
    try:
        replayed = source.replay(x, torch.float64, fed)
        bounds = membrane_bounds(source, x, fed, torch.float32)
    except MpoError:
        return None, 0  # a loop that evaluates a node twice cannot be replayed
    roots = ties = 0
    for layer, threshold in source.thresholds().items():
        differs = shown[layer] ^ replayed.spikes[layer]
        first = differs & (differs.cumsum(0) == 1)
        distance = (replayed.v[layer] - threshold).abs()
        bound = torch.maximum(TOLERANCE[torch.float32] * threshold.abs(), bounds[layer])
        if bool((first & (distance > bound)).any()):
            return None, 0
        roots += int(first.sum())
        ties += int((first & (distance == 0.0)).sum())
    return roots, ties
