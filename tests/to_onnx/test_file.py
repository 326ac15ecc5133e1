"""Files are read back as they were written, and anything else is told in one line."""

from __future__ import annotations

import json
import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mpo_snn.errors import ExportError, GraphError, MpoError, OutputError
from mpo_snn.export.nir_export import export_nir
from mpo_snn.export.to_onnx.build import build_onnx
from mpo_snn.export.to_onnx.onnx_file import onnx_bytes, read_onnx, write_onnx
from mpo_snn.export.to_onnx.packages import require_onnx
from mpo_snn.graph.metadata import GraphMetadata
from tests.export.networks import ConvNet, T, settled

METADATA = GraphMetadata(
    dt=1e-4,
    timesteps=T,
    encoding="direct",
    readout="mean",
    dataset=None,
    input_scaling="value / 16",
    reset="zero",
    reset_timing="step",
    class_names=("a", "b", "c", "d", "e"),
    spiking={"lif1": "lif1", "lif2": "lif2"},
    folds=("batchnorm 'bn1' into 'conv1'",),
    notes=(),
    writer="mpo-snn test",
    nir_version="",
)


@pytest.fixture(scope="module")
def export():
    return export_nir(settled(ConvNet)[0], ConvNet.input_shape)


@pytest.fixture
def model(export):
    return build_onnx(export.graph, 1e-4, export.spiking, metadata=METADATA)


@pytest.mark.parametrize("timesteps", [None, T])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_what_is_written_is_read(export, tmp_path, timesteps, precision):
    model = build_onnx(
        export.graph, 1e-4, export.spiking, timesteps=timesteps, precision=precision,
        metadata=METADATA,
    )  # fmt: skip
    write_onnx(tmp_path / "model.onnx", model)
    file = read_onnx(tmp_path / "model.onnx")
    assert file.metadata == METADATA and file.precision == precision
    assert file.input_shape == (2, 6, 6) and file.layout.timesteps == timesteps
    assert file.shapes["lif1"] == (4, 6, 6) and file.shapes["lif2"] == (6, 2, 2)
    assert (tmp_path / "model.onnx").read_bytes() == onnx_bytes(file.model)
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


def test_anybody_can_read_what_the_file_says(model):
    entries = {entry.key: entry.value for entry in model.metadata_props}
    assert entries["dt"] == "0.0001" and entries["timesteps"] == str(T)
    assert entries["reset"] == "zero" and entries["reset_timing"] == "step"
    assert entries["encoding"] == "direct" and entries["input_scaling"] == "value / 16"
    assert json.loads(entries["class_names"]) == ["a", "b", "c", "d", "e"]
    assert json.loads(entries["mpo_snn"])["states"] == {
        "lif1.membrane": "lif1.membrane.next",
        "lif2.membrane": "lif2.membrane.next",
    }
    assert model.opset_import[0].version == 17 and model.producer_name == "mpo-snn"


def foreign() -> onnx.ModelProto:
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["b", 3]) for n in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _text(path, model):
    path.write_text("not a model, but some words")


def _empty(path, model):
    path.write_bytes(b"")


def _noise(path, model):
    path.write_bytes(np.random.default_rng(0).bytes(5000))


def _cut(share):
    def write(path, model):
        content = onnx_bytes(model)
        path.write_bytes(content[: int(share * len(content))])

    return write


def _foreign(path, model):
    path.write_bytes(foreign().SerializeToString())


def _folder(path, model):
    path.mkdir()


def _missing(path, model):
    pass


def _changed(edit):
    def write(path, model):
        edit(model)
        path.write_bytes(model.SerializeToString())

    return write


def _properties(**changes):
    def edit(model):
        entries = {entry.key: entry.value for entry in model.metadata_props} | changes
        del model.metadata_props[:]
        helper.set_model_props(model, {k: v for k, v in entries.items() if v is not None})

    return edit


def _layout(**changes):
    def edit(model):
        entries = {entry.key: entry.value for entry in model.metadata_props}
        _properties(mpo_snn=json.dumps(json.loads(entries["mpo_snn"]) | changes))(model)

    return edit


def _tensor(model, name):
    return next(t for t in model.graph.initializer if t.name == name)


def _values(name, change):
    def edit(model):
        tensor = _tensor(model, name)
        tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), name))

    return edit


def _nan(array):
    array = array.copy()
    array.flat[1] = np.nan
    return array


def _external(model):
    tensor = _tensor(model, "conv1.weight")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def _short(model):
    tensor = _tensor(model, "conv2.weight")
    tensor.raw_data = tensor.raw_data[:-4]


def _no_node(model):
    del model.graph.node[3]


def _stranger(model):
    model.graph.node[0].domain = "com.example"


def _half(model):
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16


def _another_input(model):
    model.graph.input.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch"]))


def _free_size(model):
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"


