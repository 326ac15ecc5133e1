"""What a page ought to draw, said twice: by the check, and by the page itself."""

from __future__ import annotations

import copy
import re

import pytest

from browser.expected_drawings import expected_drawings
from mpo_snn.evaluation.comparison import compare
from mpo_snn.evaluation.comparison_page import render_comparison
from mpo_snn.evaluation.evaluate import evaluate_graph
from mpo_snn.evaluation.one_sample import look_at_sample
from mpo_snn.evaluation.page import render_page
from mpo_snn.evaluation.report import build_report
from mpo_snn.evaluation.robustness import measure_robustness, report_robustness
from mpo_snn.evaluation.setting import Setting
from mpo_snn.profiles.energy import load_energy_profile
from tests.evaluation.conftest import DT, TIMESTEPS, small_dataset, small_graph

SETTING = Setting("noise", TIMESTEPS, DT, "direct", "mean")
COMPARED = {
    "layers": [{"layer": "lif1", "differing": 7, "entries": 900}],
    "differing_by_timestep": {"lif1": [0, 2, 5, 0, 0]},
    "roots_by_distance": {"lif1": {"-7": 3}},
}
RECORD = {
    "equal": False,
    "first": "a",
    "first_divergence": None,
    "disagreements": [],
    "timesteps": TIMESTEPS,
    "float64": {**COMPARED, "equal": True, "differing_by_timestep": {}, "roots_by_distance": {}},
    "float32": {**COMPARED, "equal": False},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A report with every part that there is."""
    path = tmp_path_factory.mktemp("report") / "model.nir"
    path.write_bytes(b"the file")
    graph, dataset = small_graph(), small_dataset()
    evaluation = evaluate_graph(graph, dataset, SETTING)
    levels = measure_robustness(graph, dataset, SETTING, seeds=(0,))
    return build_report(
        evaluation,
        load_energy_profile("45nm-float32"),
        None,
        graph_file=path,
        command="mpo-evaluate",
        robustness=report_robustness(
            levels, len(dataset.test_y), evaluation.activity.accuracy_percent, (0,)
        ),
        sample=look_at_sample(graph, dataset, SETTING, 0),
    )


def drawn(page):
    return re.findall(r'<svg role="img" aria-label="([^"]*)"', page)


def without(report, *parts):
    return {**report, **dict.fromkeys(parts)}


@pytest.mark.parametrize("record", [None, {"equal": True}, RECORD])
@pytest.mark.parametrize("absent", [(), ("robustness",), ("sample",), ("robustness", "sample")])
def test_a_report_draws_what_its_json_calls_for(whole, record, absent):
    report = {**without(whole, *absent), "equivalence": record}
    titles = expected_drawings(report)
    assert sorted(titles) == sorted(drawn(render_page(report)))
    assert len(titles) == len(set(titles)) >= 6
    assert ("Accuracy under weight bits" in titles) == ("robustness" not in absent)


def test_a_report_without_neurons_or_operations(whole):
    report = copy.deepcopy(without(whole, "sample"))
    report["total"].update(neurons=0, energy_pj_per_inference=0.0)
    for layer in report["layers"]:
        layer["energy_pj_per_inference"] = 0.0
    titles = expected_drawings(report)
    assert sorted(titles) == sorted(drawn(render_page(report)))
    assert not any("of each layer" in title for title in titles)


@pytest.mark.parametrize("nodes", [1, 14, 15, 28, 29, 42, 43, 100])
def test_a_long_graph_is_drawn_in_columns(whole, nodes):
    report = copy.deepcopy(without(whole, "robustness", "sample"))
    node = report["graph"]["nodes"][0]
    report["graph"]["nodes"] = [{**node, "name": f"node{number}"} for number in range(nodes)]
    report["graph"]["edges"] = [
        [f"node{number - 1}", f"node{number}"] for number in range(1, nodes)
    ]
    assert sorted(expected_drawings(report)) == sorted(drawn(render_page(report)))


@pytest.mark.parametrize("classes", [20, 21])
def test_the_confusion_of_many_classes_is_a_list(whole, classes):
    report = copy.deepcopy(without(whole, "robustness", "sample"))
    decisions = report["decisions"]
    decisions["classes"] = [{**decisions["classes"][0], "taken_for": None} for _ in range(classes)]
    decisions["confusion"] = [[1] * classes for _ in range(classes)]
    titles = expected_drawings(report)
    assert sorted(titles) == sorted(drawn(render_page(report)))
    assert ("What each class is taken for" in titles) == (classes <= 20)


@pytest.mark.parametrize("layers", [0, 1, 4, 5, 8, 9, 10, 13, 40])
@pytest.mark.parametrize("free", [False, True])
def test_a_comparison_draws_what_its_json_calls_for(whole, layers, free):
    comparison = compare([whole, whole], ["a", "b"])
    one = comparison["layers"][0]
    comparison["layers"] = [{**one, "name": f"lif{number}"} for number in range(layers)]
    if free:
        comparison["energies"] = 2 * [dict.fromkeys(comparison["energies"][0], 0.0)]
    assert sorted(expected_drawings(comparison)) == sorted(drawn(render_comparison(comparison)))
