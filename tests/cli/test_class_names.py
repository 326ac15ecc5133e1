"""A graph is not run on data whose labels mean something else than its outputs."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from mpo_snn.cli import evaluate, export, train, verify

RECIPE = """\
epochs: 1
timesteps: 2
data: {name: archive, path: DATA}
network: {name: convnet, channels: [2]}
optimizer: {batch_size: 10}
"""


def write(folder: Path, names: Sequence[str] | None) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        rows = []
        for _ in range(20):
            stream = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(stream, "PNG")
            rows.append(stream.getvalue())
        table = pyarrow.table({"image": rows, "label": [k % 2 for k in range(20)]})
        if names is not None:
            table = table.replace_schema_metadata({"classes": json.dumps(names)})
        pyarrow.parquet.write_table(table, folder / f"{split}.parquet")
    return folder


def test_other_names_are_refused_by_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = write(tmp_path / "data", ["cat", "dog"]), tmp_path / "run"
    (tmp_path / "r.yaml").write_text(RECIPE.replace("DATA", str(data)))
    words = [str(tmp_path / "r.yaml"), "--output", str(run), "--device", "cpu", "--quiet"]
    assert train.main(words) == 0
    assert export.main([str(run), "--format", "nir"]) == 0
    model = str(run / "model.nir")
    swapped = ["--data.path", str(write(tmp_path / "swapped", ["cat", "emu"]))]
    numbered = ["--data.path", str(write(tmp_path / "numbered", None))]
    into = ["--output", str(tmp_path / "report")]
    for command, arguments in (
        (evaluate.main, [model, *into]),
        (verify.main, [model, model]),
        (verify.main, [str(run), model]),
    ):
        capsys.readouterr()
        assert command([*arguments, *swapped]) == 2
        error = capsys.readouterr().err
        assert "its class 1 is 'emu', output 1 of the graph is 'dog'." in error
        assert error.count("\n") == 1
        assert command([*arguments, *numbered]) == 0
