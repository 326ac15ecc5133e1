from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from html.parser import HTMLParser
from importlib.resources import files

import jsonschema
import nir
import numpy as np
import pytest
from rich.console import Console

from mpo_snn.cli.evaluate import main
from mpo_snn.errors import OutputError
from mpo_snn.evaluation.console import console_view
from mpo_snn.evaluation.evaluate import evaluate_graph
from mpo_snn.evaluation.one_sample import look_at_sample
from mpo_snn.evaluation.page import render_page
from mpo_snn.evaluation.record import groups_of
from mpo_snn.evaluation.report import build_report, verdict
from mpo_snn.evaluation.robustness import measure_robustness, report_robustness
from mpo_snn.evaluation.setting import Setting
from mpo_snn.evaluation.write import write_report
from mpo_snn.graph.metadata import GraphMetadata
from mpo_snn.page.bar_chart import Bar, bar_chart
from mpo_snn.page.look_up import look_up
from mpo_snn.page.rows import shorten
from mpo_snn.profiles.energy import load_energy_profile

SETTING = Setting("noise", 5, 1e-4, "direct", "mean")
UNITS = {"k": 1e3, "M": 1e6, "G": 1e9, "pJ": 1, "nJ": 1e3, "µJ": 1e6, "mJ": 1e9, "%": 1, "s": 1}
VOID = {"meta", "br"}
RECORD = {
    "equal": True,
    "first": "runs/noise",
    "first_divergence": None,
    "disagreements": [],
    "float64": {
        "equal": True,
        "layers": [{"layer": "lif1", "identical": 1.0, "first_difference": None}],
    },
    "float32": {
        "equal": True,
        "layers": [
            {
                "layer": "lif1",
                "identical": 0.9999999,
                "first_difference": {"timestep": 2, "neuron": [1, 0]},
            }
        ],
    },
}


def metadata(equivalence):
    return GraphMetadata(
        dt=1e-4,
        timesteps=5,
        encoding="direct",
        readout="mean",
        dataset="noise",
        input_scaling="uniform in [0, 1]",
        reset="zero",
        reset_timing="step",
        class_names=("class 0", "class 1", "class 2"),
        spiking={},
        folds=("batchnorm 'bn1' into 'conv1'",),
        notes=(),
        writer="mpo-snn 0.1.0",
        nir_version="1.0.8",
        equivalence=equivalence,
    )


@pytest.fixture
def make_report(small, tmp_path):
    def make(equivalence=None, *, foreign=False, warnings=()):
        path = tmp_path / "model.nir"
        path.write_bytes(b"the file")
        return build_report(
            evaluate_graph(small.graph, small.dataset, SETTING),
            load_energy_profile("45nm-float32"),
            None if foreign else metadata(equivalence),
            graph_file=path,
            command="mpo-evaluate 'my model.nir' --data noise",
            warnings=warnings,
        )

    return make


class Page(HTMLParser):
    """What a test wants to know of a page."""

    def __init__(self, text):
        super().__init__()
        self.figures: list[list[str]] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "data":
            found = dict(attrs)
            self.figures.append([found["data-of"], found["value"], ""])

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)
        if self.open and self.open[-1] == "data":
            self.figures[-1][2] += data


def shown_value(text):
    number, _, unit = text.partition(" ")
    return float(number.replace(",", "")) * UNITS.get(unit, 1)


def test_page_shows_the_numbers_of_the_report(make_report):
    report = json.loads(json.dumps(make_report(RECORD)))
    page = Page(render_page(report))
    assert len(page.figures) > 50
    for path, value, text in page.figures:
        expected = look_up(report, path)
        if expected is None:
            assert (value, text) == ("", "\N{EN DASH}")
        else:
            assert float(value) == expected
            assert shown_value(text) == pytest.approx(expected, rel=6e-3, abs=5e-5)
    shown = {path for path, _, _ in page.figures}
    assert {f"summary.{key}" for key in ("accuracy_percent", "density", "seei")} <= shown
    assert {f"layers.{k}.energy_pj_per_inference" for k in range(4)} <= shown


