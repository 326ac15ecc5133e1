"""`mpo-evaluate` beside a deployment, whose report it must leave as it is; `--target` by itself."""

from __future__ import annotations

import hashlib

from mpo_snn.cli.deploy import main as deploy
from mpo_snn.cli.evaluate import main as evaluate
from mpo_snn.cli.train import main as train


def test_the_report_of_a_deployment_stays(tmp_path, capsys) -> None:
    run = tmp_path / "run"
    tiny = ["--epochs", "1", "--data.train_limit", "64", "--network.channels", "[4,4]", "--quiet"]
    assert train(["digits-loihi", "--target", "loihi-1", "--output", str(run), *tiny]) == 0
    assert deploy([str(run), "--target", "loihi-1", "--samples", "20"]) == 0
    folder = run / "deploy-loihi-1"
    before = hashlib.sha256((folder / "report.json").read_bytes()).hexdigest()
    assert evaluate([str(folder / "quantized.nir"), "--samples", "20"]) == 0
    assert hashlib.sha256((folder / "report.json").read_bytes()).hexdigest() == before
    assert (folder / "quantized.report.html").is_file()
    capsys.readouterr()
    assert evaluate([str(folder / "float.nir"), "--output", str(folder)]) == 2
    assert "holds a deployment" in capsys.readouterr().err


def test_a_recipe_of_another_kind_fits_after_target(tmp_path, capsys) -> None:
    """From a convnet on pixels to dense layers on rows, with steps enough for them."""
    run, tiny = tmp_path / "run", ["--epochs", "1", "--data.train_limit", "32", "--quiet"]
    assert train(["digits", "--target", "xylo-audio3", "--output", str(run), *tiny]) == 0
    assert "timesteps is 16, not 4" in capsys.readouterr().err
    assert deploy([str(run), "--target", "xylo-audio3", "--check"]) == 0


def test_what_does_not_fit_says_what_is_next(tmp_path, capsys) -> None:
    run, tiny = tmp_path / "run", ["--epochs", "1", "--data.train_limit", "32", "--quiet"]
    assert train(["digits", "--network.channels", "[3]", "--output", str(run), *tiny]) == 0
    capsys.readouterr()
    assert deploy([str(run), "--target", "speck-2e", "--output", str(tmp_path / "d")]) == 1
    out = capsys.readouterr().out
    assert "once they can be read" in out
    assert "mpo-train RECIPE --target speck-2e" in out
    assert not (tmp_path / "d").exists()
