"""What is counted: a trained network as a NIR file, and digits shown to it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import nir
from torch import nn

from mpo_snn.data import load_dataset
from mpo_snn.data.dataset import Dataset
from mpo_snn.evaluation.evaluate import Evaluation, evaluate_graph
from mpo_snn.evaluation.neurobench import EnteringValues
from mpo_snn.evaluation.setting import Setting
from mpo_snn.export.nir_export import DEFAULT_DT, export_nir

from .networks import TIMESTEPS, load

BATCH = 64
INPUT_SHAPE = (1, 8, 8)


@dataclass(frozen=True)
class CountedCase:
    """One network on one input.

    Attributes:
        name: what the tables call it.
        network: in this project's modules.
        dataset: its test split is shown.
    """

    name: str
    network: nn.Module
    dataset: Dataset

    def graph(self) -> nir.NIRGraph:
        """The network as the exporter writes it, grouped convolutions as they are."""
        return export_nir(self.network, INPUT_SHAPE, keep_convolutions=True).graph

    def evaluate(self) -> tuple[Evaluation, EnteringValues]:
        """Count by this project, and watch the values that NeuroBench looks at."""
        graph = self.graph()
        setting = Setting(
            dataset="digits",
            timesteps=TIMESTEPS,
            dt=DEFAULT_DT,
            encoding="direct",
            readout="mean",
            batch_size=BATCH,
        )
        entering = EnteringValues(graph)
        return evaluate_graph(graph, self.dataset, setting, watch=entering), entering


def counted_cases() -> list[CountedCase]:
    """Every case, from the plainest to that which shows the most rules."""
    digits = load_dataset("digits")
    binary = replace(digits, test_x=(digits.test_x > 0.5).to(digits.test_x.dtype))
    return [
        CountedCase("strided", load("strided"), digits),
        CountedCase("strided, pruned", load("strided", pruned=True), digits),
        CountedCase("strided, binary image", load("strided"), binary),
        CountedCase("pooled", load("pooled"), digits),
    ]
