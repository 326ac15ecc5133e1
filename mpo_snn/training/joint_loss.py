"""The loss of a batch: the task's, MPO's, and what a rival adds."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from mpo_snn.mpo import MPO
from mpo_snn.processes import weighted_mean
from mpo_snn.readout import read_out
from mpo_snn.rivals.rival import Rival
from mpo_snn.training.loss import tet_loss
from mpo_snn.training.recipe import Recipe
from mpo_snn.unroll import Unrolled


@dataclass(frozen=True)
class Learnt:
    """What is to be known of a batch beside its gradients; nothing here carries a graph.

    Attributes:
        loss: that is trained on, 0-d, as its parts.
        task: the part of it that is the task's.
        added: what is added to that, by name, without its weight (a rival's with it).
        scores: (batch, classes).
    """

    loss: Tensor
    task: Tensor
    added: dict[str, Tensor]
    scores: Tensor


class JointLoss:
    """The joint objective of a recipe (`mpo_snn.mpo`).

    Args:
        recipe: says which loss of the task.
        unrolled: the network.
        mpo: adds L_Dist and L_width, with their weights.
        rival: what it may add.
    """

    def __init__(self, recipe: Recipe, unrolled: Unrolled, mpo: MPO, rival: Rival) -> None:
        """Keep all of them."""
        self.recipe, self.unrolled, self.mpo, self.rival = recipe, unrolled, mpo, rival

    def __call__(self, current: Tensor, y: Tensor) -> tuple[Tensor, Learnt]:
        """The loss of a batch, 0-d, with its graph, and what is to be known of it.

        Args:
            current: input of all timesteps, (time, batch, *features).
            y: classes, (batch,).
        """
        scores, task = self.of_task(self.unrolled(current, self.rival.observe), y)
        weights = self.mpo.settings
        dist, width = self.mpo.losses(dist_pulls=weights.lambda_dist > 0.0)
        loss: Tensor = task + weights.lambda_dist * dist + weights.lambda_width * width
        added = {"L_Dist": dist.detach(), "L_width": width.detach()}
        of_rival = self.rival.loss()
        if of_rival is not None:
            loss = loss + of_rival
            added["rival"] = of_rival.detach()
        return loss, Learnt(loss.detach(), task.detach(), added, scores.detach())

    def of_task(self, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of the outputs of a batch, and the task's loss of those of all processes."""
        recipe = self.recipe
        scores = read_out(logits, recipe.readout)
        if recipe.loss == "tet":
            constant = recipe.neuron.threshold
            task = tet_loss(logits, y, recipe.tet_lambda, constant, recipe.label_smoothing)
        else:
            task = functional.cross_entropy(scores, y, label_smoothing=recipe.label_smoothing)
        return scores, weighted_mean(task, len(y))
