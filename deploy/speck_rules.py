"""What one layer may be on Speck, rule by rule; each gives a finding, or none.

Rules of the neuron say whether the arithmetic of the chip is that of the layer at all; rules of the
map say whether a core has room for its shape.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from mpo_snn.profiles.chip import ChipProfile

from .finding import Finding, span
from .layers import INPUT, ChipGraph, Layer, Projection
from .speck_convolution import Convolution, map_of

NEURON = "synsense/sinabs@904eb89, sinabs/layers/iaf.py and docs/speck/overview.md"
NEAR = 1e-6
"""How far values may be apart that are meant to be one: what float32 leaves of them."""
EVENTS = "synsense/sinabs@904eb89, docs/speck/dangers.md and faqs/tips_for_training.md"


def neuron_findings(layer: Layer) -> Iterator[Finding]:
    """What the arithmetic of the chip does not have."""
    if layer.alpha is not None and bool(layer.alpha.any()):
        yield Finding(
            layer.name,
            f"a synapse with leak {span(layer.alpha)}",
            "neurons without a synapse",
            "train with --neuron.model leaky, or --target",
            NEURON,
        )
    if bool(((1.0 - layer.beta).abs() > NEAR).any()):
        yield Finding(
            layer.name,
            f"leak beta = {span(layer.beta)}",
            "beta = 1, neurons that keep all of their membrane",
            "train with --neuron.beta 1 --neuron.input_gain unit, or --target",
            NEURON,
        )
    if not _is_one_value(layer.threshold):
        yield Finding(
            layer.name,
            f"thresholds of {span(layer.threshold)}",
            "one threshold for a layer",
            "train with --neuron.granularity layer, or fold them into the weights: mpo-export does,"
            " for readers that ask",
            NEURON,
        )
    if bool((layer.bias != _per_channel(layer.bias)).any()):
        yield Finding(
            layer.name,
            "a bias that differs within a channel",
            "one bias for a channel",
            "train with a convolution's own bias, or with none",
            NEURON,
        )


def neuron_warnings(graph: ChipGraph, layer: Layer, convolution: Convolution) -> Iterator[Finding]:
    """What the chip does otherwise, event by event."""
    if bool(layer.bias.any()):
        yield Finding(
            layer.name,
            f"a bias of {span(layer.bias)} in every timestep",
            "a bias as a leak, which ticks on a slow clock of the chip and not by timesteps",
            "train with --network.bias false, or set the clock to one tick per timestep",
            EVENTS,
        )
    if layer.lower is None:
        yield Finding(
            layer.name,
            "no lowest membrane",
            "a lowest membrane of 16 bits; unset, sinabs takes -32768 in units of the network,"
            " which leaves a layer no weights",
            "none needed: quantizing sets it, from calibration data where there are some",
            "synsense/sinabs@904eb89, sinabs/backend/dynapcnn/discretize.py",
        )
    if layer.most_spikes == 1:
        yield Finding(
            layer.name,
            "at most one spike in a timestep",
            "one spike for every event that arrives, of which a timestep may have several",
            f"train with neurons that fire several times a step ({_several_spikes(graph, layer)})",
            EVENTS,
        )
        yield Finding(
            layer.name,
            "a spike above the threshold",
            "a spike from the threshold on; whole numbers meet it often, and each time the chip"
            " fires where the file does not",
            "compare the accuracy in real numbers with that of the chip's values in the report, or"
            " train with neurons that fire several times a step, at the threshold too",
            NEURON,
        )
    largest, threshold = float(convolution.weight.max()), float(layer.threshold.min())
    if largest > threshold:
        yield Finding(
            layer.name,
            f"a weight of {largest:.4g}, above the threshold of {threshold:.4g}",
            "one spike for an event; what is left above the threshold waits for the next event",
            "train with weights up to the threshold",
            EVENTS,
        )


def _several_spikes(graph: ChipGraph, layer: Layer) -> str:
    """The setting that lets a layer fire several times: that of the outputs if all others do."""
    others = [one.most_spikes > 1 for one in graph if one is not layer]
    if layer is graph.output and others and all(others):
        return "--neuron.output_spikes null, which takes neuron.most_spikes"
    return "--neuron.most_spikes 16"


def projection_findings(projection: Projection, profile: ChipProfile) -> Iterator[Finding]:
    """What a core's convolution, and the pooling on the way to it, cannot be."""

    def finding(key: str, found: str, allowed: str, fix: str) -> Finding:
        return Finding(projection.node, found, allowed, fix, profile.constant(key).source)

    side = profile.value("limit.kernel_side")
    if projection.kind == "convolution":
        kernel, kind = tuple(projection.weight.shape[2:]), "a kernel"
        fix = f"train with square kernels up to {side}x{side}"
    else:
        kernel, kind = map_of(projection.pooled_shape)[1:], "a dense layer, whose kernel is the map"
        fix = "pool or stride to a small square map in front"
    if kernel[0] != kernel[1] or max(kernel) > side:
        allowed = f"square kernels up to {side}x{side}"
        yield finding("limit.kernel_side", f"{kind} of {_by(kernel)}", allowed, fix)
    strides = profile.value("limit.strides")
    if any(stride not in strides for stride in projection.stride):
        allowed = f"strides of {_listed(strides)}"
        yield finding(
            "limit.strides", f"stride {_by(projection.stride)}", allowed, f"train with {allowed}"
        )
    most = profile.value("limit.padding")
    if max(projection.padding) > most:
        yield finding(
            "limit.padding",
            f"padding {_by(projection.padding)}",
            f"padding from 0 to {most}",
            "train with less",
        )
    pools = profile.value("limit.pools")
    if projection.pool[0] != projection.pool[1] or projection.pool[0] not in pools:
        allowed = f"square windows of {_listed(pools)}"
        yield finding(
            "limit.pools", f"pooling of {_by(projection.pool)}", allowed, f"train with {allowed}"
        )


