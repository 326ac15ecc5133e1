"""Data sets in their published files, written small by the tests and read by the real loaders."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mpo_snn.data import load_dataset
from mpo_snn.data.dataset import as_stored
from mpo_snn.data.events import SENSORS
from mpo_snn.data.image_files import ImageFiles
from mpo_snn.data.known import KNOWN
from mpo_snn.data.settings import DataSettings
from mpo_snn.errors import DataError, RecipeError
from mpo_snn.training.fit import fit
from mpo_snn.training.recipe_values import recipe_from

SAMPLES = Path(__file__).parents[3] / "shared" / "data"
events = pytest.mark.filterwarnings("default::DeprecationWarning")


def pixels(n: int, *shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


def refused(name: str, path: Path, **settings: Any) -> str:
    with pytest.raises(DataError) as caught:
        load_dataset(DataSettings(name, str(path), **settings), 4)
    return str(caught.value)


def idx(array: Any) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files(packed: bool, tmp_path: Path) -> None:
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for seed, stem in enumerate(("train", "t10k")):
        for name, array in (
            (f"{stem}-images-idx3-ubyte", pixels(20, 28, 28, seed=seed)),
            (f"{stem}-labels-idx1-ubyte", np.arange(20, dtype=np.uint8) % 10),
        ):
            content = idx(array)
            if packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)
    data = load_dataset(DataSettings("fashion_mnist", str(tmp_path)))
    assert data.title == "Fashion-MNIST"
    assert data.class_names[9] == "Ankle boot"
    assert torch.equal(255 * data.test_x[[7]][0, 0], torch.tensor(pixels(20, 28, 28, seed=1)[7]))
    image = next(folder.glob("t10k-images*"))
    image.write_bytes(image.read_bytes()[:-9])
    assert "damaged" in refused("fashion_mnist", tmp_path)


def write_cifar100(folder: Path, classes: int = 100) -> None:
    folder.mkdir(parents=True)
    for seed, name in enumerate(("train", "test")):
        batch = {
            b"data": pixels(200, 3072, seed=seed),
            b"fine_labels": [k % classes for k in range(200)],
            b"coarse_labels": [0] * 200,
        }
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))


@pytest.mark.parametrize("packed", [False, True])
def test_cifar100_batches(packed: bool, tmp_path: Path) -> None:
    folder = tmp_path / "cifar-100-python"
    write_cifar100(folder)
    if packed:
        with tarfile.open(tmp_path / "cifar-100-python.tar.gz", "w:gz") as archive:
            archive.add(folder, folder.name)
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    data = load_dataset(DataSettings("cifar100", str(tmp_path)))
    assert (data.title, data.input_shape) == ("CIFAR-100", (3, 32, 32))
    assert data.test_y[:3].tolist() == [0, 1, 2]
    expected = torch.tensor(pixels(200, 3072, seed=1)[5].reshape(3, 32, 32)).float() / 255
    assert torch.equal(data.test_x[[5]][0], expected)


def test_cifar10_batches_of_protocol_2(tmp_path: Path) -> None:
    for number in range(5):
        batch = {b"data": pixels(20, 3072, seed=number), b"labels": [k % 10 for k in range(20)]}
        (tmp_path / f"data_batch_{number + 1}").write_bytes(pickle.dumps(batch, protocol=2))
    (tmp_path / "test_batch").write_bytes(pickle.dumps(batch, protocol=2))
    assert len(load_dataset(DataSettings("cifar10", str(tmp_path))).train_y) == 100


def test_known_classes_are_as_many_as_they_should_be() -> None:
    assert [len(known.classes) for known in KNOWN.values()] == [10, 10, 10, 100]
    assert list(KNOWN["cifar100"].classes) == sorted(KNOWN["cifar100"].classes)


class Evil:
    def __reduce__(self) -> Any:
        return (print, ("code was run",))


def test_a_pickle_with_code_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_cifar100(tmp_path / "cifar-100-python")
    (tmp_path / "cifar-100-python" / "test").write_bytes(pickle.dumps({b"data": Evil()}))
    assert "builtins.print" in refused("cifar100", tmp_path)
    assert capsys.readouterr().out == ""


def jpeg(width: int, height: int, mode: str = "RGB", value: int = 90) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (width, height), value if mode == "L" else (value, 120, 50)).save(
        stream, "JPEG"
    )
    return stream.getvalue()


def write_folder(root: Path, classes: tuple[str, ...] = ("n01", "n02")) -> Path:
    for part, count in (("train", 4), ("val", 2)):
        for number, name in enumerate(classes):
            folder = root / part / name
            folder.mkdir(parents=True)
            for k in range(count):
                image = jpeg(60 + 9 * k, 50, "L" if k == 1 else "RGB", 40 + 100 * number)
                (folder / f"{name}_{k}.JPEG").write_bytes(image)
    return root


@pytest.mark.parametrize("packed", [False, True])
def test_image_files_in_folder_and_tar(packed: bool, tmp_path: Path) -> None:
    path = write_folder(tmp_path / "pets")
    if packed:
        with tarfile.open(tmp_path / "pets.tar", "w") as archive:
            for file in sorted(path.rglob("*.JPEG")):
                archive.add(file, str(file.relative_to(path)))
        path = tmp_path / "pets.tar"
    data = load_dataset(DataSettings("imagefolder", str(path), size=32))
    assert (data.description, data.class_names) == ("pets, test split", ("n01", "n02"))
    assert (data.input_shape, data.test_y.tolist()) == ((3, 32, 32), [0, 0, 1, 1])
    red = 255 * data.test_x[:][[0, 2], 0].mean((1, 2))
    assert torch.allclose(red, torch.tensor([40.0, 140.0]), atol=4)


def test_image_files_are_limited_and_held_out_like_any_other(tmp_path: Path) -> None:
    path = str(write_folder(tmp_path / "pets"))
    data = load_dataset(DataSettings("imagefolder", path, size=16, validation=2, train_limit=4))
    assert data.train_y.bincount().tolist() == [2, 2]
    assert data.test_y.bincount().tolist() == [1, 1]
    assert isinstance(data.train_x, ImageFiles) and isinstance(data.test_x, ImageFiles)
    assert not set(data.train_x.names) & set(data.test_x.names)


def test_central_part_is_what_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    wide = np.zeros((64, 128, 3), np.uint8)
    wide[:, 32:96] = 200
    for part in ("train", "val"):
        for name in "ab":
            (folder / part / name).mkdir(parents=True)
            Image.fromarray(wide).save(folder / part / name / "1.png")
    data = load_dataset(DataSettings("imagefolder", str(folder), size=32))
    assert (255 * data.test_x[:]).min() == 200


def test_random_parts_are_a_function_of_the_seed(tmp_path: Path) -> None:
    path = str(write_folder(tmp_path / "pets"))
    settings = DataSettings("imagefolder", path, size=16, resized_crop=True)
    data = load_dataset(settings)
    seen = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        seen.append(as_stored(data.train_x, [0, 3], training=True))
    assert torch.equal(seen[0], seen[1])
    assert seen[0].shape == (2, 3, 16, 16)


def test_a_broken_image_file_is_one_line_also_from_a_worker(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pets")
    (root / "train" / "n01" / "n01_2.JPEG").write_bytes(b"text")
    values = {
        "name": "x",
        "epochs": 1,
        "timesteps": 1,
        "network": {"channels": [2]},
        "data": {"name": "imagefolder", "path": str(root), "size": 16, "workers": 1},
    }
    with pytest.raises(DataError, match=r"n01_2\.JPEG': it is no image, or damaged") as caught:
        fit(recipe_from(values), tmp_path / "run", device="cpu")
    assert "\n" not in str(caught.value)


def test_image_files_that_do_not_fit(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pets")
    assert "it has 2 classes, ImageNet has 1000" in refused("imagenet", root)
    assert "MNIST is read from its published files" in refused("mnist", root)
    with tarfile.open(tmp_path / "pets.tar.gz", "w:gz") as archive:
        archive.add(root, "pets")
    assert "compressed" in refused("imagefolder", tmp_path / "pets.tar.gz")
    with tarfile.open(tmp_path / "pets.tar", "w") as archive:
        archive.add(root, ".")
    content = (tmp_path / "pets.tar").read_bytes()
    (tmp_path / "pets.tar").write_bytes(content[: len(content) // 2 + 100])
    assert "damaged" in refused("imagefolder", tmp_path / "pets.tar")


@events
def test_nmnist_files(tmp_path: Path) -> None:
    pytest.importorskip("tonic")
    for part in ("Train", "Test"):
        for label in range(2):
            folder = tmp_path / part / str(label)
            folder.mkdir(parents=True)
            for k in range(2):
                x, y, p, t = np.array([3, 33, 7]), np.array([0, 5, 33]), np.array([1, 0, 1]), 9999
                t = np.array([0, 70_000, 300_000 + k])
                cells = [x, y, (p << 7) | (t >> 16), (t >> 8) & 255, t & 255]
                np.stack(cells, 1).astype(np.uint8).tofile(folder / f"{k:05d}.bin")
    data = load_dataset(DataSettings("nmnist", str(tmp_path)), 3)
    assert data.test_y.tolist() == [0, 0, 1, 1]
    frames = data.test_x[[0]][0]
    assert frames.shape == (3, 2, 34, 34)
    assert frames.nonzero().tolist() == [[0, 0, 5, 33], [0, 1, 0, 3], [2, 1, 33, 7]]


@events
def test_dvs128_gesture_files(tmp_path: Path) -> None:
    pytest.importorskip("tonic")
    for part in ("ibmGestureTrain", "ibmGestureTest"):
        folder = tmp_path / part / "user01_led"
        folder.mkdir(parents=True)
        for label in range(11):
            # x, y, polarity, time in ms
            array = np.array([[0, 127, 1, 5], [64, 3, 0, 6], [127, 0, 1, 9 + label]], np.float64)
            np.save(folder / f"{label}.npy", array)
    settings = DataSettings("dvs128_gesture", str(tmp_path), framing="count", size=64)
    data = load_dataset(settings, 3)
    assert data.test_y.tolist() == list(range(11))
    assert data.input_shape == (2, 64, 64)
    assert data.test_x[[4]][0].nonzero().tolist() == [[0, 1, 63, 0], [1, 0, 1, 32], [2, 1, 0, 63]]
    assert "summed to 64x64" in data.input_scaling


@events
def test_shd_files(tmp_path: Path) -> None:
    pytest.importorskip("tonic")
    import h5py

    for name in ("shd_train.h5", "shd_test.h5"):
        with h5py.File(tmp_path / name, "w") as file:
            times, units = file.create_group("spikes"), file["spikes"]
            kind = h5py.vlen_dtype(np.dtype("float32"))
            seconds = times.create_dataset("times", (20,), kind)
            channels = units.create_dataset("units", (20,), h5py.vlen_dtype(np.dtype("int64")))
            for k in range(20):
                seconds[k] = np.array([0.0, 0.25, 0.5], np.float32)
                channels[k] = np.array([699, k, 3])
            file["labels"] = np.arange(20, dtype=np.uint16)
            extra = file.create_group("extra")
            extra["keys"] = np.array([b"zero"] * 20)
            extra["speaker"] = np.zeros(20, np.uint16)
    data = load_dataset(DataSettings("shd", str(tmp_path)), 2)
    assert (data.input_shape, len(data.class_names)) == ((1, 1, 700), 20)
    assert data.train_x[[7]][0].nonzero().tolist() == [[0, 0, 0, 7], [0, 0, 0, 699], [1, 0, 0, 3]]


@events
@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no recording in AEDAT 4.0 is here")
def test_cifar10_dvs_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aedat")
    content = (SAMPLES / "event-format-samples" / "sample.aedat4").read_bytes()
    for name in KNOWN["cifar10"].classes:
        folder = tmp_path / name
        folder.mkdir()
        for k in range(2):
            (folder / f"cifar10_{name}_{k}.aedat4").write_bytes(content)
    # The recording comes from a larger sensor: it is read, and refused for that.
    assert "allowed is 0 to 127" in refused("cifar10_dvs", tmp_path)
    larger = replace(SENSORS["cifar10_dvs"], shape=(2, 480, 640))
    monkeypatch.setitem(SENSORS, "cifar10_dvs", larger)
    data = load_dataset(DataSettings("cifar10_dvs", str(tmp_path)), 3)
    assert data.train_y.tolist() == data.test_y.tolist() == list(range(10))
    assert data.train_x[[0]].sum() > 1000


@pytest.mark.parametrize("name", ["nmnist", "dvs128_gesture", "cifar10_dvs", "shd"])
def test_event_data_that_is_not_there(name: str, tmp_path: Path) -> None:
    assert "it has no " in refused(name, tmp_path)
    assert "--data.path" in refused(name, tmp_path / "absent")


def test_sizes_that_a_sensor_does_not_have(tmp_path: Path) -> None:
    assert "allowed for N-MNIST is up to 34" in refused("nmnist", tmp_path, size=64)
    assert "allowed for SHD is null" in refused("shd", tmp_path, size=64)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "cifar100", "imagenet"])
def test_without_a_path_it_is_said_where_to_get_it(name: str) -> None:
    with pytest.raises(DataError, match=r"--data\.path FILE_OR_FOLDER") as caught:
        load_dataset(name)
    assert "\n" not in str(caught.value)
    assert ("--data.download true" in str(caught.value)) == (name != "imagenet")


def test_nothing_is_fetched_that_cannot_be(tmp_path: Path) -> None:
    path = tmp_path / "absent"
    assert "get it by hand" in refused("imagenet", path, download=True)


def test_event_settings_are_checked() -> None:
    with pytest.raises(RecipeError, match="autoaugment is for images"):
        DataSettings("nmnist", autoaugment="cifar10")


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the real archive is not here")
def test_the_real_tar() -> None:
    path = SAMPLES / "imagenet-sample" / "imagenette224-subset.tar"
    data = load_dataset(DataSettings("imagefolder", str(path), normalize=True))
    assert (len(data.train_y), len(data.test_y)) == (2000, 800)
    assert data.test_y.bincount().tolist() == [80] * 10
    x = data.test_x[list(range(0, 800, 40))]
    assert x.shape[1:] == (3, 224, 224)
    assert x.mean().abs() < 0.5