LAYER = {"spikes": "lif1.spikes", "membrane": "lif1.v", "threshold": "lif1.threshold"}


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (_text, "no ONNX model"),
        (_empty, "no ONNX model"),
        (_noise, "no ONNX model"),
        (_cut(0.5), "no ONNX model|refuses"),
        (_cut(0.99), "no ONNX model|refuses"),
        (_missing, "No such file"),
        (_folder, "Is a directory"),
        (_foreign, "no 'mpo_snn' among its metadata_props"),
        (_changed(_properties(mpo_snn=None)), "no 'mpo_snn' among its metadata_props"),
        (_changed(_properties(mpo_snn="{")), "'mpo_snn' among its metadata_props is no JSON"),
        (_changed(_properties(mpo_snn="[]")), "layout in 'mpo_snn' is malformed"),
        (_changed(_properties(mpo_snn="7")), "layout in 'mpo_snn' is malformed"),
        (_changed(_properties(dt="soon")), "'dt' among its metadata_props is no JSON"),
        (_changed(_properties(dt="-1")), "dt is -1"),
        (_changed(_properties(readout="best")), "readout is 'best'"),
        (_changed(_properties(encoding=None)), "metadata_props lack encoding"),
        (_changed(_properties(class_names='"abc"')), "class_names"),
        (_changed(_layout(timesteps="4")), "wrong type"),
        (_changed(_layout(timesteps=0)), "wrong type"),
        (_changed(_layout(timesteps=True)), "wrong type"),
        (_changed(_layout(timesteps=10**9)), "has no value 'lif1.v@0'"),
        (_changed(_layout(layers={})), "wrong type"),
        (_changed(_layout(layers=[])), "malformed"),
        (_changed(_layout(layers={"a": 3})), "malformed"),
        (_changed(_layout(states={})), "its inputs are input, lif1.membrane"),
        (_changed(_layout(states={"a": 1})), "wrong type"),
        (_changed(_layout(colour="red")), "malformed"),
        (
            _changed(_layout(layers={"lif1": LAYER | {"threshold": "t"}})),
            "layer 'lif1' has no parameter 't'",
        ),
        (
            _changed(_layout(layers={"lif1": LAYER | {"spikes": "lif1.v"}})),
            "layer 'lif1' has no value 'lif1.v'",
        ),
        (
            _changed(_layout(layers={"lif1": LAYER | {"threshold": "fc.bias"}})),
            r"layer 'lif1' of shape \(4, 6, 6\) has a threshold of shape \(5,\)",
        ),
        (
            _changed(_layout(layers={"lif1": LAYER | {"membrane": "fc"}})),
            r"layer 'lif1' has spikes of shape \(4, 6, 6\), membranes of \(5,\)",
        ),
        (_changed(_values("conv2.weight", _nan)), "'conv2.weight' holds values that are NaN"),
        (_changed(_values("fc.weight", lambda w: w[:, :-1])), "onnx.checker refuses it"),
        (_changed(_external), "'conv1.weight' is kept in another file"),
        (_changed(_short), "refuses it|conv2.weight"),
        (_changed(_no_node), "onnx.checker refuses it"),
        (_changed(_stranger), "refuses it|cannot be told"),
        (_changed(_half), "refuses it|neither float32 nor float64"),
        (_changed(_another_input), "its inputs are input"),
        (_changed(_free_size), "shape of 'input' behind its batch cannot be told"),
    ],
)
def test_anything_else_is_told_in_a_line(model, tmp_path, write, message):
    path = tmp_path / "model.onnx"
    write(path, model)
    with pytest.raises(GraphError) as error:
        read_onnx(path)
    text = str(error.value)
    assert re.search(message, text), text
    assert str(path) in text and "\n" not in text.split(" findings")[0]


def test_every_cut_and_many_flips_are_an_error_or_a_model(model, tmp_path):
    content = onnx_bytes(model)
    rng, path = np.random.default_rng(0), tmp_path / "model.onnx"
    for trial in range(150):
        damaged = bytearray(content)
        if trial % 3 == 0:
            damaged = damaged[: rng.integers(len(content))]
        for _ in range(rng.integers(1, 4)):
            damaged[rng.integers(len(damaged))] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_onnx(path)
        except MpoError as error:
            assert str(path) in str(error)


def test_a_disk_that_refuses_leaves_nothing(model, tmp_path):
    with pytest.raises(OutputError, match="cannot write"):
        write_onnx(tmp_path / "none" / "model.onnx", model)
    assert not list(tmp_path.iterdir())


def test_a_model_beyond_the_format_is_refused(model, monkeypatch):
    monkeypatch.setattr("mpo_snn.export.to_onnx.onnx_file._LARGEST", 100)
    with pytest.raises(ExportError, match="one file holds 2"):
        onnx_bytes(model)


def test_a_missing_package_is_told_with_what_installs_it(monkeypatch):
    require_onnx()
    find = "importlib.util.find_spec"
    monkeypatch.setattr(find, lambda name: None if name == "onnxruntime" else name)
    with pytest.raises(ExportError, match=r"onnxruntime is not installed; pip install 'mpo-snn"):
        require_onnx()
    monkeypatch.setattr(find, lambda name: None)
    with pytest.raises(ExportError, match="onnx and onnxruntime are not installed"):
        require_onnx()
