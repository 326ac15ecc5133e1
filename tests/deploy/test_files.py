"""What a deployment directory holds: files that say the same, and a folder that is whole."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files as files_in

import nir
import pytest
import torch
from safetensors.torch import load, load_file

from mpo_snn.deploy.deployment import deploy, events_of
from mpo_snn.deploy.directory import MANIFEST, check_folder, write_directory
from mpo_snn.deploy.files import (
    CHIP_KEY,
    NETWORK,
    PAGE,
    REAL,
    REPORT,
    TARGET,
    TENSORS,
    deployment_files,
    manifest_of,
)
from mpo_snn.deploy.page import render_deployment
from mpo_snn.deploy.read_layers import read_layers
from mpo_snn.deploy.real_run import run_real
from mpo_snn.deploy.record import report_of
from mpo_snn.errors import OutputError
from mpo_snn.graph.metadata import behaviour_of, read_metadata
from mpo_snn.graph.read import read_graph
from mpo_snn.graph.simulate import Simulator
from mpo_snn.inference import Inference
from mpo_snn.page.look_up import look_up
from mpo_snn.profiles.chip import load_chip_profile

from .chips import CHIPS, T, deployed, network, samples

SAID = {"schema_version": 1, "target": "x"}
"""What every manifest says."""
INFERENCE = Inference("digits", T, 1e-4, "counts", "spike_count")


@cache
def files_of(chip: str, source: str = "runs/a"):
    graph, deployment = deployed(chip)
    report = report_of(deployment, source, "mpo-deploy runs/a --target x", 1e-4)
    return graph, deployment, report, deployment_files(deployment, report, INFERENCE, None)


@pytest.mark.parametrize("chip", CHIPS)
def test_both_graphs_are_files_that_run_as_their_layers_do(chip: str, tmp_path) -> None:
    graph, deployment, _, files = files_of(chip)
    forms = {REAL: deployment.real, NETWORK: deployment.rounded}
    events = events_of(graph, samples().x)
    for name, answers in forms.items():
        (tmp_path / name).write_bytes(files[name])
        written = read_graph(tmp_path / name)
        assert read_metadata(written).timesteps == T
        output = Simulator(written, 1e-4, torch.float64).run(events.double()).output
        assert output.sum(0).argmax(1).tolist() == answers.predicted
        read = read_layers(written, 1e-4, T, "counts", behaviour=behaviour_of(written)).graph
        assert torch.equal(run_real(read, events).output, output)
    facts = json.loads(nir.read(tmp_path / NETWORK).metadata[CHIP_KEY])
    assert facts["target"] == chip
    assert list(facts["layers"]) == ["a", "b"]


@pytest.mark.parametrize("chip", CHIPS)
def test_integers_are_whole_and_as_narrow_as_they_can_be(chip: str) -> None:
    _, deployment, _, files = files_of(chip)
    tensors = load(files[TENSORS])
    assert tensors.keys() == deployment.integers.tensors().keys()
    assert all(not value.is_floating_point() for value in tensors.values())
    weights = [value for name, value in tensors.items() if "weight" in name and value.dim() > 1]
    assert weights
    assert all(value.dtype in (torch.int8, torch.int16) for value in weights)


@pytest.mark.parametrize("chip", CHIPS)
def test_the_page_shows_what_the_report_says_and_asks_for_nothing_outside(chip: str) -> None:
    _, _, report, files = files_of(chip, source="<script>alert(1)</script>")
    page = files[PAGE]
    assert json.loads(files[REPORT]) == json.loads(json.dumps(report))
    shown = re.findall(r'<data data-of="([^"]+)" value="([^"]*)">', page)
    assert len(shown) > 15
    for path, value in shown:
        assert float(value) == float(look_up(report, path)), path
    assert not re.findall(r'(?:src|href)="(?!#)[^"]*"|@import|url\((?!#)', page)
    assert "<script" not in page
    assert render_deployment(json.loads(files[REPORT])) == page
    for one in report["resources"]:
        amount = f"{one['used']:,.0f} of {one['available']:,.0f} {one['unit']}"
        assert f">{one['resource']}</text>" in page and f">{amount}</text>" in page
    assert ("nothing was checked for size" in page) == (not report["resources"])
    for part in ("neuron", "format"):
        for name, value in report["target"][part].items():
            shown = re.search(rf"<dt>{part}\.{name}</dt><dd>(?:<data [^>]*>)?([^<]+)<", page)
            assert shown and shown[1].replace(",", "") == str(value).lower().replace(">", "&gt;")


def test_the_directory_says_what_arithmetic_its_integers_are_for(tmp_path) -> None:
    """After an edit of the profile, which the directory keeps as it was."""
    shipped = (files_in("mpo_snn.profiles") / "chips" / "fpga.toml").read_bytes()
    told = []
    for overflow in (b"saturate", b"wrap"):
        path = tmp_path / "mine.toml"
        path.write_bytes(shipped.replace(b'value = "saturate"', b'value = "%b"' % overflow))
        graph, profile = network("fixed_point"), load_chip_profile(path)
        deployment = deploy(graph, profile, samples(8), samples(20).x)
        report = report_of(deployment, str(path), "mpo-deploy", 1e-4)
        files = deployment_files(deployment, report, INFERENCE, None)
        assert files[TARGET] == path.read_bytes()
        manifest = manifest_of(report, path)
        assert json.loads(files[REPORT])["target"]["format"] == manifest["format"]
        assert manifest["format"]["overflow"] == overflow.decode()
        told.append(manifest)
    neuron = {"leak": "shift", "leak_order": "instead_of_spike", "compare": ">", "reset": "zero"}
    assert neuron.items() <= told[0]["neuron"].items() and told[0]["neuron"]["most_spikes"] == 1
    assert told[0]["neuron"]["bias"] is True  # the default is said
    bits = {"weight_bits": 8, "state_bits": 16, "leak_bits": 4, "rounding": "floor"}
    assert bits.items() <= told[0]["format"].items()


@pytest.mark.parametrize("chip", CHIPS)
def test_the_profile_of_the_directory_is_a_profile(chip: str, tmp_path) -> None:
    *_, files = files_of(chip)
    write_directory(tmp_path / "d", files, SAID)
    assert load_chip_profile(tmp_path / "d" / TARGET).tables == load_chip_profile(chip).tables


def test_a_folder_with_other_content_is_left_alone(tmp_path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match="a folder with other content"):
        write_directory(tmp_path, {TARGET: "1"}, SAID)
    with pytest.raises(OutputError, match="it is a file"):
        check_folder(tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_deployment_is_replaced_by_the_next_and_nothing_else_is(tmp_path) -> None:
    folder = tmp_path / "deploy"
    write_directory(folder, {TARGET: "1", REPORT: b"\x00"}, SAID)
    (folder / "notes.txt").write_text("mine")
    paths = write_directory(folder, {TARGET: "2"}, {**SAID, "target": "y"})
    assert [path.name for path in paths] == [TARGET, MANIFEST]
    assert sorted(path.name for path in folder.iterdir()) == [MANIFEST, "notes.txt", TARGET]
    manifest = json.loads((folder / MANIFEST).read_text())
    assert (manifest["target"], list(manifest["sha256"])) == ("y", [TARGET])
    assert (folder / TARGET).read_text() == "2"


def test_hashes_are_those_of_the_files(tmp_path) -> None:
    import hashlib

    *_, files = files_of("fpga")
    write_directory(tmp_path / "d", files, SAID)
    manifest = json.loads((tmp_path / "d" / MANIFEST).read_text())
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((tmp_path / "d" / name).read_bytes()).hexdigest() == digest
    assert load_file(tmp_path / "d" / TENSORS)