def projection_warnings(projection: Projection) -> Iterator[Finding]:
    """What only the chip would show."""
    sides = map_of(projection.source_shape)[1:]
    if projection.source == INPUT and projection.pool != (1, 1):
        yield Finding(
            projection.node,
            f"input events summed over windows of {_by(projection.pool)}",
            "pooling behind a core",
            "sum them in front of the chip, or let its sensor do so",
            EVENTS,
        )
    if any(side % pool for side, pool in zip(sides, projection.pool, strict=True)):
        yield Finding(
            projection.node,
            f"a map of {_by(sides)} in windows of {_by(projection.pool)}, which leave a rim",
            "maps that windows fill: what the chip makes of events on the rim is not public",
            "train on maps that are multiples of the windows",
            EVENTS,
        )


def map_findings(layer: Layer, convolution: Convolution, profile: ChipProfile) -> Iterator[Finding]:
    """Maps and channels that a core cannot address."""
    for shape, key, what in (
        (convolution.input_shape, "limit.input_side", "an input map"),
        (convolution.output_shape, "limit.map_side", "a map"),
    ):
        most = profile.value(key)
        if max(shape[1:]) > most:
            yield Finding(
                layer.name,
                f"{what} of {_by(shape[1:])}",
                f"up to {most}x{most}",
                "scale the input down, or use a stride or pooling in front",
                profile.constant(key).source,
            )
    most = profile.value("limit.channels")
    for channels, what in (
        (convolution.input_shape[0], "that arrive"),
        (convolution.output_shape[0], "of neurons"),
    ):
        if channels > most:
            yield Finding(
                layer.name,
                f"{channels:,} channels {what}",
                f"up to {most:,}",
                "use fewer; what is dense may come from a map instead of a row",
                profile.constant("limit.channels").source,
            )


def recurrence_findings(graph: ChipGraph, layer: Layer) -> list[Finding]:
    """Connections that lead back."""
    names = [other.name for other in graph]
    behind = names[names.index(layer.name) :]
    return [
        Finding(
            projection.node,
            f"spikes of '{projection.source}' that come back to '{layer.name}'",
            "connections that lead on: cycles of cores can deadlock",
            "train a network without recurrent connections",
            EVENTS,
        )
        for projection in layer.projections
        if projection.source in behind
    ]


def _is_one_value(values: Tensor) -> bool:
    return bool((values / values.flatten()[0] - 1.0).abs().max() <= NEAR)


def _per_channel(values: Tensor) -> Tensor:
    """The first value of every channel, spread over it."""
    first = values.flatten(1)[:, 0] if values.dim() > 1 else values
    return first.reshape(-1, *[1] * (values.dim() - 1)).expand_as(values)


def _by(sides: tuple[int, ...]) -> str:
    return "x".join(map(str, sides))


def _listed(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values[:-1])) + f" or {values[-1]}" if values[1:] else str(values[0])
