"""Data read from archives that the tests write, and from the real ones where they lie."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mpo_snn.data import load_dataset
from mpo_snn.data.fit import fit_dataset
from mpo_snn.data.framing import Events, frame
from mpo_snn.data.part import stratified_order
from mpo_snn.data.settings import DataSettings
from mpo_snn.errors import DataError, MpoError
from mpo_snn.training.fit import fit
from mpo_snn.training.recipe_values import recipe_from

SHARED = Path(__file__).parents[3] / "shared" / "data"


def images(n: int, shape: tuple[int, ...], seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


def mnist_arrays(train: int = 40, test: int = 20) -> dict[str, Any]:
    return {
        "x_train": images(train, (28, 28)),
        "y_train": np.arange(train, dtype=np.uint8) % 10,
        "x_test": images(test, (28, 28), 1),
        "y_test": np.arange(test, dtype=np.uint8) % 10,
    }


def write_npz(folder: Path, **changed: Any) -> str:
    path = folder / "some.npz"
    np.savez_compressed(path, **{**mnist_arrays(), **changed})
    return str(path)


def refused(**settings: Any) -> str:
    with pytest.raises(DataError) as caught:
        load_dataset(DataSettings(**settings), 4)
    return str(caught.value)


def test_npz_pixels_are_scaled_when_asked_for(tmp_path: Path) -> None:
    arrays = mnist_arrays()
    data = load_dataset(DataSettings("mnist", write_npz(tmp_path)))
    assert data.input_shape == (1, 28, 28)
    assert data.title == "MNIST"
    expected = torch.from_numpy(arrays["x_train"][[3, 1]]).float()[:, None] / 255
    assert torch.equal(data.train_x[[3, 1]], expected)
    assert torch.equal(data.test_y, torch.arange(20) % 10)
    assert data.input_scaling == "value / 255"


def test_features_are_a_row_that_flattens_to_what_was_written(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x_train, x_test = (random.normal(size=(n, 6)).astype(np.float32) for n in (40, 20))
    data = load_dataset(
        DataSettings("archive", write_npz(tmp_path, x_train=x_train, x_test=x_test))
    )
    assert data.input_shape == (1, 1, 6)
    assert torch.equal(data.train_x[[3, 1]].flatten(1), torch.from_numpy(x_train[[3, 1]]))
    fitted = fit_dataset(data, (6,))
    assert torch.equal(fitted.test_x[:20], torch.from_numpy(x_test))
    for allowed in (1e-30, -1e30):  # the ends that messages name
        assert torch.equal(
            fit_dataset(data, (6,), allowed).test_x[:20], fitted.test_x[:20] * allowed
        )
    for wrong in (9e-31, 1.1e30, float("nan"), 0.0):
        with pytest.raises(DataError, match="from 1e-30 to 1e30 in size"):
            fit_dataset(data, (6,), wrong)


def test_the_split_of_digits_is_the_one_that_the_docs_give() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    (code,) = (
        block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "load_d" in block
    )
    names: dict[str, Any] = {}
    exec(code, names)
    data = load_dataset("digits")
    for part, x, y in (("train", data.train_x, data.train_y), ("test", data.test_x, data.test_y)):
        expected = torch.tensor(names[f"{part}_x"], dtype=torch.float32)
        assert torch.equal(x[: len(y)].flatten(1), expected)
        assert y.tolist() == names[f"{part}_y"].tolist()


def test_normalized_pixels_have_the_published_statistics_taken_out(tmp_path: Path) -> None:
    settings = DataSettings("mnist", write_npz(tmp_path), normalize=True)
    data = load_dataset(settings)
    expected = (mnist_arrays()["x_test"] / 255 - 0.1307) / 0.3081
    assert torch.allclose(data.test_x[:][:, 0], torch.from_numpy(expected).float(), atol=1e-5)
    assert "0.1307" in data.input_scaling and "0.3081" in data.input_scaling


def test_an_archive_of_its_own_is_normalized_by_its_own_statistics(tmp_path: Path) -> None:
    data = load_dataset(DataSettings("archive", write_npz(tmp_path), normalize=True))
    assert data.train_x[:].mean().abs() < 1e-3
    assert abs(data.train_x[:].std() - 1) < 1e-3


def test_limits_keep_the_share_of_every_class(tmp_path: Path) -> None:
    labels = np.repeat(np.arange(10), [2, 2, 2, 2, 2, 2, 2, 2, 2, 22]).astype(np.uint8)
    path = write_npz(tmp_path, y_train=labels)
    data = load_dataset(DataSettings("mnist", path, train_limit=20, test_limit=10))
    assert data.train_y.bincount().tolist() == [1] * 9 + [11]
    assert data.test_y.bincount().tolist() == [1] * 10
    smaller = load_dataset(DataSettings("mnist", path, train_limit=7))
    larger = {x.numpy().tobytes() for x in data.train_x[:]}
    assert {x.numpy().tobytes() for x in smaller.train_x[:]} < larger


def test_every_beginning_of_the_stratified_order_is_stratified() -> None:
    y = torch.tensor([0] * 30 + [1] * 60 + [2] * 10)
    order = stratified_order(y)
    assert sorted(order.tolist()) == list(range(100))
    for n in range(1, 101):
        counts = y[order[:n]].bincount(minlength=3)
        assert (counts - n * torch.tensor([0.3, 0.6, 0.1])).abs().max() <= 2


def test_validation_is_held_out_and_the_test_split_not_read(tmp_path: Path) -> None:
    path = tmp_path / "no_test.npz"
    whole = mnist_arrays()
    np.savez(path, x_train=whole["x_train"], y_train=whole["y_train"])
    for amount in (0.25, 10):
        data = load_dataset(DataSettings("mnist", str(path), validation=amount))
        assert data.evaluated_on == "validation"
        assert data.test_y.bincount().tolist() == [1] * 10
        parts = [{x.numpy().tobytes() for x in split[:]} for split in (data.train_x, data.test_x)]
        assert len(parts[0]) == 30 and not parts[0] & parts[1]
    assert "leaves no sample" in refused(name="mnist", path=str(path), validation=40)


def test_a_run_says_that_its_accuracy_is_of_the_validation_part(tmp_path: Path) -> None:
    values = {
        "name": "small",
        "epochs": 1,
        "timesteps": 2,
        "network": {"channels": [2]},
        "data": {"name": "mnist", "path": write_npz(tmp_path), "validation": 0.25},
    }
    run = fit(recipe_from(values), tmp_path / "run", device="cpu")
    assert (run.path / "metrics.csv").read_text().splitlines()[1].endswith(",validation")
    environment = json.loads((run.path / "environment.json").read_text())
    assert environment["data"]["evaluated_on"] == "validation"
    assert environment["data"]["train_samples"] == 30


def test_several_findings_are_told_at_once(tmp_path: Path) -> None:
    path = write_npz(tmp_path, y_train=np.full(40, 11), x_test=images(20, (30, 30)))
    message = refused(name="mnist", path=path)
    assert "40 labels are out of range, the first is 11 of sample 0; allowed is 0 to 9" in message
    assert "images have shape (1, 30, 30), those of MNIST (1, 28, 28)" in message


def test_labels_are_held_against_the_classes_of_the_training_split(tmp_path: Path) -> None:
    five, damaged = np.arange(40) % 5, np.arange(20) % 4
    damaged[12] = -1
    path = write_npz(tmp_path, y_train=five, y_test=damaged)
    words = "1 labels are out of range, the first is -1 of sample 12; allowed is 0 to"
    for train in (True, False):
        with pytest.raises(DataError, match=f"test split: {words} 4\\."):
            load_dataset(DataSettings("archive", path), train=train)
    damaged[3] = 6
    write_npz(tmp_path, y_train=five, y_test=damaged)
    assert "2 labels are out of range, the first is 6 of sample 3" in refused(
        name="archive", path=path
    )
    write_npz(tmp_path, y_train=five - 1, y_test=five[:20])
    assert "train split: 8 labels are out of range, the first is -1 of sample 0; allowed is 0" in (
        refused(name="archive", path=path)
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y_test": np.zeros(19, np.uint8)}, "20 images have 19 labels"),
        ({"x_test": images(0, (28, 28)), "y_test": np.zeros(0, int)}, "the split is empty"),
        ({"x_test": np.full((20, 28, 28), np.nan)}, "20 images hold NaN"),
        ({"x_test": np.zeros((20, 28, 28), int)}, "x_test is int64"),
        ({"y_test": np.zeros(20)}, "y_test is float64"),
    ],
)
def test_npz_that_does_not_fit(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    assert message in refused(name="mnist", path=write_npz(tmp_path, **changed))


def test_images_of_another_size_in_the_test_split(tmp_path: Path) -> None:
    path = write_npz(tmp_path, x_test=images(20, (30, 28)))
    assert "(1, 28, 28), those of the test split (1, 30, 28)" in refused(name="archive", path=path)


def test_damaged_files(tmp_path: Path) -> None:
    path = Path(write_npz(tmp_path))
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], content[:3000] + bytes(900) + content[3900:]):
        path.write_bytes(damaged)
        assert "damaged" in refused(name="mnist", path=str(path))


def test_paths_without_data(tmp_path: Path) -> None:
    assert "--data.path" in refused(name="mnist")
    assert "No such file" in refused(name="mnist", path=str(tmp_path / "absent"))
    assert "the folder holds none of" in refused(name="mnist", path=str(tmp_path))
    (tmp_path / "text").write_text("text")
    assert "the file is none of" in refused(name="mnist", path=str(tmp_path / "text"))
    told = refused(name="digits", path=str(tmp_path))
    assert "leave out data.path. Data of your own needs --data archive (or imagefolder)" in told


def test_settings_out_of_range_are_told_at_once() -> None:
    with pytest.raises(MpoError) as caught:
        DataSettings("mnis", train_limit=0, test_limit=-1, validation=1.5)
    assert len(caught.value.findings) == 4


def recordings(n: int = 6) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for part in ("train", "test"):
        lengths = rng.integers(5, 20, n)
        total = int(lengths.sum())
        arrays |= {
            f"{part}_x": rng.integers(0, 34, total).astype(np.uint8),
            f"{part}_y": rng.integers(0, 34, total).astype(np.uint8),
            f"{part}_p": rng.integers(0, 2, total).astype(np.uint8),
            f"{part}_t": np.concatenate([np.sort(rng.integers(0, 999, k)) for k in lengths]),
            f"{part}_offsets": np.concatenate([[0], lengths.cumsum()]),
            f"{part}_label": np.arange(n, dtype=np.int8) % 10,
        }
    return arrays


@pytest.mark.parametrize("by", ["time", "count"])
def test_frames_against_a_loop_over_events(by: Any) -> None:
    a = recordings()
    events = Events(*(a[f"train_{key}"][: a["train_offsets"][1]] for key in "xypt"))
    n, t = len(events.t), events.t.astype(int)
    expected = np.zeros((4, 2, 34, 34), int)
    for k in range(n):
        length = (t[-1] - t[0] + 1) / 4
        step = int((t[k] - t[0]) / length) if by == "time" else k * 4 // n
        expected[step, events.p[k], events.y[k], events.x[k]] += 1
    assert np.array_equal(frame(events, 4, (2, 34, 34), by), expected)


def test_events_become_frames_for_every_timestep(tmp_path: Path) -> None:
    path = tmp_path / "events.npz"
    np.savez(path, **recordings())
    data = load_dataset(DataSettings("nmnist", str(path)), 4)
    assert data.title == "N-MNIST subset"
    assert data.input_shape == (2, 34, 34)
    assert tuple(data.train_x.shape) == (6, 4, 2, 34, 34)
    assert data.train_x[:].sum() == recordings()["train_offsets"][-1]
    np.savez(path, **{**recordings(), "train_offsets": np.arange(7), "test_label": np.full(6, 12)})
    message = refused(name="nmnist", path=str(path))
    assert "offsets do not cut" in message
    assert "labels run from 12 to 12" in message


def test_events_ask_for_the_encoding_of_frames() -> None:
    values = {"name": "x", "epochs": 1, "network": {}, "data": {"name": "nmnist"}}
    with pytest.raises(MpoError, match="encoding is direct, but the samples of nmnist are frames"):
        recipe_from(values)
    assert recipe_from({**values, "encoding": "frames"}).encoding == "frames"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real archives are not here")
def test_real_archives() -> None:
    mnist = load_dataset(DataSettings("mnist", str(SHARED / "mnist" / "mnist.npz")))
    assert (len(mnist.train_y), len(mnist.test_y)) == (60_000, 10_000)
    assert mnist.train_y[:5].tolist() == [5, 0, 4, 1, 9]
    cifar = DataSettings("cifar10", str(SHARED / "cifar10-jpeg"))
    assert load_dataset(cifar, train=False).description == "CIFAR-10 (JPEG q75), test split"
    events = DataSettings("nmnist", str(SHARED / "nmnist-small"), validation=0.1)
    assert len(load_dataset(events, 10).test_y) == 100
