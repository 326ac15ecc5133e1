"""Every sample of a data set says where in its split it lies, however it was chosen."""

from __future__ import annotations

import pytest
import torch

from mpo_snn.data import load_dataset
from mpo_snn.data.for_graph import load_calibration
from mpo_snn.data.settings import DataSettings
from mpo_snn.inference import Inference

WHOLE = load_dataset("digits", 4)


def stacked(samples) -> torch.Tensor:
    return samples[: len(samples)]


@pytest.mark.parametrize("limit", [None, 30])
def test_an_index_leads_to_its_sample(limit) -> None:
    some = load_dataset(DataSettings("digits", train_limit=limit, test_limit=limit), 4)
    assert torch.equal(stacked(WHOLE.test_x)[some.test_index], stacked(some.test_x))
    assert torch.equal(WHOLE.test_y[some.test_index], some.test_y)
    assert torch.equal(stacked(WHOLE.train_x)[some.train_index], stacked(some.train_x))


def test_a_part_that_is_held_out_counts_in_the_training_split() -> None:
    some = load_dataset(DataSettings("digits", validation=0.2, test_limit=30), 4)
    assert torch.equal(stacked(WHOLE.train_x)[some.test_index], stacked(some.test_x))
    assert torch.equal(stacked(WHOLE.train_x)[some.train_index], stacked(some.train_x))
    assert not set(some.test_index.tolist()) & set(some.train_index.tolist())


def test_calibration_names_its_samples() -> None:
    inference = Inference("digits", 4, 1e-4, "counts", "spike_count")
    calibration = load_calibration(inference, None, 25)
    assert len(calibration.x) == 25
    assert torch.equal(stacked(WHOLE.train_x)[calibration.index], calibration.x)
