"""`--reader` and `--explain`: one file per reader with its proof, or the reasons why not."""

from __future__ import annotations

import ast
import builtins
import re

import pytest

from mpo_snn.cli import export, train, verify
from mpo_snn.cli.recipe_options import given_keys
from mpo_snn.export.readers import READERS
from mpo_snn.graph.metadata import read_metadata
from mpo_snn.graph.read import read_graph
from mpo_snn.training.recipe_file import load_recipe
from mpo_snn.training.rundir import open_run, read_environment

SMALL = "digits --epochs 1 --data.train_limit 100 --quiet --device cpu"
DENSE = "--network.name mlp --network.hidden [12]"


@pytest.fixture(scope="module")
def conv(tmp_path_factory):
    """A convnet with the recipe's reset to zero."""
    path = tmp_path_factory.mktemp("readers") / "conv"
    assert train.main([*f"{SMALL} --network.channels [4,5]".split(), "--output", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    """A dense network trained for rockpool, which takes no other reset."""
    path = tmp_path_factory.mktemp("readers") / "dense"
    words = f"{SMALL} {DENSE} --reader rockpool".split()
    assert train.main([*words, "--output", str(path)]) == 0
    return path


def test_the_default_is_one_file_for_three_readers(conv, tmp_path, capsys) -> None:
    output = tmp_path / "model.nir"
    assert export.main([str(conv), "--samples", "20", "--output", str(output)]) == 0
    assert read_metadata(read_graph(output)).reader == "portable"
    assert not {type(n).__name__ for n in read_graph(output).nodes.values()} & {
        "Flatten", "AvgPool2d", "IF", "Scale",
    }  # fmt: skip
    assert "snnTorch, norse, SpikingJelly" in capsys.readouterr().out
    assert verify.main([str(conv), str(output), "--samples", "20"]) == 0


def test_all_readers_get_a_file_or_reasons(conv, tmp_path, capsys) -> None:
    output = tmp_path / "model.nir"
    words = [str(conv), "--reader", "all", "--samples", "20", "--output", str(output)]
    assert export.main(words) == 0
    written = {path.name.split(".")[1] for path in tmp_path.glob("*.nir")}
    assert written == {"snntorch", "norse", "spikingjelly", "nirtorch", "portable", "nir"}
    out = capsys.readouterr().out
    assert all(reader.title in out for reader in READERS.values())
    assert "a LIF behind a convolution does not load" in " ".join(out.split())


def test_a_refusal_writes_nothing(conv, tmp_path, capsys) -> None:
    output = tmp_path / "model.nir"
    assert export.main([str(conv), "--reader", "rockpool", "--output", str(output)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mpo-export: error: cannot write for rockpool 3.1.0: 4 findings")
    assert not list(tmp_path.iterdir())


def test_trained_for_rockpool_and_run_by_it(dense, tmp_path, capsys) -> None:
    """The reset is changed on the way in, the step after loading is told on the way out."""
    output = tmp_path / "model.nir"
    words = [str(dense), "--reader", "rockpool", "--samples", "30", "--output", str(output)]
    assert export.main(words) == 0
    out = capsys.readouterr().out
    assert "max_spikes_per_dt" in out
    metadata = read_metadata(read_graph(output))
    assert metadata.reset == "subtract"
    assert "the network subtracts too." in out and "resets to zero" not in out
    assert any("the network subtracts too." in note for note in metadata.notes)
    assert verify.main([str(dense), str(output), "--samples", "30"]) == 0
    assert export.main(["--explain", str(output)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("rockpool" in line and "exact after a step" in line for line in lines)
    assert any("norse" in line and "different" in line for line in lines)


def test_a_reset_that_no_portable_file_has_is_told(tmp_path, capsys) -> None:
    run, output = tmp_path / "run", tmp_path / "model.nir"
    words = f"{SMALL} {DENSE} --neuron.reset subtract".split()
    assert train.main([*words, "--output", str(run)]) == 0
    assert export.main([str(run), "--samples", "10", "--output", str(output)]) == 0
    out = capsys.readouterr().out
    assert "note: not portable" in out and "its reset by subtraction" in out
    assert read_metadata(read_graph(output)).reader == "nir"
    assert export.main(["--explain", str(output)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "a file for spyx," in told, "it subtracts in the next step"
    assert told.count("a file of its own: mpo-export --reader") >= 2, (
        "snnTorch and rockpool subtract"
    )


def test_a_timestep_that_no_portable_file_has_is_told(conv, tmp_path, capsys) -> None:
    output = tmp_path / "model.nir"
    words = [str(conv), "--samples", "10", "--dt", "1e-3", "--output", str(output)]
    assert export.main(words) == 0
    assert "they compute with dt 0.0001 s, not 0.001 s." in capsys.readouterr().out
    assert read_metadata(read_graph(output)).reader == "nir"


def test_a_run_remembers_the_reader_it_was_trained_for(dense, tmp_path, capsys) -> None:
    """Through the start that is noted in environment.json, and until another one is named."""
    assert open_run(dense).reader == "rockpool"
    assert read_environment(dense)["starts"]
    for words, reader in (([], "rockpool"), (["--reader", "nirtorch"], "nirtorch")):
        output = tmp_path / f"{reader}.nir"
        assert export.main([str(dense), *words, "--samples", "10", "--output", str(output)]) == 0
        assert read_metadata(read_graph(output)).reader == reader
    words = f"{SMALL} {DENSE} --reader norse".split()
    assert train.main([*words, "--output", str(tmp_path / "run")]) == 0
    assert f"next: mpo-export {tmp_path / 'run'} --reader norse" in capsys.readouterr().out


@pytest.mark.parametrize("run", ("conv", "dense"))
def test_the_code_for_loading_needs_nothing_else(run, tmp_path, capsys, request) -> None:
    """Every name in a block is imported or assigned in it; it states input and output."""
    output = tmp_path / "model.nir"
    words = [str(request.getfixturevalue(run)), "--reader", "all", "--samples", "10"]
    assert export.main([*words, "--output", str(output)]) == 0
    blocks = capsys.readouterr().out.split("\n# in ")[1:]
    titles = [block.splitlines()[0] for block in blocks]
    expected = ["snntorch", "norse", "spikingjelly", "nirtorch"]
    if run == "dense":
        expected = ["snntorch", "sinabs", "rockpool", "nirtorch"]
    assert titles == [READERS[name].title for name in expected]
    for name, block in zip(expected, blocks, strict=True):
        code = block.partition("\nmodel.portable")[0].partition("\n")[2]
        assert str(tmp_path / f"model.{name}.nir") in code
        assert not _undefined(code), name
        assert re.search(r"^outputs = .*  # \(4, 2, 10(, 1, 1)?\)$", code, re.MULTILINE)
    assert (tmp_path / "nirtorch_map.py").is_file()


def test_a_portable_file_has_code_for_each_of_its_readers(conv, tmp_path, capsys) -> None:
    output = tmp_path / "model.nir"
    assert export.main([str(conv), "--samples", "10", "--output", str(output)]) == 0
    out = capsys.readouterr().out
    assert all(f"# in {READERS[n].title}\n" in out for n in ("snntorch", "norse", "spikingjelly"))
    assert f'from_nir(nir.read("{output}"), dt=0.0001)' in out, "norse's own default is 1e-3"


def test_a_file_is_explained_and_all_is_listed(tmp_path, capsys) -> None:
    file = tmp_path / "foreign.nir"
    file.touch()
    assert export.main([str(file)]) == 2
    assert f"mpo-export --explain {file}" in capsys.readouterr().err
    assert export.main(["--list"]) == 0
    assert "all" in capsys.readouterr().out.split()


def _undefined(code: str) -> set[str]:
    names = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)]
    imports = [n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Import | ast.ImportFrom)]
    known = {(a.asname or a.name).partition(".")[0] for n in imports for a in n.names}
    known |= {name.id for name in names if isinstance(name.ctx, ast.Store)} | set(dir(builtins))
    return {name.id for name in names} - known


def test_settings_given_by_hand_are_not_changed(tmp_path, capsys) -> None:
    words = f"{SMALL} {DENSE} --reader norse --neuron.reset subtract".split()
    assert train.main([*words, "--output", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mpo-train: error: cannot train for norse 1.1.0: ")
    assert not (tmp_path / "run").exists()
    words = f"{SMALL} {DENSE} --reader rockpool --neuron.reset zero --print_config".split()
    assert train.main(words) == 2, "given by hand, although the recipe says the same"
    assert "train with neuron.reset subtract" in capsys.readouterr().err
    words = f"{SMALL} {DENSE} --reader rockpool --print_config".split()
    assert train.main(words) == 0
    assert "neuron.reset is subtract, not zero: rockpool" in capsys.readouterr().err


@pytest.mark.parametrize("given", ("--neuron.reset=zero", '--neuron={"reset": "zero"}'))
def test_every_spelling_counts_as_given(given) -> None:
    assert "neuron.reset" in given_keys(load_recipe("digits"), ["digits", given])
    assert given_keys(load_recipe("digits"), ["digits", "--reader", "norse"]) == []


def test_a_refusal_tells_what_no_change_of_a_setting_mends(capsys) -> None:
    """The reset is not among it: it would be changed. The network is, with its setting."""
    assert train.main([*SMALL.split(), "--reader", "rockpool"]) == 2
    error = capsys.readouterr().err
    assert "network.name mlp" in error and "reset" not in error
    words = f"{SMALL} --network.name mlp --reader spyx --print_config".split()
    assert train.main(words) == 2
    assert "one size in network.hidden" in capsys.readouterr().err
    assert train.main([*words, "--network.hidden", "[12]"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    (
        (["--reader", "nengo"], "unknown reader 'nengo': choose one of snntorch, norse"),
        (["--reader", "snntorch", "--dt", "1e-3"], "snnTorch 1.0.0 computes with 0.0001"),
        (["--reader", "norse", "--nir-version", "1.0.4"], "norse 1.1.0 has nir 1.0.8"),
        (["--reader", "norse", "--plain-reset"], "not with --reader norse"),
        (["--explain", "x.nir"], "--explain reads a NIR file and no run"),
        (["--format", "onnx", "--reader", "norse"], "--reader is for --format nir"),
    ),
)
def test_what_does_not_go_together(conv, arguments, message, capsys) -> None:
    assert export.main([str(conv), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