def test_page_stands_alone(make_report):
    text = render_page(make_report(RECORD))
    assert "http" not in text
    assert not re.search(r"<script|<link|<img|@import|url\((?!#)", text)
    page = Page(text)
    for tag, name, value in page.attributes:
        assert name not in ("src", "srcset", "data", "action")
        if name.endswith("href"):
            assert value.startswith("#"), (tag, value)
    ids = Counter(value for _, name, value in page.attributes if name == "id")
    assert max(ids.values()) == 1
    pointed_at = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    assert pointed_at <= set(ids)
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_charts_use_the_colours_of_the_page(small, make_report):
    report = make_report()
    report["sample"] = look_at_sample(small.graph, small.dataset, SETTING, 2)
    text = render_page(report)
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(drawings) == 9
    for drawing in drawings:
        assert not re.search(r"#[0-9a-fA-F]{6}", drawing)
        assert set(re.findall(r"fill: ([^;\"]+)", drawing)) - {"none"} <= {
            f"var(--{name})"
            for name in ("ink", "ink-soft", "track", "accent", "accent-mid", "accent-pale")
        }


def test_robustness_is_drawn_and_listed(small, make_report):
    levels = measure_robustness(small.graph, small.dataset, SETTING, ["weight_bits"], (0, 1))
    report = make_report()
    report["robustness"] = report_robustness(
        levels, 11, report["summary"]["accuracy_percent"], (0, 1)
    )
    page = Page(render_page(json.loads(json.dumps(report))))
    assert "Weight bits" in " ".join(page.words)
    figures = {path: text for path, _, text in page.figures}
    console = Console(width=120)
    with console.capture() as shown:
        console.print(console_view(report))
    lines = {line[4:18].strip(): line[18:].split() for line in shown.get().splitlines()}
    clean = report["summary"]["accuracy_percent"]
    for i, level in enumerate(report["robustness"]["levels"]):
        first, second = level["accuracies_percent"]
        accuracy, spread = (first + second) / 2, abs(first - second) / 2**0.5
        rr = f"{accuracy / clean:.3f}"
        assert lines["accuracy / %"][i] == f"{accuracy:.2f}"
        assert lines["spread"][i] == f"{spread:.2f}"
        assert lines["RR"][i] == rr
        path = f"robustness.levels.{i}."
        assert figures[path + "accuracy_percent"] == f"{accuracy:.2f} %"
        assert (figures[path + "spread_percent"], figures[path + "rr"]) == (f"{spread:.2f}", rr)


def test_one_seed_has_no_spread(small, make_report):
    levels = measure_robustness(small.graph, small.dataset, SETTING, ["weight_bits"], (0,))
    report = make_report()
    report["robustness"] = report_robustness(levels, 11, 50.0, (0,))
    figures = {path: text for path, _, text in Page(render_page(report)).figures}
    assert figures["robustness.levels.0.spread_percent"] == "\N{EN DASH}"
    console = Console(width=120)
    with console.capture() as shown:
        console.print(console_view(report))
    assert "spread" not in shown.get() and "RR" in shown.get()


def test_order_of_the_page(small, make_report):
    report = make_report(RECORD)
    report["sample"] = look_at_sample(small.graph, small.dataset, SETTING, 0)
    levels = measure_robustness(small.graph, small.dataset, SETTING, ["weight_bits"], (0,))
    report["robustness"] = report_robustness(levels, 11, 50.0, (0,))
    text = render_page(report)
    headings = re.findall(r"<h2[^>]*>([^<]*)</h2>", text)
    tiles = ["Accuracy", "Energy", "SynOps", "Spike density", "Early exit", "Parameters", "SEEI"]
    assert headings == [
        *tiles,
        "Equivalence",
        "The graph",
        "Layer by layer",
        "One sample",
        "Decisions",
        "Robustness",
        "Equivalence",
        "What one operation costs",
        "How it was counted",
        "The file and the run",
    ]
    assert text.index("<pre><code>") > text.index("The file and the run")


