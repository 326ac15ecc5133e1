"""An ONNX model driven step by step or as a whole, with every layer shown (`export.sources`).

float32 runs in onnxruntime, float64 in ONNX's own reference implementation: onnxruntime's CPU
provider has no convolution in float64. The reference is slow, so it gets a few samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor

from mpo_snn.errors import GraphError, ShapeError
from mpo_snn.export.recording import Recording
from mpo_snn.export.sources import shaped
from mpo_snn.readout import read_out

from .instrument import OWN, absolute, forced, longest_sum, shown
from .layout import Layout
from .onnx_file import OnnxFile

REFERENCE_SAMPLES = 8
"""How many samples the reference implementation is given."""

Values = dict[str, NDArray[Any]]
Run = Callable[[Values], Values]


class OnnxSource:
    """A model as something that can be compared.

    Layers are seen in a copy of the model that gives them as outputs, too. In float32 the scores
    are those of the model as it is, which a runtime may optimise further than that copy.

    Args:
        file: the model.
        title: what messages call it.
        readout: by which the outputs of single timesteps become scores.
        twin: the same model in the other precision, if there is one; else only its own is run.
    """

    def __init__(
        self, file: OnnxFile, title: str, readout: str = "mean", twin: ModelProto | None = None
    ) -> None:
        """Load the models when they are first needed."""
        self.file, self.title, self.readout = file, title, readout
        other = "float64" if file.precision == "float32" else "float32"
        self._models = {file.precision: file.model} | ({} if twin is None else {other: twin})
        self._runs: dict[tuple[str, str], Run] = {}

    @property
    def neurons(self) -> int:
        """In all layers."""
        return sum(math.prod(shape) for shape in self.shapes().values())

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """See `Replayable.shapes`."""
        return {layer: self.file.shapes[layer] for layer in self.layers()}

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
        recording = self._record("shown", x, dtype)
        if dtype == torch.float64:
            return recording
        values = self._values("plain", x, dtype)
        if self.file.layout.timesteps is not None:
            return replace(recording, scores=torch.from_numpy(values[-1]["scores"]))
        outputs = torch.from_numpy(np.stack([step["output"] for step in values]))
        return replace(recording, scores=read_out(outputs, self.readout))

    def replay(self, x: Tensor, dtype: torch.dtype, reference: Recording) -> Recording:
        """Every layer on its own: each is fed with the reference's spikes, not this model's."""
        return self._record("forced", x, dtype, reference).like(reference)

    def thresholds(self) -> dict[str, Tensor]:
        """Firing threshold of every layer, volt, float64."""
        model = self._models.get("float64", self.file.model)
        arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        return {
            layer: torch.as_tensor(arrays[tensors.threshold].astype(np.float64)).expand(
                self.file.shapes[layer]
            )
            for layer, tensors in self.file.layout.layers.items()
        }

    def membrane_bounds(
        self, x: Tensor, reference: Recording, dtype: torch.dtype
    ) -> dict[str, Tensor]:
        """See `mpo_snn.export.rounding.membrane_bounds`; computed in float32, hence its margin."""
        sums, gamma = self._sums(x, reference, dtype)
        return {n: gamma * torch.nan_to_num(a.double(), 0.0, 0.0, 0.0) for n, a in sums.v.items()}

    def output_bounds(self, x: Tensor, reference: Recording, dtype: torch.dtype) -> Tensor:
        """See `mpo_snn.export.rounding.output_bounds`; computed in float32, hence its margin."""
        sums, gamma = self._sums(x, reference, dtype)
        return gamma * torch.nan_to_num(sums.output.double(), 0.0, 0.0, 0.0)

    def _sums(self, x: Tensor, reference: Recording, dtype: torch.dtype) -> tuple[Recording, float]:
        """The sums of absolute values, and gamma of the longest of them."""
        sums = self._record("absolute", x.abs(), torch.float32, reference).like(reference)
        terms = longest_sum(self.file.model) + 8 * x.shape[0]
        roundoff = torch.finfo(dtype).eps / 2
        return sums, 1.01 * terms * roundoff / (1.0 - terms * roundoff)

    def _record(
        self, kind: str, x: Tensor, dtype: torch.dtype, reference: Recording | None = None
    ) -> Recording:
        layout, values = self.file.layout, self._values(kind, x, dtype, reference)
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

    def _values(
        self, kind: str, x: Tensor, dtype: torch.dtype, reference: Recording | None = None
    ) -> list[Values]:
        """The values of every timestep; in a model over all of them, the same ones each time."""
        timesteps = self.file.layout.timesteps
        x = shaped(x, self.file.input_shape)
        if tuple(x.shape[2:]) != self.file.input_shape or timesteps not in (None, x.shape[0]):
            takes = f"{'any number of' if timesteps is None else timesteps} timesteps"
            raise ShapeError(
                f"cannot run {self.title} on {x.shape[0]} timesteps of shape {tuple(x.shape[2:])}:"
                f" it takes {takes} of shape {self.file.input_shape}."
            )
        run = self._ready(kind, dtype)
        if timesteps is None:
            return self._steps(run, x, dtype, reference)
        feeds = {"input": (x[0] if self.file.layout.is_constant else x).to(dtype).numpy()}
        for t in range(timesteps):
            feeds |= self._forced(reference, t, dtype)
        return [run(feeds)] * timesteps

    def _steps(
        self, run: Run, x: Tensor, dtype: torch.dtype, reference: Recording | None
    ) -> list[Values]:
        """Step by step, handing on the states."""
        layout, batch, values = self.file.layout, x.shape[1], []
        states = {n: np.zeros((batch, *self.file.shapes[n]), _name(dtype)) for n in layout.states}
        for t, step in enumerate(x):
            feeds = {"input": step.to(dtype).numpy(), **self._forced(reference, t, dtype)}
            values.append(run({**feeds, **states}))
            states = {name: values[-1][after] for name, after in layout.states.items()}
        return values

    def _forced(self, reference: Recording | None, t: int, dtype: torch.dtype) -> Values:
        if reference is None:
            return {}
        values = {}
        for layer, tensors in self.file.layout.layers.items():
            spikes = reference.spikes[layer][t].to(dtype)
            spikes = spikes.reshape(len(spikes), *self.file.shapes[layer])
            values[self.file.layout.at(tensors.spikes, t)] = spikes.numpy()
        return values

    def _ready(self, kind: str, dtype: torch.dtype) -> Run:
        """The runtime of the model as it is ("plain"), or changed."""
        key = kind, _name(dtype)
        if key not in self._runs:
            model, layout = self._models.get(key[1], self.file.model), self.file.layout
            if kind == "absolute":
                model = absolute(model)
            if kind != "plain":
                model = shown(model, layout) if kind == "shown" else forced(model, layout)
            self._runs[key] = _loaded(model, dtype, self.title)
        return self._runs[key]


def _stacked(layout: Layout, values: list[Values], name: str, ending: str = "") -> Tensor:
    """A value over all timesteps, (time, batch, ...)."""
    return torch.from_numpy(
        np.stack([v[layout.at(name, t) + ending] for t, v in enumerate(values)])
    )


def _loaded(model: ModelProto, dtype: torch.dtype, title: str) -> Run:
    names = [value.name for value in model.graph.output]
    if dtype == torch.float64:
        evaluator = ReferenceEvaluator(model)
        return lambda feeds: dict(zip(names, evaluator.run(names, feeds), strict=True))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise GraphError(f"cannot run {title}: onnxruntime refuses it: {_short(error)}") from error

    def run(feeds: Values) -> Values:
        try:
            return dict(zip(names, session.run(names, feeds), strict=True))
        except Exception as error:
            raise GraphError(f"cannot run {title}: onnxruntime says: {_short(error)}") from error

    return run


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
