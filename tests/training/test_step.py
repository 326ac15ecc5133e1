"""A training step: nothing in it waits for the device; memory layout and precision."""

from __future__ import annotations

import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mpo_snn.data import load_dataset
from mpo_snn.data.dataset import scaling_of
from mpo_snn.data.scaling import Scaling
from mpo_snn.data.settings import DataSettings
from mpo_snn.encoding import encode
from mpo_snn.errors import RecipeError
from mpo_snn.export.nir_export import export_nir
from mpo_snn.networks import build_network
from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.settings import MPOSettings, NeuronSettings
from mpo_snn.training import precision
from mpo_snn.training.batches import Share
from mpo_snn.training.fit import fit
from mpo_snn.training.layout import channels_last, like_kernels
from mpo_snn.training.loaders import loaders_of
from mpo_snn.training.module import TrainingModule
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.weights import read_weights
from mpo_snn.unroll import Unrolled

from .conftest import bytes_at

WAITS = ("_local_scalar_dense", "is_nonzero", "nonzero", "_unique", "equal.default")
"""Operators whose result has to reach the host."""
ON_HOST = ("torch/optim/", "kernels/", "lightning/pytorch/plugins/precision/precision.py")
"""Where numbers that lie on the host anyway are read: Adam's count of steps, and, on a CPU alone,
constants of a layer by its CPU kernels."""


class Waits(TorchDispatchMode):
    """Notes from where a value is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(name in str(func) for name in WAITS):
            frames = [f"{f.filename}:{f.lineno}" for f in traceback.extract_stack()]
            if not any(part in frame for frame in frames[-6:] for part in ON_HOST):
                self.places.append(" < ".join(frames[-2:-5:-1]))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "changes", [{}, {"method": "fixed"}, {"loss": "tet", "tet_lambda": 0.1}, {"encoding": "rate"}]
)
def test_a_step_does_not_wait_for_the_device(
    changes: dict[str, Any], tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first hook of a step to the last; the look at the loss behind the last is apart."""
    waits, inside = Waits(), []
    first, last = TrainingModule.on_train_batch_start, TrainingModule.optimizer_step

    def start(self: TrainingModule, *arguments: Any) -> None:
        inside.append(waits.__enter__())
        first(self, *arguments)

    def end(self: TrainingModule, *arguments: Any, **options: Any) -> None:
        last(self, *arguments, **options)
        inside.pop().__exit__(None, None, None)

    monkeypatch.setattr(TrainingModule, "on_train_batch_start", start)
    monkeypatch.setattr(TrainingModule, "optimizer_step", end)
    data = DataSettings("mnist", bytes_at(tmp_path / "mnist.npz"), crop=2, flip=True)
    fit(replace(tiny, epochs=1, data=data, **changes), tmp_path / "run", device="cpu")
    assert not inside and waits.places == []


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mpo": MPOSettings(granularity="channel", width_update="gradient", height_norm="rms")},
        {"neuron": NeuronSettings(model="synaptic"), "readout": "spike_count"},
        {"neuron": NeuronSettings(most_spikes=3, reset="subtract"), "loss": "tet"},
        {"batchnorm": "per_step", "encoding": "counts"},
        *({"method": name} for name in ("fixed", "klif", "lsg", "dietsnn", "recdis")),
    ],
)
def test_a_step_stays_on_its_device(changes: dict[str, Any], tiny: Recipe) -> None:
    """On torch's device without values, which computes with no tensor of another one."""
    recipe = replace(tiny, **changes)
    network = build_network(
        recipe.network, recipe.trained_neuron, (1, 8, 8), 10, recipe.output_neuron
    )
    module = TrainingModule(recipe, network, 10, 1, Scaling(255.0))
    module.to("meta").train()
    optimizer = torch.optim.SGD(module.unrolled.parameters(), lr=0.1, momentum=0.9)
    x, y = torch.rand(7, 1, 8, 8, device="meta"), torch.zeros(7, dtype=torch.long, device="meta")
    for step in range(3):
        loss, learnt = module.joint_loss(module._encoded(x), y)
        loss.backward()
        optimizer.step()
        module.mpo.step(progress=step / 3)
        module.rival.after_step()
        means = dict(zip(module.mpo.layers, module.mpo.totals.of_layers("mu"), strict=True))
        module._watch.note(step, learnt.loss, learnt.task, learnt.added, x, means)
        for name in ("train_loss", "task_loss"):
            module.losses[name].update(learnt.loss, 7)
    kept = module._watch.kept
    assert kept is not None and kept.device.type == "meta"
    assert {p.grad.device.type for p in network.parameters() if p.grad is not None} == {"meta"}


