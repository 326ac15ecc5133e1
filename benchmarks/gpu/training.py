"""A network in training on images that stay on the device; `benchmarks.gpu.cifar10` runs it."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.gpu.images import (
    CIFAR10,
    PADDING,
    SCALING,
    Images,
    augmented_batches,
    batches,
)
from mpo_snn.data.settings import DataSettings
from mpo_snn.encoding import encode
from mpo_snn.errors import MpoError
from mpo_snn.files import replace_file, write_file
from mpo_snn.mpo import MPO
from mpo_snn.networks import build_network
from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.settings import MPOSettings, NeuronSettings
from mpo_snn.training.environment import command_line, describe_environment
from mpo_snn.training.recipe import OptimizerSettings, Recipe
from mpo_snn.training.rundir import METRICS, WEIGHTS, create_run, open_run, write_environment
from mpo_snn.training.schedule import build_optimizer, build_schedule
from mpo_snn.training.step_graph import StepGraphs
from mpo_snn.training.weights import InputDescription, write_weights
from mpo_snn.unroll import Unrolled

TEST_BATCH = 500


def recipe_of(options: argparse.Namespace) -> Recipe:
    """What is trained, as near as a recipe can say it."""
    mpo = MPOSettings()
    if options.width_scale is not None:
        mpo = MPOSettings(
            width_follows="spread",
            width_scale=options.width_scale,
            width_scale_end=None,
            lambda_dist=0.01,
            height="stabilised",
            neuron_gain=True,
        )
    elif options.scale is not None:
        mpo = MPOSettings(width_scale=options.scale[0], width_scale_end=options.scale[1])
    return Recipe(
        name=options.name,
        seed=options.seed,
        epochs=options.epochs,
        timesteps=options.timesteps,
        early_timesteps=options.early_timesteps,
        early_epochs=options.early_epochs,
        label_smoothing=options.smoothing,
        method=options.method,
        data=DataSettings(
            name="cifar10",
            path=str(options.data),
            normalize=True,
            crop=PADDING,
            flip=True,
            cutout=options.cutout,
            autoaugment="cifar10" if options.autoaugment else "none",
        ),
        network=NetworkSettings(
            name=options.network, channels=tuple(options.channels), dropout=options.dropout
        ),
        neuron=NeuronSettings(width=options.width, backend=options.backend),
        mpo=mpo,
        optimizer=OptimizerSettings(
            name=options.optimizer,
            lr=options.lr,
            weight_decay=options.weight_decay,
            warmup_epochs=min(options.warmup, options.epochs - 1),
            batch_size=options.batch,
        ),
    )


class Training:
    """Network, optimiser and method of one case, and how far they have come.

    Args:
        options: of the command line.
        case: what is trained; a checkpoint of another case is refused.
        steps_per_epoch: for the schedule of the learning rate.
    """

    def __init__(
        self, options: argparse.Namespace, case: dict[str, Any], steps_per_epoch: int
    ) -> None:
        """Build everything from the seed."""
        torch.manual_seed(options.seed)
        self.options, self.case = options, case
        self.steps_per_epoch = steps_per_epoch
        self.history: list[dict[str, float]] = []
        self.layers: dict[str, dict[str, float]] = {}
        tf32 = options.precision != "fp32"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = True
        self.recipe = recipe = recipe_of(options)
        network = build_network(recipe.network, recipe.neuron, CIFAR10.shape, len(CIFAR10.classes))
        if options.start is not None:
            network.load_state_dict(
                open_run(Path(options.start)).load_network().network.state_dict()
            )
        network.to(options.device, memory_format=torch.channels_last)
        self.network = network
        self.unrolled = Unrolled(network, recipe.timesteps)
        self.graphs = StepGraphs(self._loss, network)
        self.mpo = MPO(network, recipe.mpo) if options.method == "mpo" else None
        self.optimizer = build_optimizer(network, recipe.optimizer)
        self.schedule = build_schedule(
            self.optimizer, recipe.optimizer, options.epochs, steps_per_epoch
        )

    def scores(self, x: Tensor, observe: Any = None) -> Tensor:
        """Mean logits over time, float32, (batch, classes)."""
        autocast = torch.autocast(self.options.device, torch.bfloat16)
        with autocast if self.options.precision == "bf16" else contextlib.nullcontext():
            logits = self.unrolled(encode(x, self.unrolled.timesteps), observe)
        mean: Tensor = logits.float().mean(0)
        return mean

    def run_epoch(self, images: Images) -> bool:
        """One pass; what is drawn in it depends on seed and epoch alone. False if it diverged."""
        options, start = self.options, time.monotonic()
        generator = torch.Generator().manual_seed(options.seed * 100_003 + self.epoch)
        torch.manual_seed(options.seed * 100_003 + self.epoch)
        self.network.train()
        self.unrolled.timesteps = self.recipe.timesteps_in(self.epoch)
        self.loss_sum = torch.zeros((), device=options.device)
        self.correct = torch.zeros((), device=options.device)
        count = 0
        strong = self.epoch < options.epochs - options.refine
        cutout, autoaugment = (options.cutout, options.autoaugment) if strong else (0, False)
        for x, label in augmented_batches(images, options.batch, generator, cutout, autoaugment):
            self._learn(x, label)
            self.optimizer.step()
            self.schedule.step()
            if self.mpo is not None:
                done = self.epoch * self.steps_per_epoch + count // options.batch
                self.mpo.step(progress=done / (options.epochs * self.steps_per_epoch))
            count += len(label)
        self.graphs.forget()
        loss = float(self.loss_sum) / count  # waits for the device
        self.history.append(
            {
                "train_seconds": time.monotonic() - start,
                "timesteps": self.unrolled.timesteps,
                "train_loss": loss,
                "train_accuracy": float(self.correct) / count,
            }
        )
        self.layers = {} if self.mpo is None else self.mpo.statistics()
        return loss == loss and abs(loss) != float("inf")

    def _learn(self, x: Tensor, label: Tensor) -> None:
        """Loss and gradients of a batch; nothing in it waits for the device."""
        found = self.graphs(x, label) if self.options.graph else None
        if found is None:
            self.optimizer.zero_grad(set_to_none=True)
            loss, found = self._loss(x, label)
            loss.backward()
        task, scores = found
        self.loss_sum += task * len(label)
        self.correct += (scores.argmax(1) == label).sum()

    def _loss(self, x: Tensor, label: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The joint loss, and that of the task with the scores, both without a graph."""
        scores = self.scores(x)
        task = functional.cross_entropy(scores, label, label_smoothing=self.recipe.label_smoothing)
        loss = task if self.mpo is None else task + self.mpo.regularizer()
        return loss, (task.detach(), scores.detach())

    @property
    def epoch(self) -> int:
        """How many are done."""
        return len(self.history)

    @torch.no_grad()
    def test(self, images: Images, observe: Any = None) -> float:
        """Accuracy on a split; put beside the epoch that has just run."""
        self.network.eval()
        self.unrolled.timesteps = self.recipe.timesteps
        correct = sum(
            (self.scores(x, observe).argmax(1) == y).sum() for x, y in batches(images, TEST_BATCH)
        )
        accuracy = float(correct) / len(images.labels)
        self.history[-1]["test_accuracy"] = accuracy
        return accuracy

    def save(self, folder: Path) -> None:
        """Leave a checkpoint, the old one or the new one whole."""
        state = {
            "case": self.case,
            "history": self.history,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "mpo": None if self.mpo is None else self.mpo.state_dict(),
        }
        with replace_file(self._checkpoint(folder)) as scratch:
            torch.save(state, scratch)

    def resume(self, folder: Path) -> None:
        """Go on from a checkpoint, if there is one; `--again` leaves a finished one alone.

        Raises:
            MpoError: if it belongs to another case.
        """
        path = self._checkpoint(folder)
        if not path.exists():
            return
        state = torch.load(path, map_location=self.options.device, weights_only=True)
        if state["case"] != self.case:
            raise MpoError(f"'{path}' is of another case: {state['case']}. Move it away.")
        if self.options.again and len(state["history"]) == self.options.epochs:
            return
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.mpo is not None:
            self.mpo.load_state_dict(state["mpo"])
        self.history = state["history"]

    def summary(self, images: Images) -> dict[str, Any]:
        """Accuracies in percent, training seconds without testing, and spike density in testing."""
        spikes, neurons = torch.zeros((), device=self.options.device), 0

        def count(name: str, spk: Tensor, v: Tensor) -> None:
            nonlocal neurons
            spikes.add_(spk.sum())
            neurons += spk.numel()

        accuracy = self.test(images, count)
        return {
            "test_accuracy_percent": 100.0 * accuracy,
            "train_accuracy_percent": 100.0 * self.history[-1]["train_accuracy"],
            "train_seconds": sum(epoch["train_seconds"] for epoch in self.history),
            "spike_density": float(spikes) / neurons,
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "graph": self.options.graph,
            "epochs": self.history,
        }

    def write_run(self, folder: Path) -> None:
        """The run directory of the network, its recipe as near as a recipe can say it."""
        shutil.rmtree(folder, ignore_errors=True)
        run = create_run(self.recipe, folder)
        names = ("epoch", *self.history[-1])
        rows = [{"epoch": n, **row} for n, row in enumerate(self.history, 1)]
        lines = [",".join(names), *(",".join(str(row.get(n, "")) for n in names) for row in rows)]
        write_file(run.path / METRICS, "\n".join(lines) + "\n")
        environment = describe_environment(self.recipe, self.options.device)
        environment |= {"command": command_line(), "case": self.case}
        write_environment(run.path, environment)
        about = InputDescription(CIFAR10.shape, CIFAR10.classes, SCALING.words)
        write_weights(run.path / WEIGHTS, self.network.state_dict(), about)

    def _checkpoint(self, folder: Path) -> Path:
        return folder / f"{self.options.name}.pt"
