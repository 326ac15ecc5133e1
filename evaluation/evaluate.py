"""Evaluation of one graph on one data set: activity and operations, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from mpo_snn.data.class_names import are_names
from mpo_snn.data.digest import digest_of
from mpo_snn.encoding import shape_of_step
from mpo_snn.errors import DataError, RecipeError, ShapeError
from mpo_snn.graph.kinds import kind_of
from mpo_snn.graph.simulate import Simulator

from .activity import Activity, batches, measure_activity
from .energy import Operations
from .layers import Layer, group_layers
from .parameters import Parameters, count_parameters
from .roles import assign_roles
from .synops import (
    Additions,
    SynapseCount,
    by_source,
    count_additions,
    count_synapses,
    driven_synapses,
)

if TYPE_CHECKING:
    from mpo_snn.data import Dataset
    from mpo_snn.graph.execute import Watch

    from .setting import Setting


@dataclass(frozen=True)
class GraphNode:
    """A node of the graph, without its parameters.

    Attributes:
        name: of the node; one in a subgraph has the names of all above it in front.
        kind: in NIR.
        shape: of what it gives for one sample.
    """

    name: str
    kind: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Evaluation:
    """What was measured and counted.

    Attributes:
        setting: how the graph was run.
        activity: spikes and answers.
        layers: the layers, in the order in which signals pass through them.
        synapses: operations of each synaptic node.
        additions: additions of spikes without a synapse.
        input_shape: of one sample.
        output_shape: of one answer.
        class_names: in the order of the outputs.
        nodes: of the graph, in the order in which they are evaluated.
        edges: pairs of their names.
        parameters: what each of them stores.
        split: which part of the data was run, `test` or `validation`.
        on_events: the nodes that ran on events (`mpo_snn.graph.by_density`).
        data_title: what the data is called.
        data_digest: of the samples that were run and their labels (`mpo_snn.data.digest`).
        input_scaling: how raw values became the input, in words.
    """

    setting: Setting
    activity: Activity
    layers: tuple[Layer, ...]
    synapses: Mapping[str, SynapseCount]
    additions: tuple[Additions, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    nodes: tuple[GraphNode, ...]
    edges: tuple[tuple[str, str], ...]
    parameters: Mapping[str, Parameters]
    split: str = "test"
    on_events: tuple[str, ...] = ()
    data_title: str = ""
    data_digest: str = ""
    input_scaling: str = ""

    def operations(
        self, layer: Layer, *, every_step: bool | None = None, label: int | None = None
    ) -> Operations:
        """Operations of one layer per inference.

        Args:
            layer: one of `layers`.
            every_step: whether what is constant in time counts at every timestep; None: as the
                setting says.
            label: the class whose samples are meant, of which there is at least one; None: all.
        """
        every = self.setting.recompute_input if every_step is None else every_step
        activity = self.activity
        samples = activity.samples if label is None else activity.decisions.samples_of(label)
        total = Operations(updates=float(layer.membranes * self.setting.timesteps))
        for count in (self.synapses[name] for name in layer.synapses):
            synops = float(count.synops)
            if label is not None and count.input_role != "analog":
                synops = float(activity.class_synops[count.name][label])
            per_inference = synops / samples
            total += Operations(
                mac=float(count.mac_every_step if every else count.mac_once),
                ac=per_inference if count.input_role == "spikes" else 0.0,
                graded_ac=per_inference if count.input_role == "graded" else 0.0,
            )
        return total


def evaluate_graph(
    graph: Any,
    dataset: Dataset,
    setting: Setting,
    *,
    progress: Callable[[int], None] | None = None,
    watch: Watch | None = None,
) -> Evaluation:
    """Run the test split of a data set through a graph and count.

    Args:
        graph: a `nir.NIRGraph`.
        dataset: its `test_x` and `test_y` are used.
        setting: how to run it.
        progress: called with the number of samples after each batch.
        watch: is shown what enters each node (`Simulator.run`).

    Raises:
        GraphError: if the graph cannot be run.
        ShapeError: if samples do not have the graph's input shape.
        DataError: if the data set is empty, or has another number of classes than the graph, or a
            file of it cannot be read.
        RecipeError: if the device is unknown or absent, or spikes are to be counted where the
            output has none.
    """
    events = setting.events == "auto"
    simulator = Simulator(graph, setting.dt, device=_device(setting.device), events=events)
    _check_fit(simulator, dataset, setting)
    size = setting.batch_size
    if watch is None:  # what watches may look at a batch as a whole
        size = min(size, simulator.samples_near(setting.timesteps) or size)
    flat, shapes = simulator.flat, simulator.node_shapes
    roles = assign_roles(flat)
    driven = driven_synapses(flat, roles, shapes)
    activity = measure_activity(
        simulator,
        batches(dataset.test_x, dataset.test_y, size),
        timesteps=setting.timesteps,
        encoding=setting.encoding,
        readout=setting.readout,
        device=setting.device,
        progress=progress,
        watch=watch,
        fan_out=by_source(driven, simulator.spiking),
    )
    synapses = count_synapses(
        flat,
        roles,
        shapes,
        activity.spike_counts,
        setting.timesteps,
        constant_input=setting.encoding == "direct",
        driven=driven,
    )
    return Evaluation(
        setting=setting,
        activity=activity,
        layers=tuple(group_layers(flat, shapes, simulator.spiking)),
        synapses={count.name: count for count in synapses},
        additions=tuple(count_additions(flat, roles, shapes, activity.spike_counts)),
        input_shape=tuple(simulator.input_shape),
        output_shape=tuple(simulator.output_shape),
        class_names=tuple(dataset.class_names),
        nodes=tuple(
            GraphNode(step.node, kind_of(flat.nodes[step.node]), tuple(shapes[step.node]))
            for step in simulator.schedule.steps
            if step.clone_of is None
        ),
        edges=tuple(flat.edges),
        parameters=count_parameters(flat),
        split=dataset.evaluated_on,
        on_events=tuple(simulator.on_events),
        data_title=dataset.title or dataset.name,
        data_digest=digest_of(dataset.test_x, dataset.test_y),
        input_scaling=dataset.value_scaling or dataset.input_scaling,
    )


def _check_fit(simulator: Simulator, dataset: Dataset, setting: Setting) -> None:
    """Everything that can be known to be wrong before the first sample runs."""
    name = f"data set '{dataset.name}'"
    if len(dataset.test_x) == 0:
        raise DataError(f"cannot evaluate on {name}: its test split has no samples.")
    expected = tuple(simulator.input_shape)
    found = shape_of_step(dataset.input_shape, setting.encoding, setting.timesteps)
    if expected != found:
        raise ShapeError(
            f"{name} does not fit the graph: its samples have shape {found}, the graph's input "
            f"has shape {expected}. Choose the data set that the graph was made for with --data."
        )
    classes, outputs = len(dataset.class_names), math.prod(simulator.output_shape)
    if classes != outputs:
        raise DataError(
            f"{name} does not fit the graph: it has {classes} classes, the graph has {outputs} "
            f"outputs. {_advice_on_classes(dataset)}"
        )
    flat = simulator.flat
    entering = [assign_roles(flat).input.get(output) for output in flat.outputs]
    if setting.readout == "spike_count" and entering != ["spikes"]:
        raise RecipeError(
            "readout spike_count does not fit the graph: its output is not the spikes of one layer "
            "of neurons. Use --readout mean, sum or last."
        )


def _advice_on_classes(dataset: Dataset) -> str:
    """What to do about another number of classes than the graph has outputs."""
    if dataset.name != "archive" or are_names(dataset.class_names):
        return "Choose the data set that the graph was made for with --data."
    return (
        f"The archive names no classes: they are numbered up to {int(dataset.test_y.max())}, the "
        f"largest label of its {dataset.evaluated_on} split. Correct the labels of that split, or "
        "give the data that the graph was made for with --data.path."
    )


def _device(name: str) -> str:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise RecipeError(f"unknown device '{name}': use auto, cpu, cuda or cuda:N.") from error
    if device.type not in ("cpu", "cuda") or (device.type == "cpu" and device.index):
        raise RecipeError(f"cannot run on device '{name}': use auto, cpu, cuda or cuda:N.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise RecipeError(f"device '{name}' is not there: torch finds no GPU. Use --device cpu.")
    return name
