"""Several nodes that enter the Output: nirtorch gives them back one by one, so they are joined."""

import nir
import nirtorch
import numpy as np
import pytest
import torch
from torch import nn

from mpo_snn.export.explain import explain_file
from mpo_snn.export.foldings.flow import Flow
from mpo_snn.export.foldings.one_output import join_output
from mpo_snn.export.for_reader import export_for_reader
from mpo_snn.export.nir_export import export_nir
from mpo_snn.export.nir_file import write_nir
from mpo_snn.export.readers import READERS
from mpo_snn.export.readers.nirtorch_map import full_map
from mpo_snn.graph.simulate import Simulator

from .networks import lif

DT = 1e-4


class TwoWays(nn.Module):
    """Logits of spikes and of the input, added up."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif, self.out, self.skip = (
            nn.Linear(4, 6),
            lif(),
            nn.Linear(6, 3),
            nn.Linear(4, 3),
        )

    def forward(self, x):
        return self.out(self.lif(self.fc(x))) + self.skip(x)


def in_nirtorch(path, x):
    network, state, outputs = nirtorch.nir_to_torch(str(path), full_map(DT)), None, []
    with torch.no_grad():
        for step in x:
            *given, state = network(step, state)
            outputs.append(given)
    return outputs


def test_what_nirtorch_gives_is_the_sum(tmp_path):
    torch.manual_seed(0)
    export, x = export_nir(TwoWays().eval(), (4,)), torch.rand(5, 3, 4) * 2
    write_nir(tmp_path / "plain.nir", export.graph)
    assert all(len(given) == 2 for given in in_nirtorch(tmp_path / "plain.nir", x))
    told = {e.reader.name: e for e in explain_file(tmp_path / "plain.nir").readers}["nirtorch"]
    assert told.verdict == "different" and "is not added up" in told.findings[0].what
    joined = export_for_reader(export, READERS["nirtorch"], DT)
    assert joined.folds[-1] == "what 'output' adds up into a Scale of ones in front of it"
    write_nir(tmp_path / "joined.nir", joined.graph)
    found = torch.stack([given[0] for given in in_nirtorch(tmp_path / "joined.nir", x)])
    expected = Simulator(export.graph, DT, dtype=torch.float64).run(x).output
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("taken", ("a", "output.sum"))
def test_an_output_of_one_node_stays_and_names_stay_free(taken):
    affine = nir.Affine(np.eye(2), np.zeros(2))
    ports = {"input": nir.Input({"input": np.array([2])}), taken: affine}
    end = {"output": nir.Output({"output": np.array([2])})}
    chain = nir.NIRGraph({**ports, **end}, [("input", taken), (taken, "output")])
    assert join_output(Flow.of(chain, DT)).nodes.keys() == chain.nodes.keys()
    two = nir.NIRGraph(
        {**ports, "b": affine, **end},
        [("input", taken), ("input", "b"), (taken, "output"), ("b", "output")],
    )
    joined = join_output(Flow.of(two, DT))
    assert len(joined.nodes) == 5 and len(joined.sources("output")) == 1
