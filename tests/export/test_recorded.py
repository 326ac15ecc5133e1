"""What others recorded, against a file: the recordings are those of a loop written here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

from mpo_snn.cli.proof_table import print_proof
from mpo_snn.cli.verify import main
from mpo_snn.export.recorded import prove_recorded

DT, STEPS, SAMPLES = 1e-4, 25, 6
SHAPES = {"0": 9, "1": 4}
BETA = {"0": 0.9, "1": 0.8}


def weights(rng: np.random.Generator) -> dict[str, np.ndarray[Any, Any]]:
    sizes = [5, *SHAPES.values()]
    return {
        name: rng.normal(0.1, 0.5, (out, into)).astype(np.float32)
        for name, into, out in zip(SHAPES, sizes, sizes[1:], strict=False)
    }


def graph(w: dict[str, np.ndarray[Any, Any]]) -> nir.NIRGraph:
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input({"input": np.array([5])})}
    for name, size in SHAPES.items():
        gain = 1.0 / (1.0 - BETA[name])
        nodes[f"w{name}"] = nir.Linear(w[name])
        nodes[name] = nir.LIF(
            tau=np.full(size, DT * gain),
            r=np.full(size, gain),
            v_leak=np.zeros(size),
            v_threshold=np.ones(size),
        )
    nodes["output"] = nir.Output({"output": np.array([4])})
    return nir.NIRGraph(nodes, list(zip(nodes, list(nodes)[1:], strict=False)))


def fired(
    w: dict[str, np.ndarray[Any, Any]], x: np.ndarray[Any, Any]
) -> dict[str, np.ndarray[Any, Any]]:
    """Spikes of both layers, in float32, neuron by neuron as the equation says."""
    found = {name: np.zeros((*x.shape[:2], size), np.float32) for name, size in SHAPES.items()}
    v = {name: np.zeros((x.shape[1], size), np.float32) for name, size in SHAPES.items()}
    for t, value in enumerate(x):
        for name in SHAPES:
            v[name] = np.float32(BETA[name]) * v[name] + value @ w[name].T
            value = (v[name] > 1.0).astype(np.float32)
            v[name] *= 1.0 - value
            found[name][t] = value
    return found


@pytest.fixture
def recording(tmp_path: Path) -> dict[str, Any]:
    """Arrays of a recording whose file is `model.nir` in the folder of the test."""
    rng = np.random.default_rng(3)
    w, x = weights(rng), rng.random((STEPS, SAMPLES, 5), dtype=np.float32)
    nir.write(tmp_path / "model.nir", graph(w))
    spikes = fired(w, x)
    assert 20 < spikes["1"].sum() < spikes["1"].size / 2
    return {"input": x, "output": spikes["1"], **spikes}


def verify(folder: Path, recording: dict[str, Any], *words: str) -> int:
    np.savez(folder / "recorded.npz", **recording)
    files = [str(folder / "model.nir"), str(folder / "recorded.npz")]
    return main([*files, "--dt", "1e-4", *words])


def test_what_a_loop_fired_is_what_the_file_says(
    recording: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(tmp_path, recording) == 0
    told = capsys.readouterr().out
    assert "equal: every spike is the same." in told
    assert f"{SAMPLES} samples, {STEPS} timesteps" in told
    assert "not recorded" not in told


def test_a_spike_that_was_not_fired_is_named(
    recording: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording["0"] = recording["0"].copy()
    recording["0"][7, 2, 4] = 1.0 - recording["0"][7, 2, 4]
    assert verify(tmp_path, recording) == 1
    told = capsys.readouterr().out
    assert "NOT equal: first divergence in layer '0' at timestep 7 (sample 2, neuron [4])" in told


def test_outputs_alone_are_compared_and_the_rest_is_said_to_run_freely(
    recording: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = {name: recording[name] for name in ("input", "output")}
    assert verify(tmp_path, alone) == 0
    assert "not recorded: '0'." in capsys.readouterr().out
    alone["output"] = np.roll(alone["output"], 1, axis=0)
    assert verify(tmp_path, alone) == 1


def test_a_program_that_rounds_at_threshold_differs_by_a_root(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A membrane of exactly 1 V does not fire here; there, a bit above, it does."""
    nodes = {
        "input": nir.Input({"input": np.array([1])}),
        "a": nir.IF(r=np.array([1 / DT]), v_threshold=np.array([1.0])),
        "output": nir.Output({"output": np.array([1])}),
    }
    file = nir.NIRGraph(nodes, [("input", "a"), ("a", "output")])
    x = np.full((1, 1, 1), 1.0, np.float32)
    for above, explained in ((0.0, True), (0.01, False)):
        np.savez(tmp_path / "r.npz", input=x - above, output=np.ones((1, 1, 1), bool))
        proof = prove_recorded(file, "file", tmp_path / "r.npz", DT)
        (layer,) = proof.equivalence.results[0].layers
        assert (layer.replay.roots, layer.replay.unexplained) == (1, int(not explained))
        assert proof.is_equal is explained
        print_proof(proof)
        row = capsys.readouterr().out.partition("  a ")[2].splitlines()[0].split()
        assert row[-3:] == ["-", str(int(explained)), str(int(not explained))]


def test_everything_that_does_not_fit_is_told_at_once(
    recording: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording |= {
        "output": recording["output"][:, :, :3],
        "0": recording["0"][:-1],
        "1": recording["1"] * 0.5,
        "mem": recording["0"],
    }
    assert verify(tmp_path, recording) == 2
    assert capsys.readouterr().err.splitlines()[1:] == [
        "  - there is no spiking layer 'mem', allowed are 0, 1, input, output.",
        "  - 'output' has shape (3,) at one timestep, the file says (4,).",
        "  - '0' has 24 timesteps of 6 samples, 'input' 25 of 6.",
        "  - '1' has values that are no numbers of spikes: record spikes, not membranes.",
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"input": np.full((STEPS, SAMPLES, 5), np.nan)}, "'input' has values that are NaN"),
        ({"input": np.zeros((STEPS, 5))}, "'input' has shape (25, 5), wanted is (time, samples,"),
        ({"output": np.array([["a"]])}, "'output' is <U1, allowed are numbers and bool."),
        ({"1": -np.ones((STEPS, SAMPLES, 4))}, "'1' has values that are no numbers of spikes"),
    ],
)
def test_a_recording_that_is_none(
    changes: dict[str, Any],
    told: str,
    recording: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert verify(tmp_path, recording | changes) == 2
    assert told in capsys.readouterr().err


def test_what_the_command_refuses(
    recording: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(tmp_path, recording, "--samples", "3") == 2
    assert "brings its own input: leave out --samples." in capsys.readouterr().err
    file, archive = str(tmp_path / "model.nir"), str(tmp_path / "recorded.npz")
    assert main([archive, file]) == 2
    assert "does not state its timestep; please give --dt" in capsys.readouterr().err
    assert main([archive, archive]) == 2
    assert "is compared with a NIR file" in capsys.readouterr().err
    assert main([file, str(tmp_path / "none.npz"), "--dt", "1e-4"]) == 2
    assert "there is no such file" in capsys.readouterr().err
    Path(archive).write_bytes(b"PK nothing")
    assert main([file, archive, "--dt", "1e-4"]) == 2
    assert "is damaged" in capsys.readouterr().err