def test_costs_of_classes_add_up_to_those_of_all(make_report):
    report = make_report()
    classes, total = report["decisions"]["classes"], report["total"]
    for key in ("synops_per_inference", "energy_pj_per_inference"):
        mean = sum(one["samples"] * one[key] for one in classes if one["samples"]) / 11
        assert mean == pytest.approx(total[key], rel=1e-12)
    for node in report["synapses"]:
        if node["input_role"] != "analog":
            found = [one["samples"] * one["synops"][node["name"]] for one in classes]
            assert sum(found) == pytest.approx(node["synops"], rel=1e-12)
    for one in classes:
        assert one["synops_per_inference"] == pytest.approx(sum(one["synops"].values()))
        energy = 4.6 * total["mac_per_inference"] + 0.9 * one["synops_per_inference"]
        assert one["energy_pj_per_inference"] == pytest.approx(energy)


def test_a_class_without_samples_has_no_cost(small, make_report):
    small.dataset.test_y[:] = 1
    report = json.loads(json.dumps(make_report()))
    absent = report["decisions"]["classes"][0]
    assert absent["synops_per_inference"] is absent["energy_pj_per_inference"] is None
    assert set(absent["synops"].values()) == {None}
    schema = json.loads(files("mpo_snn.evaluation").joinpath("report.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(report)
    Page(render_page(report))


def test_many_classes_are_listed(make_report):
    report = make_report()
    decisions = report["decisions"]
    decisions["classes"] = [{**decisions["classes"][0], "taken_for": None}] * 21
    for wrong, said in ((2, "is in the JSON; up to 20"), (0, "Nothing: every answer")):
        decisions["confusion"] = [[5 if i == j else 0 for j in range(21)] for i in range(21)]
        decisions["confusion"][3][7] = wrong
        page = Page(render_page(report))
        assert said in " ".join(page.words)
        listed = [path for path, _, _ in page.figures if path.startswith("decisions.confusion")]
        assert listed == (["decisions.confusion.3.7"] if wrong else [])


def test_no_heading_is_printed_alone_and_no_drawing_is_cut(make_report):
    printed = render_page(make_report()).split("@media print", 1)[1].split("</style>", 1)[0]
    rules = dict(re.findall(r"^  ([^{}@]+?) \{ ([^{}]+) \}$", printed, re.MULTILINE))
    assert rules["h2, h3, thead, .note.legend"] == "break-after: avoid;"
    assert "figure" in next(keys for keys, rule in rules.items() if "break-inside: avoid" in rule)
    assert not any("break-inside: auto" in rule for rule in rules.values())
    assert rules[".charts svg"] == "max-height: 220mm;"


def test_reports_follow_the_published_schema(small, make_report, capsys):
    assert main(["--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    whole = make_report(RECORD)
    levels = measure_robustness(small.graph, small.dataset, SETTING, ["clock_jitter"], (0, 1))
    whole["robustness"] = report_robustness(levels, 11, 50.0, (0, 1))
    whole["sample"] = look_at_sample(small.graph, small.dataset, SETTING, 0)
    validator = jsonschema.Draft202012Validator(schema)
    for report in (whole, make_report(foreign=True)):
        validator.validate(json.loads(json.dumps(report)))
    del whole["summary"]["density"]
    whole["layers"][0]["spikes"] = 3
    assert len(list(validator.iter_errors(whole))) == 2


def test_report_is_plain_and_stable(make_report):
    first, second = make_report(RECORD), make_report(RECORD)
    assert json.dumps(first, allow_nan=False) == json.dumps(second, allow_nan=False)
    assert json.loads(json.dumps(first)) == first
    assert render_page(first) == render_page(json.loads(json.dumps(second)))
    assert first["schema_version"] == 1
    assert first["setting"]["dt_s"] == 1e-4
    assert first["graph"]["sha256"] == hashlib.sha256(b"the file").hexdigest()


def test_totals_are_sums_and_energy_is_arithmetic(make_report):
    report = make_report()
    total, layers = report["total"], report["layers"]
    for key in ("mac", "ac", "graded_ac", "synops", "neuron_updates"):
        key = f"{key}_per_inference"
        assert total[key] == pytest.approx(sum(layer[key] for layer in layers))
    for part in (*layers, total):
        accumulates = part["ac_per_inference"] + part["graded_ac_per_inference"]
        assert part["synops_per_inference"] == accumulates
        expected = 4.6 * part["mac_per_inference"] + 0.9 * accumulates
        assert part["energy_pj_per_inference"] == pytest.approx(expected)
    once, every = total["constant_input_once"], total["constant_input_every_timestep"]
    assert every["mac_per_inference"] == 5 * once["mac_per_inference"]
    assert every["energy_pj_per_inference"] - once["energy_pj_per_inference"] == pytest.approx(
        4.6 * 4 * once["mac_per_inference"]
    )
    summary = report["summary"]
    assert summary["seei"] == pytest.approx(
        summary["accuracy_percent"]
        / 100
        * 4.6
        * total["dense_mac_per_inference"]
        / total["energy_pj_per_inference"]
    )
    assert sum(one["synops"] for one in report["synapses"]) == pytest.approx(
        11 * total["synops_per_inference"]
    )


@pytest.mark.parametrize(
    ("record", "word"),
    [
        (RECORD, "equal"),
        ({**RECORD, "equal": False}, "different"),
        (None, "not recorded"),
        ({"note": "x"}, "not recorded"),
    ],
)
def test_verdict(make_report, record, word):
    report = make_report(record)
    assert verdict(record) == report["summary"]["equivalence"] == word
    assert any("does not compute" in text for text in report["warnings"]) == (word == "different")
    assert word in "".join(Page(render_page(report)).words)


def test_whole_record_is_on_the_page(make_report):
    first, float64, float32 = groups_of(RECORD)
    assert first.facts == [("equal", "yes"), ("first", "runs/noise")]
    assert (float64.title, float64.facts) == ("float64", [("equal", "yes")])
    assert float64.tables[0].columns == ["layer", "identical"]
    assert float32.tables[0].rows == [["lif1", "0.9999999"]]
    assert float32.tables[0].notes == ["lif1, first difference: timestep 2, neuron 1, 0"]
    assert groups_of(None)[0].facts == []
    words = "".join(Page(render_page(make_report(RECORD))).words)
    for word in ("runs/noise", "float64", "float32", "0.9999999", "timestep 2, neuron 1, 0"):
        assert word in words


def test_pictures_of_the_record_are_on_the_page(make_report):
    layer = {"layer": "<lif1>", "differing": 3, "entries": 70}
    counts = {"differing_by_timestep": {"<lif1>": [0, 3]}, "roots_by_distance": {"x": {"-7": 1}}}
    page = render_page(
        make_report({"timesteps": 2, "float32": {"layers": [layer], **counts}, "equal": True})
    )
    for title in (
        "Spikes that differ in float32, by layer and timestep",
        "Distance from threshold of the first differences in float32",
    ):
        assert f'aria-label="{title}"' in page
    assert "Differing spikes, float32" in page and "Differing spikes, float64" not in page
    assert "<lif1>" not in page and Page(page).open == []


def test_a_divergence_is_one_fact():
    record = {"equal": False, "first_divergence": {"layer": "lif1", "neuron": [1, 2]}}
    assert groups_of(record)[0].facts[1] == ("first divergence", "layer lif1, neuron 1, 2")


def test_columns_that_are_empty_in_every_row_are_left_out():
    record = {"layers": [{"layer": "lif1", "roots": 0, "listed": []}, {"layer": "b", "roots": 2}]}
    assert groups_of(record)[0].tables[0].columns == ["layer", "roots"]


def test_foreign_file(make_report):
    report = make_report(foreign=True, warnings=("No metadata.",))
    assert report["summary"]["equivalence"] == "not recorded"
    words = " ".join("".join(Page(render_page(report)).words).split())
    assert "unknown: no metadata" in words
    assert "No metadata." in words


def test_names_are_text_not_markup(make_report):
    report = make_report()
    report["layers"][0]["name"] = "<script>alert(1)</script> & $x$"
    report["command"] = "mpo-evaluate '<b>'"
    page = Page(render_page(report))
    assert "script" not in {tag for tag, _, _ in page.attributes} | set(page.open)
    assert any("<script>alert(1)</script>" in word for word in page.words)


def test_graph_without_a_spike(small, make_report):
    for name in ("lif1", "lif3"):
        small.graph.nodes[name].v_threshold = small.graph.nodes[name].v_threshold * 1e9
    small.graph.nodes["lif2"].threshold = np.full((2, 3, 3), 1e9)
    report = make_report()
    assert report["summary"]["synops_per_inference"] == 0
    assert report["summary"]["density"] == 0
    assert report["warnings"] == [
        "No neuron ever spiked: the answers come from biases and analog paths."
    ]
    Page(render_page(report))


def test_silent_layer_is_named(small, make_report):
    small.graph.nodes["lif3"].v_threshold = np.full(4, 1e9)
    assert make_report()["warnings"] == ["Silent on every sample: lif3."]


def test_graph_without_spiking_nodes_or_synapses(small, make_report):
    small.graph.nodes.clear()
    small.graph.nodes.update(
        {
            "input": nir.Input(np.array([1, 6, 6])),
            "flatten": nir.Flatten({"input": np.array([1, 6, 6])}, start_dim=0),
            "fc": nir.Linear(np.ones((3, 36))),
            "output": nir.Output(np.array([3])),
        }
    )
    small.graph.edges[:] = [("input", "flatten"), ("flatten", "fc"), ("fc", "output")]
    report = make_report()
    assert report["summary"]["density"] is None
    assert report["total"]["mac_per_inference"] == 108
    assert "no spiking node" in report["warnings"][0]
    assert render_page(report).count("<svg") == 6


def test_console(make_report):
    report = make_report(RECORD, warnings=("dt [s] differs.",))
    console = Console(width=100, record=True, highlight=False, file=open("/dev/null", "w"))
    with console.file:
        console.print(console_view(report))
        text = console.export_text()
    parameters = report["total"]["parameters"]
    assert re.search(rf"parameters +{parameters} +{4 * parameters} B in float32", text)
    for word in ("lif1", "lif2", "lif3", "output", "total", "accuracy", "SEEI", "dt [s] differs."):
        assert word in text
    table = [
        line for line in text.splitlines() if re.match(r"  (lif\d|output|total|layer)\b", line)
    ]
    assert len({len(line.rstrip()) for line in table}) == 1


def test_written_whole_or_not_at_all(make_report, tmp_path):
    report = make_report(RECORD)
    json_path, html_path = write_report(report, tmp_path / "new" / "folder")
    assert json.loads(json_path.read_text()) == report
    assert html_path.read_text() == render_page(report)
    (tmp_path / "occupied").write_text("")
    with pytest.raises(OutputError, match="occupied"):
        write_report(report, tmp_path / "occupied")
    (tmp_path / "half" / "report.html").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"report\.html.*Nothing was changed"):
        write_report(report, tmp_path / "half")
    assert not (tmp_path / "half" / "report.json").exists()


def test_long_names_keep_both_ends():
    assert shorten("short") == "short"
    name = "encoder.block.17.branch.convolution.lif"
    assert shorten(name, 20) == "encoder.b\N{HORIZONTAL ELLIPSIS}lution.lif"
    assert len(shorten(name, 20)) == 20


def test_bars_are_to_scale():
    drawing = bar_chart([Bar("a", [0.25, 0.5], "x"), Bar("b", None, "-")], 1.0, 'say "so"', "p")
    widths = [
        float(right) - float(left)
        for left, right in re.findall(r'd="M ([\d.]+) [\d.]+ \nL ([\d.]+)', drawing)
    ]
    assert widths == pytest.approx([340.0, 85.0, 170.0])
    assert 'aria-label="say &quot;so&quot;"' in drawing
