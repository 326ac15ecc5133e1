"""What is where in an ONNX model of this project, and what else its metadata says.

Everything is in the model's `metadata_props`: one entry for each field of `GraphMetadata` that has
a meaning outside of NIR, plain text as it stands and the rest as JSON; and `mpo_snn`, a JSON object
with the layout.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

import onnx

from mpo_snn.errors import GraphError
from mpo_snn.graph.metadata import GraphMetadata

KEY = "mpo_snn"
_NIR_ONLY = "nir_version"


@dataclass(frozen=True)
class LayerTensors:
    """Names of a spiking layer's values; in a model over all timesteps, followed by `@t`.

    Attributes:
        spikes: 0 or 1, (batch, *features).
        membrane: before reset, volt, same shape.
        threshold: parameter that the membrane is compared with, volt.
    """

    spikes: str
    membrane: str
    threshold: str


@dataclass(frozen=True)
class Layout:
    """How a model is driven and where its layers are.

    Attributes:
        timesteps: T of a model over all timesteps; None for one timestep with states.
        is_constant: whether a model over all timesteps takes one sample, (batch, *features), that
            is shown in every step, and not (time, batch, *features).
        states: input that takes a state -> output that gives its next value; zeros at the start.
        layers: spiking layer of the network -> its tensors.
    """

    timesteps: int | None
    is_constant: bool
    states: dict[str, str]
    layers: dict[str, LayerTensors]

    @property
    def output(self) -> str:
        """The value that is read out: of one timestep, or followed by `@t`."""
        return "output"

    def at(self, name: str, t: int) -> str:
        """The name of a layer's value in a timestep."""
        return name if self.timesteps is None else f"{name}@{t}"


def write_properties(
    model: onnx.ModelProto, layout: Layout, metadata: GraphMetadata | None
) -> None:
    """Put layout and metadata into a model."""
    properties = {KEY: json.dumps(asdict(layout))}
    for name, value in {} if metadata is None else asdict(metadata).items():
        if name != _NIR_ONLY and value is not None:
            properties[name] = value if isinstance(value, str) else json.dumps(value)
    onnx.helper.set_model_props(model, properties)


def read_properties(model: onnx.ModelProto) -> tuple[Layout, GraphMetadata | None]:
    """The layout and metadata of a model.

    Raises:
        GraphError: if the layout is missing, or something in either is missing or wrong.
    """
    properties = {entry.key: entry.value for entry in model.metadata_props}
    if KEY not in properties:
        raise GraphError(
            f"it has no '{KEY}' among its metadata_props, by which mpo-export says where states and"
            " layers are; only models that mpo-export wrote can be run here"
        )
    layout = _layout(_json(properties[KEY], KEY))
    return layout, _metadata(properties)


def _layout(content: Any) -> Layout:
    try:
        layers = {name: LayerTensors(**tensors) for name, tensors in content["layers"].items()}
        layout = Layout(**{**content, "layers": layers})
    except (AttributeError, KeyError, TypeError) as error:
        raise GraphError(f"the layout in '{KEY}' is malformed: {error}") from error
    names = [*layout.states, *layout.states.values(), *layers]
    names += [tensor for tensors in layers.values() for tensor in asdict(tensors).values()]
    is_whole = type(layout.timesteps) is int and layout.timesteps > 0
    if not (
        all(isinstance(name, str) for name in names)
        and isinstance(layout.is_constant, bool)
        and (layout.timesteps is None or is_whole)
        and layers
    ):
        raise GraphError(f"the layout in '{KEY}' has values of a wrong type")
    return layout


def _metadata(properties: dict[str, str]) -> GraphMetadata | None:
    content: dict[str, Any] = {_NIR_ONLY: ""}
    for item in fields(GraphMetadata):
        text = properties.get(item.name)
        if text is not None:
            is_text = item.type in ("str", "str | None")
            content[item.name] = text if is_text else _json(text, item.name)
    if len(content) == 1:
        return None
    may_be_none = {item.name for item in fields(GraphMetadata) if "None" in str(item.type)}
    missing = sorted({item.name for item in fields(GraphMetadata)} - content.keys() - may_be_none)
    if missing:
        raise GraphError(f"its metadata_props lack {', '.join(missing)}")
    for name in ("class_names", "folds", "notes"):
        if isinstance(content[name], list):
            content[name] = tuple(content[name])
    return GraphMetadata(**{**dict.fromkeys(may_be_none), **content})


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise GraphError(f"'{name}' among its metadata_props is no JSON ({error})") from error