def test_waits_are_seen() -> None:
    with Waits() as waits:
        bool(torch.isfinite(torch.ones(3)).all())
    assert len(waits.places) == 1


@pytest.mark.parametrize("name", ["convnet", "vgg11", "resnet18"])
def test_channels_last_gives_the_same_network(name: str) -> None:
    """Logits and gradients in float64, spikes in the layout of what came in."""
    settings = NetworkSettings(name, channels=(4, 8), channel_scale=0.125, init="torch")

    def answers(is_last: bool) -> list[Tensor]:
        torch.manual_seed(0)
        network = build_network(settings, NeuronSettings(), (3, 32, 32), 10).double()
        x = torch.rand(3, 3, 32, 32, dtype=torch.float64)
        if is_last:
            network, x = channels_last(network), like_kernels(x)
        seen = []

        def look(name: str, spk: Tensor, v: Tensor) -> None:
            seen.append(spk.dim() != 5 or spk[0].is_contiguous(memory_format=torch.channels_last))

        logits = Unrolled(network, 2)(encode(x, 2), look)
        assert not is_last or all(seen[1:])  # the first sees what is constant in time
        logits.square().mean().backward()
        return [logits, *(p.grad for p in network.parameters() if p.grad is not None)]

    for plain, last in zip(answers(False), answers(True), strict=True):
        torch.testing.assert_close(last, plain, rtol=1e-9, atol=1e-12)


def test_files_have_no_layout(tiny: Recipe, tmp_path: Path) -> None:
    """Weights as they were drawn, whatever the layout that they were trained in."""
    run = fit(replace(tiny, epochs=1), tmp_path / "run", device="cpu")
    tensors, _ = read_weights(run.path / "model.safetensors")
    assert all(tensor.is_contiguous() for tensor in tensors.values())
    network = run.load_network().network
    plain = export_nir(network, (1, 8, 8), 1e-3).graph
    moved = export_nir(channels_last(network), (1, 8, 8), 1e-3).graph
    for name, node in plain.nodes.items():
        if hasattr(node, "weight"):
            assert (node.weight == moved.nodes[name].weight).all()


def test_frames_are_channels_last_in_every_step() -> None:
    x = torch.rand(3, 4, 2, 8, 8)
    moved = like_kernels(x)
    assert torch.equal(moved, x)
    steps = encode(moved, 4, "frames")
    assert all(step.is_contiguous(memory_format=torch.channels_last) for step in steps)
    assert steps.flatten(0, 1).data_ptr() == moved.data_ptr()
    assert like_kernels(torch.rand(3, 5)).shape == (3, 5)


def test_bfloat16_trains_where_the_cpu_has_it(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    neuron = replace(tiny.neuron, backend="in_place")  # which does not have to be compiled
    half = replace(tiny, precision="bfloat16", epochs=1, neuron=neuron)
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: False)
    with pytest.raises(
        RecipeError, match=r"neither AVX512-BF16 nor AMX.* 13 to 24 times"
    ) as caught:
        fit(half, tmp_path / "run", device="cpu")
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)
    run = fit(half, tmp_path / "run", device="cpu")
    tensors, _ = read_weights(run.path / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} <= {torch.float32, torch.int64}
    assert (tmp_path / "run" / "metrics.csv").read_text().count("nan") == 0


def test_whole_numbers_are_scaled_where_they_arrive(tiny: Recipe, tmp_path: Path) -> None:
    """Loaders give bytes; the module makes of them what the data set would have given."""
    path = bytes_at(tmp_path / "mnist.npz")
    recipe = replace(tiny, data=DataSettings("mnist", path, normalize=True))
    dataset = load_dataset(recipe.data, 2)
    network = build_network(tiny.network, tiny.neuron, (1, 28, 28), 10)
    module = TrainingModule(recipe, network, 10, 1, scaling_of(dataset.train_x))
    for loader, x in zip(
        loaders_of(recipe, dataset, Share()), (dataset.train_x, dataset.test_x), strict=True
    ):
        batch = next(iter(loader))
        assert batch[0].dtype == torch.uint8
        shown = module.on_after_batch_transfer(batch, 0)[0]
        assert torch.equal(
            shown.flatten(1).sum(1).sort().values, x[:].flatten(1).sum(1).sort().values
        )
