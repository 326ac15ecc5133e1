"""Files of one network in other units of its membranes, compared with the run and in any order."""

from __future__ import annotations

import h5py
import pytest

from mpo_snn.cli import export, train, verify

SMALL = "digits --epochs 1 --data.train_limit 95 --quiet --device cpu --network.name mlp"
FEW = ["--samples", "20"]
NETWORKS = {
    "zero": "--network.hidden [8] --neuron.beta 0.6",
    "subtract": "--network.hidden [8] --neuron.beta 0.6 --neuron.reset subtract"
    " --neuron.reset_timing step",
    "counting": "--network.hidden [8] --neuron.beta 1 --neuron.input_gain unit --reader rockpool",
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("units")
    for name, words in NETWORKS.items():
        path = str(folder / name)
        assert train.main([*f"{SMALL} {words}".split(), "--output", path]) == 0
    return folder


def written(source, reader, output):
    words = ["--reader", reader, *FEW, "--output", str(output)]
    assert export.main([str(source), *words]) == 0
    return output


@pytest.mark.parametrize(
    ("network", "first", "second"),
    [
        ("zero", "snntorch", "nir"),
        ("zero", "portable", "nirtorch"),
        ("zero", "portable", "spikingjelly"),
        ("zero", "sinabs", "nir"),
        ("zero", "nir", "spikingjelly"),
        ("zero", "nir", "sinabs"),
        ("subtract", "snntorch", "nir"),
        ("subtract", "rockpool", "nirtorch"),
    ],
)
def test_a_file_made_from_another_of_a_runs_files_is_equal(
    network, first, second, runs, tmp_path, capsys
) -> None:
    run = runs / network
    one = written(run, first, tmp_path / "one.nir")
    other = written(one, second, tmp_path / "other.nir")
    for a, b in ((run, other), (one, other), (other, one)):
        assert verify.main([str(a), str(b), *FEW]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("field", ("v_threshold", "r", "tau"))
def test_damage_of_a_file_in_other_units_is_found(field, runs, tmp_path, capsys) -> None:
    one = written(runs / "zero", "spikingjelly", tmp_path / "one.nir")
    other = written(one, "nir", tmp_path / "other.nir")
    with h5py.File(other, "r+") as file:
        values = file["node/nodes/hidden.2"][field]
        values[3] = values[3] * (1.0 + 1e-6)
    capsys.readouterr()
    assert verify.main([str(runs / "zero"), str(other), *FEW]) == 1
    told = capsys.readouterr().out
    assert "NOT equal" in told and f"{field} of node 'hidden.2' differs" in told


def test_a_flat_input_is_compared_with_one_that_is_not_in_both_orders(runs, tmp_path) -> None:
    run, flat = runs / "counting", tmp_path / "flat.nir"
    plain, model = tmp_path / "plain.nir", tmp_path / "model.onnx"
    written(run, "rockpool", flat)
    written(run, "nir", plain)
    assert export.main([str(run), "--format", "onnx", *FEW, "--output", str(model)]) == 0
    for a, b in ((plain, flat), (flat, plain), (flat, model), (plain, model)):
        assert verify.main([str(a), str(b), *FEW]) == 0, (a, b)


@pytest.mark.parametrize("reader", ("nir", "spikingjelly"))
def test_a_file_of_a_network_of_another_size_is_refused_in_a_line(
    reader, runs, tmp_path, capsys
) -> None:
    wide = tmp_path / "wide"
    words = f"{SMALL} --network.hidden [12] --neuron.beta 0.6".split()
    assert train.main([*words, "--output", str(wide)]) == 0
    file = written(wide, reader, tmp_path / "wide.nir")
    assert verify.main([str(runs / "zero"), str(file), *FEW]) == 2
    error = capsys.readouterr().err
    assert "layer 'hidden.2' has shape (8,) in the first, (12,) in the second." in error
