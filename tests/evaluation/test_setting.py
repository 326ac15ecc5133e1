from __future__ import annotations

from types import SimpleNamespace

import pytest

from mpo_snn.errors import RecipeError
from mpo_snn.evaluation.setting import departures, resolve_setting

OURS = SimpleNamespace(
    dataset="noise",
    timesteps=4,
    dt=1e-4,
    encoding="direct",
    readout="mean",
    input_scaling="uniform in [0, 1]",
    class_names=("class 0", "class 1", "class 2"),
)


def test_our_files_say_everything():
    setting = resolve_setting(OURS)
    assert (setting.dataset, setting.timesteps, setting.dt) == ("noise", 4, 1e-4)
    assert (setting.encoding, setting.readout) == ("direct", "mean")


@pytest.mark.parametrize(("there", "device"), [(True, "cuda"), (False, "cpu")])
def test_a_gpu_is_taken_where_there_is_one(monkeypatch, there, device):
    monkeypatch.setattr("torch.cuda.is_available", lambda: there)
    assert resolve_setting(OURS, device="auto").device == device
    assert resolve_setting(OURS, device="cuda:1").device == "cuda:1"
    assert resolve_setting(OURS).device == "cpu"


def test_the_user_goes_first(make_dataset):
    setting = resolve_setting(OURS, timesteps=9, readout="last", dt=1e-3)
    assert (setting.timesteps, setting.readout, setting.dt) == (9, "last", 1e-3)
    assert departures(setting, make_dataset(), OURS) == (
        "Timesteps: 9 here, 4 in the file.",
        "dt in s: 0.001 here, 0.0001 in the file.",
        "Readout: last here, mean in the file.",
    )
    assert departures(resolve_setting(OURS), make_dataset(), OURS) == ()


def test_other_data_is_told(make_dataset):
    told = departures(resolve_setting(OURS), make_dataset(classes=2), OURS)
    assert told == ("Class names: class 0, class 1 here, class 0, class 1, class 2 in the file.",)


def test_foreign_files_are_asked_for_all_that_is_missing():
    with pytest.raises(RecipeError) as caught:
        resolve_setting(None, readout="sum")
    assert str(caught.value) == (
        "the graph's file does not say how to run it; please give --data NAME, --timesteps N, "
        "--dt SECONDS, --encoding direct|rate|latency|frames|counts|rows."
    )


def test_files_without_a_data_set():
    with pytest.raises(RecipeError, match=r"please give --data NAME\."):
        resolve_setting(SimpleNamespace(**{**vars(OURS), "dataset": None}))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"timesteps": 0}, "timesteps is 0, expected at least 1"),
        ({"timesteps": 10**23}, "expected at most 1000000000"),
        ({"dt": 0.0}, "dt is 0.0 s, expected a finite number above 0"),
        ({"dt": float("nan")}, "dt is nan s"),
        ({"encoding": "morse"}, "encoding is 'morse', expected one of direct"),
        ({"readout": "loudest"}, "readout is 'loudest', expected one of mean, sum, last"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_out_of_range(given, message):
    with pytest.raises(RecipeError, match=message):
        resolve_setting(OURS, **given)


def test_several_findings_at_once():
    with pytest.raises(RecipeError) as caught:
        resolve_setting(OURS, timesteps=-1, dt=-1.0, batch_size=-1)
    assert len(caught.value.findings) == 3
