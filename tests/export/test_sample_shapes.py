"""A wrong shape of a sample is told in one line, without torch's own trace."""

import numpy as np
import pytest
import torch
from torch import nn

from mpo_snn.errors import ExportError
from mpo_snn.export.nir_export import export_nir
from mpo_snn.graph.simulate import Simulator

from .networks import ConvNet, lif


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 5), lif(), nn.Linear(5, 3))


def test_a_shape_that_does_not_fit_is_one_line(capfd) -> None:
    with pytest.raises(ExportError) as told:
        export_nir(network(), (1, 7, 7))
    assert str(told.value) == (
        "cannot export: the network does not run on one sample of shape (1, 7, 7): mat1 and mat2"
        " shapes cannot be multiplied (1x49 and 64x5) (at '1')"
    )
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("shape", [(3, 6, 6), (2, 2, 2), (2,), ()])
def test_shapes_that_a_convolution_refuses(shape, capfd) -> None:
    with pytest.raises(ExportError, match=r"does not run on one sample of shape") as told:
        export_nir(ConvNet().eval(), shape)
    assert "\n" not in str(told.value) and len(str(told.value)) < 250
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("shape", [64, np.int64(64), [64], np.array([64]), torch.Size([64])])
def test_a_number_is_one_axis(shape) -> None:
    graph = export_nir(network(), shape).graph
    expected = export_nir(network(), (64,)).graph
    assert set(graph.nodes) == set(expected.nodes)
    assert Simulator(graph, 1e-4).input_shape == (64,)


@pytest.mark.parametrize("shape", ["64", 64.0, (1, -1), (0, 8), (1, 2.0), None, True, (None, 64)])
def test_what_is_no_shape_is_refused(shape) -> None:
    with pytest.raises(ExportError, match=r"input_shape is .*, expected the shape of one sample"):
        export_nir(network(), shape)
