"""Where the layers of a network on Xylo lie in the matrices and populations of its tensors."""

from __future__ import annotations

from .fixed_point import limits
from .layers import INPUT, ChipGraph, Layer
from .places import LayerPlace, SourcePlace
from .xylo_core import MOST_HIDDEN_SPIKES, MOST_OUTPUT_SPIKES, STATE_BITS
from .xylo_layout import XyloLayout

_PARAMETERS = ("dash_mem", "dash_syn", "threshold", "bias")


def layer_places(graph: ChipGraph, layout: XyloLayout) -> tuple[LayerPlace, ...]:
    """Layers in the order in which they lie in the hidden population, the output last.

    Sources too stand in the order in which their events are added, for sums saturate on the way.
    Two ways from one source are one block of a matrix.

    Args:
        graph: the network.
        layout: of it.
    """
    last, places = graph.output, layout.places
    hidden = sorted(graph.layers[:-1], key=lambda layer: places[layer.name].start)
    return tuple(_place(graph, layout, layer) for layer in (*hidden, last))


def _place(graph: ChipGraph, layout: XyloLayout, layer: Layer) -> LayerPlace:
    is_output, place = layer is graph.output, layout.places[layer.name]
    population = "output" if is_output else "hidden"
    sources = [
        _source_place(graph, layout, source, is_output=is_output)
        for source in dict.fromkeys(layer.sources)
    ]
    low, high = limits(STATE_BITS)
    return LayerPlace(
        layer.name,
        layer.shape,
        "subtract",
        MOST_OUTPUT_SPIKES if is_output else MOST_HIDDEN_SPIKES,
        low,
        high,
        {part: f"{population}.{part}" for part in _PARAMETERS},
        tuple(sorted(sources, key=lambda one: (one.source != INPUT, one.rows))),
        neurons=(place.start, place.stop),
    )


def _source_place(
    graph: ChipGraph, layout: XyloLayout, source: str, *, is_output: bool
) -> SourcePlace:
    is_input = source == INPUT
    rows = slice(0, len(layout.weights_in)) if is_input else layout.places[source]
    tensor = "weights_out" if is_output else "weights_in" if is_input else "weights_rec"
    return SourcePlace(
        source,
        graph.input_shape if is_input else graph.layer(source).shape,
        {"weight": tensor, "weight_shift": "weight_shift"},
        "dense",
        (1, 1),
        (1, 1),
        (0, 0),
        delayed=not is_input,
        rows=(rows.start, rows.stop),
    )
