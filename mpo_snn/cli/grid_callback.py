"""Training with the values that a chip will have (`mpo_snn.deploy.grid_training`)."""

from __future__ import annotations

from typing import Any

from mpo_snn.deploy.grid_training import GridWeights
from mpo_snn.deploy.layers import ChipGraph
from mpo_snn.deploy.read_layers import read_layers
from mpo_snn.errors import DeployError
from mpo_snn.export.nir_export import DEFAULT_DT, export_nir
from mpo_snn.operators import declare_torchvision_operators
from mpo_snn.profiles.chip import ChipProfile
from mpo_snn.training.module import TrainingModule
from mpo_snn.training.recipe import Recipe

declare_torchvision_operators()

from lightning.pytorch import Callback, Trainer  # noqa: E402


class OnGrid(Callback):
    """Rounded weights in every forward and backward pass, real ones in every step.

    Args:
        recipe: of the run.
        profile: of the chip.
        input_shape: of one timestep, as the network takes it.
    """

    def __init__(self, recipe: Recipe, profile: ChipProfile, input_shape: tuple[int, ...]) -> None:
        """Wait for the network."""
        self.recipe, self.profile, self.input_shape = recipe, profile, input_shape
        self._weights: GridWeights | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: TrainingModule) -> None:  # type: ignore[override]
        """Read the layers anew: what is folded into the weights has changed."""
        network = pl_module.unrolled.network
        if self._weights is None:
            self._weights = GridWeights(network, self.profile, lambda: self._layers(pl_module))
        else:
            self._weights.refresh()

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        """Rounded weights for the pass."""
        self._found.swap_in()

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: Any) -> None:
        """Real weights for the step."""
        self._found.restore()

    def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
        """What is measured is the rounded network."""
        if self._weights is not None:
            self._weights.refresh()
            self._weights.swap_in()

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Training goes on with the real weights."""
        if self._weights is not None:
            self._weights.restore()

    @property
    def _found(self) -> GridWeights:
        assert self._weights is not None, "an epoch starts before its first step"
        return self._weights

    def _layers(self, module: TrainingModule) -> ChipGraph:
        """The layers of the network as it is now, as `mpo-deploy` reads them."""
        network = module.unrolled.network
        was_training = network.training
        network.eval()
        try:
            export = export_nir(network, self.input_shape, DEFAULT_DT, chip=True)
        finally:
            network.train(was_training)
        recipe = self.recipe
        read = read_layers(
            export.graph,
            DEFAULT_DT,
            recipe.timesteps,
            recipe.encoding,
            recipe.readout,
            export.behaviour,
        )
        if read.graph is None:
            raise DeployError(
                f"cannot train for {self.profile.name}", [str(one) for one in read.findings]
            )
        return read.graph
