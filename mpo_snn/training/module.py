"""One training step, as Lightning wants it: task loss, MPO's regularizer, MPO's step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mpo_snn.data.scaling import Scaling
from mpo_snn.encoding import encode
from mpo_snn.errors import RunError
from mpo_snn.mpo import MPO
from mpo_snn.operators import declare_torchvision_operators
from mpo_snn.readout import read_out
from mpo_snn.rivals import build_rival
from mpo_snn.settings import MPOSettings
from mpo_snn.training.batches import Batch
from mpo_snn.training.divergence import LOOK_EVERY, DivergedError, LossWatch
from mpo_snn.training.joint_loss import JointLoss, Learnt
from mpo_snn.training.layout import convolves_images, like_kernels
from mpo_snn.training.randomness import derived_seed
from mpo_snn.training.ranks import gathered, rank, told_by_first
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.running_statistics import RunningStatistics
from mpo_snn.training.sample_mean import SampleMean
from mpo_snn.training.schedule import build_optimizer, build_schedule
from mpo_snn.training.step_graph import Recorder, StepGraphs, record_on_gpu
from mpo_snn.unroll import Unrolled

declare_torchvision_operators()

from lightning.pytorch import LightningModule  # noqa: E402
from torchmetrics.classification import MulticlassAccuracy  # noqa: E402

LOSSES = ("train_loss", "task_loss", "dist_loss", "width_loss", "test_loss")


class TrainingModule(LightningModule):
    """A network with its recipe, ready for `lightning.pytorch.Trainer`.

    Logs, as means over an epoch: train_loss, its parts task_loss, dist_loss and width_loss (the
    last two unweighted), train_accuracy, test_loss, test_accuracy. The test split is looked at
    after every epoch for the curve alone: nothing is chosen by it, and the weights that a run
    keeps are those after its last epoch.

    Of several processes each has its part of the batch, and the loss is that of the whole batch in
    every one (`mpo_snn.processes`).

    Args:
        recipe: what to compute.
        network: one timestep.
        classes: number of outputs of the network.
        steps_per_epoch: for the schedule of the learning rate.
        scaling: what is done to samples as they arrive, on their device; None for nothing.
    """

    def __init__(
        self,
        recipe: Recipe,
        network: nn.Module,
        classes: int,
        steps_per_epoch: int,
        scaling: Scaling | None = None,
    ) -> None:
        """Unroll the network and attach the method; MPO watches where it is not the method."""
        super().__init__()
        self.recipe, self.steps_per_epoch, self.scaling = recipe, steps_per_epoch, scaling
        self._convolves = convolves_images(network)
        self._is_unit = scaling is not None and scaling.maps_bytes_to_unit
        self._watch = LossWatch()
        self._watched: dict[str, Any] = {}
        self._graphs: StepGraphs[Learnt] | None = None
        self._is_replayed = False
        events = recipe.events == "auto"
        self.unrolled = Unrolled(network, recipe.timesteps, recipe.batchnorm, events)
        self.mpo = MPO(
            network, recipe.mpo if recipe.method == "mpo" else _only_watching(recipe.mpo)
        )
        self.running_statistics = RunningStatistics(network)
        self.rival = build_rival(recipe.method, self.unrolled, recipe.rival)
        self.joint_loss = JointLoss(recipe, self.unrolled, self.mpo, self.rival)
        self.train_accuracy = MulticlassAccuracy(classes, average="micro")
        self.test_accuracy = MulticlassAccuracy(classes, average="micro")
        self.losses = nn.ModuleDict({name: SampleMean() for name in LOSSES})

    def forward(self, x: Tensor) -> Tensor:
        """Scores (batch, classes) of samples (batch, *features)."""
        return read_out(self.unrolled(self._encoded(x)), self.recipe.readout)

    def shown(self, x: Tensor) -> Tensor:
        """Samples as the network is shown them, from samples as they are stored."""
        x = x if self.scaling is None else self.scaling.apply(x)
        return like_kernels(x) if self._convolves else x

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Scale the samples where they are now."""
        return self.shown(batch[0]), batch[1]

    def on_train_epoch_start(self) -> None:
        """Train with the timesteps of this epoch."""
        self.unrolled.timesteps = self.recipe.timesteps_in(self.current_epoch)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Make what is drawn in this step depend on the step alone, not on what ran before."""
        if batch_idx == 0:
            seed = derived_seed(self.recipe.seed, "rival", self.current_epoch)
            self.rival.before_epoch(lambda unrolled: self._task_loss(unrolled, batch), seed)
        draws = derived_seed(self.recipe.seed, "step", self.global_step, rank().number)
        torch.manual_seed(draws)
        self.running_statistics.before_step(self._updates())
        self.mpo.progress = self.global_step / (self.recipe.epochs * self.steps_per_epoch)

    def record_steps(self, recorder: Recorder = record_on_gpu) -> None:
        """From now on, launch forward and backward pass as one (`mpo_snn.training.step_graph`).

        In a single process; on a GPU, on another stream than the default one.
        """
        self._graphs = StepGraphs(self.joint_loss, self.unrolled, recorder)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The joint loss (`mpo_snn.mpo`), or that of a rival; nothing here waits for the device."""
        x, y = batch
        current = self._encoded(x)
        replayed = None
        if self._graphs is not None:
            # By steps, of which there are no more than updates.
            is_steady = self.running_statistics.is_steady(self.global_step)
            replayed = self._graphs(current, y, is_steady)
        self._is_replayed = replayed is not None
        loss, learnt = (replayed.loss, replayed) if replayed else self.joint_loss(current, y)
        self._watched = {"loss": learnt.loss, "task": learnt.task, "added": learnt.added, "x": x}
        losses = {
            "train_loss": learnt.loss,
            "task_loss": learnt.task,
            "dist_loss": learnt.added["L_Dist"],
            "width_loss": learnt.added["L_width"],
        }
        self._note(losses, len(y))
        self.train_accuracy.update(learnt.scores, y)
        if batch_idx == 0:
            self._announce("train_accuracy", *losses)
        return loss

    def optimizer_zero_grad(self, *args: Any) -> None:
        """Forget the gradients of the step before; those of a replayed step are there already."""
        if not self._is_replayed:
            super().optimizer_zero_grad(*args)

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """The backward pass, unless it was replayed with the forward pass."""
        if not self._is_replayed:
            super().backward(loss, *args, **kwargs)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """The optimiser's step, then that of the method."""
        step = self.global_step
        super().optimizer_step(*args, **kwargs)
        self.mpo.step()
        means = dict(zip(self.mpo.layers, self.mpo.totals.of_layers("mu"), strict=True))
        self._watch.note(step, membranes=means, **self._watched)
        self._watched = {}
        self.rival.after_step()

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Look whether the losses so far are finite, now and then and at the end of an epoch.

        Raises:
            DivergedError: if one is not.
        """
        if (batch_idx + 1) % LOOK_EVERY == 0 or batch_idx + 1 >= self.steps_per_epoch:
            self._look()

    def on_validation_start(self) -> None:
        """Measure one network, not one of every process, in memory that no recording holds."""
        self.unrolled.timesteps = self.recipe.timesteps
        self.running_statistics.share()
        if self._graphs is not None:
            self._graphs.forget()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss and accuracy on the test split."""
        x, y = batch
        scores = self(x)
        loss = functional.cross_entropy(scores, y)
        self._note({"test_loss": loss}, len(y))
        self.test_accuracy.update(scores, y)
        if batch_idx == 0:
            self._announce("test_accuracy", "test_loss")

    def configure_optimizers(self) -> Any:
        """Optimiser and schedule of the recipe; the schedule moves at every step."""
        settings = self.recipe.optimizer
        optimizer = build_optimizer(self.unrolled, settings)
        schedule = build_schedule(optimizer, settings, self.recipe.epochs, self.steps_per_epoch)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what MPO keeps beside the network, and the recipe, as plain values."""
        checkpoint["mpo"] = self.mpo.state_dict()
        checkpoint["recipe"] = self.recipe.values()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up MPO's state.

        Raises:
            RunError: if the checkpoint was written by another recipe.
        """
        written, now = dict(checkpoint.get("recipe", {})), self.recipe.values()
        for values in (written, now):
            values.pop("cuda_graphs", None)  # which changes nothing of what is computed
        if written != now:
            raise RunError(
                "cannot resume: the checkpoint was written by another recipe than recipe.yaml"
                " states now. Put recipe.yaml back as it was, or start a new run."
            )
        self.mpo.load_state_dict(checkpoint["mpo"])

    def _note(self, losses: Mapping[str, Tensor], samples: int) -> None:
        """Add losses of some samples to their means over the epoch."""
        for name, value in losses.items():
            mean: Any = self.losses[name]
            mean.update(value, samples)

    def _announce(self, *names: str) -> None:
        """Have Lightning read these means when the epoch is over; once an epoch will do."""
        accuracies = {"train_accuracy": self.train_accuracy, "test_accuracy": self.test_accuracy}
        for name in names:
            value: Any = accuracies[name] if name in accuracies else self.losses[name]
            self.log(name, value, on_step=False, on_epoch=True)

    def _encoded(self, x: Tensor) -> Tensor:
        """Input of all timesteps; in training, spikes of the encoding are drawn afresh."""
        steps, kind = self.unrolled.timesteps, self.recipe.encoding
        fresh, trusted = self.unrolled.training, self._is_unit
        return encode(x, steps, kind, fresh=fresh, trusted=trusted)

    def _updates(self) -> int:
        """How often each batchnorm has updated its running statistics before this step."""
        if self.recipe.batchnorm == "folded":
            return self.global_step
        epoch, steps = self.current_epoch, self.steps_per_epoch
        earlier = sum(self.recipe.timesteps_in(e) for e in range(epoch)) * steps
        return earlier + self.unrolled.timesteps * (self.global_step - epoch * steps)

    def _task_loss(self, unrolled: Unrolled, batch: Batch) -> Tensor:
        """The task loss of a batch, of a network that may be a copy of ours."""
        x, y = batch
        return self.joint_loss.of_task(unrolled(self._encoded(x)), y)[1]

    def _look(self) -> None:
        broken = self._watch.look()
        if broken is None:
            return
        found = next((one for one in gathered(broken) if one and one.has_broken_input), broken)
        epoch = broken.step // self.steps_per_epoch
        message = (
            f"training stopped in epoch {epoch + 1}, step {broken.step + 1}: the loss is"
            f" {broken.loss:g}; {found.blame}"
        )
        raise told_by_first(DivergedError(message))


def _only_watching(settings: MPOSettings) -> MPOSettings:
    """Settings with which MPO takes statistics and changes nothing."""
    return replace(
        settings,
        adapt_width=False,
        width_update="ema",
        height="off",
        height_norm="none",
        neuron_gain=False,
        lambda_dist=0.0,
        lambda_width=0.0,
    )
