"""An ONNX model driven step by step or as a whole, with every layer shown (`export.sources`).

float32 runs in onnxruntime, float64 in ONNX's own reference implementation: onnxruntime's CPU
provider has no convolution in float64. The reference is slow, so it gets a few samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor

from mpo_snn.errors import GraphError, ShapeError
from mpo_snn.export.sources import Recording

from .instrument import OWN, absolute, forced, layer_sizes, longest_sum, shown
from .layout import Layout
from .onnx_file import OnnxFile

REFERENCE_SAMPLES = 8
"""How many samples the reference implementation is given."""

Run = Callable[[Mapping[str, NDArray[Any]]], dict[str, NDArray[Any]]]


class OnnxSource:
    """A model as something that can be compared.

    Args:
        file: the model.
        title: what messages call it.
        twin: the same model in the other precision, if there is one; else only its own is run.
    """

    def __init__(self, file: OnnxFile, title: str, twin: ModelProto | None = None) -> None:
        """Load the models when they are first needed."""
        self.file, self.title = file, title
        other = "float64" if file.precision == "float32" else "float32"
        self._models = {file.precision: file.model} | ({} if twin is None else {other: twin})
        self._runs: dict[tuple[str, str], Run] = {}

    @property
    def neurons(self) -> int:
        """In all layers."""
        return layer_sizes(self.file)

    def layers(self) -> list[str]:
        """Names of the layers, in the order of the layout."""
        return list(self.file.layout.layers)

    def limit(self, dtype: torch.dtype) -> int | None:
        """How many samples can be run in a precision, None for any number."""
        if _name(dtype) not in self._models:
            return 0
        return REFERENCE_SAMPLES if dtype == torch.float64 else None

    def run(self, x: Tensor, dtype: torch.dtype) -> Recording:
        """See `Source.run`."""
        return self._record(self._ready("shown", dtype), x, dtype, None)

    def replay(self, x: Tensor, dtype: torch.dtype, reference: Recording) -> Recording:
        """Every layer on its own: each is fed with the reference's spikes, not this model's."""
        return self._record(self._ready("forced", dtype), x, dtype, reference)

    def thresholds(self) -> dict[str, Tensor]:
        """Firing threshold of every layer, volt, float64."""
        model = self._models.get("float64", self.file.model)
        arrays = {t.name: t for t in model.graph.initializer}
        return {
            layer: torch.as_tensor(
                numpy_helper.to_array(arrays[tensors.threshold]).astype(np.float64)
            ).expand(self.file.shapes[layer])
            for layer, tensors in self.file.layout.layers.items()
        }

    def membrane_bounds(
        self, x: Tensor, reference: Recording, dtype: torch.dtype
    ) -> dict[str, Tensor]:
        """See `mpo_snn.export.rounding.membrane_bounds`; computed in float32, hence its margin."""
        run = self._ready("absolute", torch.float32)
        v = self._record(run, x.abs(), torch.float32, reference).v
        terms = longest_sum(self.file.model) + 8 * x.shape[0]
        roundoff = torch.finfo(dtype).eps / 2
        gamma = 1.01 * terms * roundoff / (1.0 - terms * roundoff)
        return {n: gamma * torch.nan_to_num(a.double(), 0.0, 0.0, 0.0) for n, a in v.items()}

    def _ready(self, kind: str, dtype: torch.dtype) -> Run:
        key = kind, _name(dtype)
        if key not in self._runs:
            model = self._models[key[1]]
            if kind == "shown":
                changed = shown(model, self.file.layout)
            else:
                changed = forced(absolute(model) if kind == "absolute" else model, self.file.layout)
            self._runs[key] = _loaded(changed, dtype, self.title)
        return self._runs[key]

    def _record(
        self, run: Run, x: Tensor, dtype: torch.dtype, reference: Recording | None
    ) -> Recording:
        if tuple(x.shape[2:]) != self.file.input_shape:
            raise ShapeError(
                f"cannot run {self.title} on samples of shape {tuple(x.shape[2:])}: its input takes"
                f" {self.file.input_shape}."
            )
        layout = self.file.layout
        if layout.timesteps is None:
            values = self._steps(run, x, dtype, reference)
        else:
            if x.shape[0] != layout.timesteps:
                raise ShapeError(
                    f"cannot run {self.title} over {x.shape[0]} timesteps: it is made for"
                    f" {layout.timesteps}."
                )
            values = self._whole(run, x, dtype, reference)
        own = "" if reference is None else OWN
        spikes = {n: _stacked(layout, values, x.spikes, own) > 0 for n, x in layout.layers.items()}
        v = {n: _stacked(layout, values, x.membrane) for n, x in layout.layers.items()}
        scores = values[-1].get("scores")
        return Recording(
            spikes,
            v,
            _stacked(layout, values, layout.output),
            None if scores is None else torch.from_numpy(scores),
        )

    def _steps(
        self, run: Run, x: Tensor, dtype: torch.dtype, reference: Recording | None
    ) -> list[dict[str, NDArray[Any]]]:
        """Step by step, handing on the states."""
        layout, batch = self.file.layout, x.shape[1]
        kind = np.dtype(_name(dtype))
        states = {n: np.zeros((batch, *self.file.shapes[n]), kind) for n in layout.states}
        values = []
        for t, step in enumerate(x.to(dtype).numpy()):
            values.append(run({"input": step, **states, **self._forced(reference, t, kind)}))
            states = {name: values[-1][after] for name, after in layout.states.items()}
        return values

    def _whole(
        self, run: Run, x: Tensor, dtype: torch.dtype, reference: Recording | None
    ) -> list[dict[str, NDArray[Any]]]:
        """All timesteps at once; the same values for each of them."""
        constant = self.file.layout.is_constant
        feeds = {"input": (x[0] if constant else x).to(dtype).contiguous().numpy()}
        for t in range(x.shape[0]):
            feeds |= self._forced(reference, t, np.dtype(_name(dtype)))
        return [run(feeds)] * x.shape[0]

    def _forced(
        self, reference: Recording | None, t: int, kind: np.dtype[Any]
    ) -> dict[str, NDArray[Any]]:
        if reference is None:
            return {}
        layout = self.file.layout
        return {
            layout.at(tensors.spikes, t): reference.spikes[layer][t].numpy().astype(kind)
            for layer, tensors in layout.layers.items()
        }


def _stacked(
    layout: Layout, values: list[dict[str, NDArray[Any]]], name: str, ending: str = ""
) -> Tensor:
    """A value over all timesteps, (time, batch, ...)."""
    return torch.from_numpy(
        np.stack([v[layout.at(name, t) + ending] for t, v in enumerate(values)])
    )


def _loaded(model: ModelProto, dtype: torch.dtype, title: str) -> Run:
    names = [value.name for value in model.graph.output]
    if dtype == torch.float64:
        evaluator = ReferenceEvaluator(model)
        return lambda feeds: dict(zip(names, evaluator.run(names, dict(feeds)), strict=True))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise GraphError(f"cannot run {title}: onnxruntime refuses it: {_short(error)}") from error

    def run(feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        try:
            return dict(zip(names, session.run(names, dict(feeds)), strict=True))
        except Exception as error:
            raise GraphError(f"cannot run {title}: onnxruntime says: {_short(error)}") from error

    return run


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
