"""A whole evaluation against its own spikes, looked at one by one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import nir
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mpo_snn.errors import DataError, RecipeError, ShapeError
from mpo_snn.evaluation.activity import batches, measure_activity
from mpo_snn.evaluation.evaluate import evaluate_graph
from mpo_snn.evaluation.setting import Setting
from mpo_snn.graph import Simulator

DT, TIMESTEPS = 1e-4, 5
SETTING = Setting("noise", TIMESTEPS, DT, "direct", "mean", batch_size=4)


def recorded(small):
    x = small.dataset.test_x.expand(TIMESTEPS, *small.dataset.test_x.shape)
    return Simulator(small.graph, DT).run(x, record="spikes")


def places(node, channel, y, x):
    """Uses of weights by one input element of a 3x3 convolution with padding 1 on 3x3."""
    for out in range(node.weight.shape[0]):
        for ky in range(3):
            for kx in range(3):
                if 0 <= y + 1 - ky < 3 and 0 <= x + 1 - kx < 3:
                    yield node.weight[out, channel, ky, kx]


def test_spikes_of_the_samples_of_each_class(small):
    activity = evaluate_graph(small.graph, small.dataset, SETTING).activity
    y = small.dataset.test_y
    for name, part in recorded(small).spikes.items():
        by_hand = [int(part[:, y == label].sum()) for label in range(3)]
        assert activity.class_spikes[name].tolist() == by_hand
        assert sum(by_hand) == activity.spikes(name)


def test_every_spike_and_synapse(small):
    evaluation = evaluate_graph(small.graph, small.dataset, SETTING)
    spikes = {name: part.nonzero().tolist() for name, part in recorded(small).spikes.items()}
    assert all(spikes.values())
    nodes = small.graph.nodes
    loop = {name: [0, 0] for name in ("conv2", "fc", "loop", "readout")}

    by_class, labels = Counter(), small.dataset.test_y.tolist()

    def meet(name, sample, weights):
        for w in weights:
            loop[name][0] += int(w != 0)
            loop[name][1] += 1
            by_class[name, labels[sample]] += int(w != 0)

    for _, sample, channel, y, x in spikes["lif1"]:
        meet("conv2", sample, places(nodes["conv2"], channel, y // 2, x // 2))
    for _, sample, channel, y, x in spikes["lif2"]:
        meet("fc", sample, nodes["fc"].weight[:, (channel * 3 + y) * 3 + x])
    for _, sample, neuron in spikes["lif3"]:
        meet("loop", sample, nodes["loop"].weight[:, neuron])
        meet("readout", sample, nodes["readout"].weight[:, neuron])
    counted = evaluation.synapses
    for name, of_classes in evaluation.activity.class_synops.items():
        assert of_classes.tolist() == [by_class[name, label] for label in range(3)]
    assert set(evaluation.activity.class_synops) == set(loop)
    assert {name: [counted[name].synops, counted[name].synops_dense] for name in loop} == loop
    assert loop["conv2"][0] < loop["conv2"][1]
    roles = {name: counted[name].input_role for name in counted}
    assert roles == {
        "conv1": "analog",
        "conv2": "graded",
        "fc": "spikes",
        "loop": "spikes",
        "readout": "spikes",
    }
    inside, edge, corner = 4 * 4 * 9, 4 * 4 * 6, 4 * 4
    assert counted["conv1"].mac_once == 2 * (inside + edge + corner)
    assert counted["conv1"].mac_every_step == TIMESTEPS * counted["conv1"].mac_once
    additions = {one.name: (one.kind, one.count) for one in evaluation.additions}
    assert additions == {
        "pool": ("pooling", len(spikes["lif1"])),
        "lif2.membrane": ("skip", len(spikes["lif1"])),
    }


def test_density_and_accuracy(small):
    activity = evaluate_graph(small.graph, small.dataset, SETTING).activity
    run = recorded(small)
    for name, spikes in run.spikes.items():
        assert activity.density(name) == spikes.double().mean().item()
        assert torch.equal(activity.spike_counts[name], spikes.double().sum((0, 1)))
    everything = torch.cat([spikes.flatten() for spikes in run.spikes.values()]).double()
    assert activity.network_density == pytest.approx(everything.mean().item(), rel=1e-12)
    answers = run.output.mean(0).argmax(1)
    assert activity.correct == int((answers == small.dataset.test_y).sum())
    assert activity.accuracy_percent == 100 * activity.correct / 11
    assert activity.silent == []


def test_batch_size_changes_nothing(small):
    results = [
        evaluate_graph(
            small.graph,
            small.dataset,
            Setting("noise", TIMESTEPS, DT, "direct", "mean", batch_size=size),
        )
        for size in (1, 4, 100)
    ]
    assert results[0].synapses == results[1].synapses == results[2].synapses
    assert len({result.activity.correct for result in results}) == 1


def test_layers_gather_synapses_and_membranes(small):
    layers = {one.name: one for one in evaluate_graph(small.graph, small.dataset, SETTING).layers}
    assert list(layers) == ["lif1", "lif2", "lif3", "output"]
    assert [one.synapses for one in layers.values()] == [
        ("conv1",),
        ("conv2",),
        ("fc", "loop"),
        ("readout",),
    ]
    assert [one.neurons for one in layers.values()] == [72, 18, 4, None]
    assert [one.membranes for one in layers.values()] == [72, 18, 4, 0]


def test_recompute_input_charges_every_timestep(small):
    every = Setting("noise", TIMESTEPS, DT, "direct", "mean", recompute_input=True)
    once, again = (evaluate_graph(small.graph, small.dataset, s) for s in (SETTING, every))
    assert again.operations(again.layers[0]).mac == 5 * once.operations(once.layers[0]).mac
    assert again.operations(again.layers[1]) == once.operations(once.layers[1])


def test_silent_layers_are_named(small):
    small.graph.nodes["lif2"].threshold = np.full((2, 3, 3), 1e9)
    small.graph.nodes["lif3"].v_threshold = np.full(4, 1e9)
    evaluation = evaluate_graph(small.graph, small.dataset, SETTING)
    assert evaluation.activity.silent == ["lif2", "lif3"]
    assert evaluation.synapses["fc"].synops == 0
    assert evaluation.activity.density("lif1") > 0


def test_progress_tells_every_sample(small):
    seen = []
    evaluate_graph(small.graph, small.dataset, SETTING, progress=seen.append)
    assert seen == [4, 4, 3]


def test_a_stream_of_batches_is_enough(small):
    data = small.dataset
    stream = (batch for _ in range(3) for batch in batches(data.test_x, data.test_y, 2))
    activity = measure_activity(
        Simulator(small.graph, DT), stream, timesteps=2, encoding="direct", readout="sum"
    )
    assert activity.samples == 33


def test_shape_that_does_not_fit(small, make_dataset):
    message = r"'noise' does not fit the graph: its samples have shape \(1, 8, 8\).*\(1, 6, 6\)"
    with pytest.raises(ShapeError, match=message):
        evaluate_graph(small.graph, make_dataset(shape=(1, 8, 8)), SETTING)


def test_another_number_of_classes(small, make_dataset):
    with pytest.raises(DataError, match=r"it has 5 classes, the graph has 3 outputs"):
        evaluate_graph(small.graph, make_dataset(classes=5), SETTING)
    five = make_dataset(classes=5)
    numbered = replace(five, name="archive", class_names=tuple("01234"), test_y=five.test_y * 0 + 4)
    with pytest.raises(DataError, match=r"up to 4, the largest label of its test split\. Correct"):
        evaluate_graph(small.graph, numbered, SETTING)


def test_empty_data_set(small, make_dataset):
    with pytest.raises(DataError, match="'noise': its test split has no samples"):
        evaluate_graph(small.graph, make_dataset(samples=0), SETTING)


def test_stream_that_does_not_fit(small):
    simulator = Simulator(small.graph, DT)

    def measure(*data):
        measure_activity(simulator, data, timesteps=2, encoding="direct", readout="mean")

    with pytest.raises(DataError, match="no samples"):
        measure()
    with pytest.raises(ShapeError, match=r"\(2, 6, 6\).*\(1, 6, 6\)"):
        measure((torch.zeros(1, 2, 6, 6), torch.zeros(1, dtype=torch.int64)))
    with pytest.raises(DataError, match=r"labels from 0 to 7.*3 outputs"):
        measure((torch.zeros(2, 1, 6, 6), torch.tensor([0, 7])))


def test_unknown_device(small):
    setting = Setting("noise", 1, DT, "direct", "mean", device="abacus")
    with pytest.raises(RecipeError, match="unknown device 'abacus'"):
        evaluate_graph(small.graph, small.dataset, setting)


def test_nothing_goes_to_the_host_step_by_step(small):
    """What Python asks of a tensor is a wait for the GPU: so many a batch, none a step."""

    class Asked(TorchDispatchMode):
        times = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.times += "_local_scalar_dense" in str(func) or "nonzero" in str(func)
            return func(*args, **(kwargs or {}))

    simulator, asked = Simulator(small.graph, DT), []
    for timesteps in (2, 9):
        with Asked() as mode:
            measure_activity(
                simulator,
                batches(small.dataset.test_x, small.dataset.test_y, 4),
                timesteps=timesteps,
                encoding="direct",
                readout="mean",
            )
        asked.append(mode.times)
    assert 0 < asked[0] == asked[1]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_nothing_changes_but_rounding(small):
    setting = Setting("noise", TIMESTEPS, DT, "direct", "mean", device="cuda")
    on_gpu = evaluate_graph(small.graph, small.dataset, setting).activity
    on_cpu = evaluate_graph(small.graph, small.dataset, SETTING).activity
    assert on_gpu.network_density == pytest.approx(on_cpu.network_density, rel=0.01)


def test_spikes_are_only_counted_where_the_output_has_some(small):
    counting = replace(SETTING, readout="spike_count")
    with pytest.raises(RecipeError, match="spike_count does not fit the graph"):
        evaluate_graph(small.graph, small.dataset, counting)
    nodes = dict(small.graph.nodes) | {"spikes": nir.Threshold(np.full(3, -0.01))}
    edges = [edge for edge in small.graph.edges if edge != ("readout", "output")]
    graph = nir.NIRGraph(nodes, [*edges, ("readout", "spikes"), ("spikes", "output")])
    found = evaluate_graph(graph, small.dataset, counting).activity
    x = small.dataset.test_x.expand(TIMESTEPS, *small.dataset.test_x.shape)
    spikes = Simulator(graph, DT).run(x, record="spikes").spikes["spikes"]
    correct = 0
    for sample, label in enumerate(small.dataset.test_y.tolist()):
        counts = [int(spikes[:, sample, c].sum()) for c in range(3)]
        correct += counts.index(max(counts)) == label
    assert found.correct == correct and found.spikes("spikes") > 0
