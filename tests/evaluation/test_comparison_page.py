"""The page of a comparison shows the figures of its JSON, drawn to scale, and loads nothing."""

from __future__ import annotations

import copy
import json
import re
from html.parser import HTMLParser

import pytest

from mpo_snn.cli.evaluate import main
from mpo_snn.evaluation.comparison import ROWS, compare
from mpo_snn.evaluation.comparison_page import render_comparison
from mpo_snn.evaluation.evaluate import evaluate_graph
from mpo_snn.evaluation.report import build_report
from mpo_snn.evaluation.setting import Setting
from mpo_snn.page.bar_chart import Bar, bar_chart
from mpo_snn.page.group_chart import TRACK_END, BarGroup, group_chart
from mpo_snn.page.look_up import look_up
from mpo_snn.profiles.energy import load_energy_profile

LINE = re.compile(r'd="M ([\d.]+) [\d.]+ \nL ([\d.]+)')


@pytest.fixture
def report(small, tmp_path):
    path = tmp_path / "model.nir"
    path.write_bytes(b"the file")
    return build_report(
        evaluate_graph(small.graph, small.dataset, Setting("noise", 5, 1e-4, "direct", "mean")),
        load_energy_profile("45nm-float32-memory"),
        None,
        graph_file=path,
        command="mpo-evaluate",
    )


def other(report):
    """The same with other figures and another name."""
    changed = copy.deepcopy(report)
    changed["summary"].update(accuracy_percent=12.5, energy_pj_per_inference=None, density=0.01)
    changed["summary"].update(energy_low_pj_per_inference=None, energy_high_pj_per_inference=None)
    changed["setting"]["samples"] = 7
    return changed


def test_every_figure_is_one_of_the_json(report):
    comparison = json.loads(json.dumps(compare([report, other(report)], ["a", "b <c>"])))
    page = Page(render_comparison(comparison))
    assert len(page.figures) == 2 * len(ROWS)
    for path, value, shown in page.figures:
        found = look_up(comparison, path)
        assert value == ("" if found is None else str(found))
        row, column = re.fullmatch(r"rows\.(\d+)\.values\.(\d+)", path).groups()
        assert shown == comparison["rows"][int(row)]["shown"][int(column)]
    words = " ".join("".join(page.words).split())
    assert "b <c> against a" in words
    assert "not the same: samples (a 11, b <c> 7)" in words
    assert "line below: lowest to highest" in words
    drawings = [value for tag, name, value in page.attributes if (tag, name) == ("svg", "role")]
    assert drawings == ["img"] * 3


def test_it_loads_nothing_and_ids_are_unique(report):
    page = Page(render_comparison(compare([report] * 4, ["a", "b", "c", "d"])))
    for _, name, value in page.attributes:
        assert name != "src" and "url(http" not in value
        assert not (name.endswith("href") and not value.startswith("#"))
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_networks_without_a_layer_in_common(report):
    changed = other(report)
    for layer in changed["layers"]:
        layer["name"] += "'"
    page = render_comparison(compare([report, changed], ["a", "b"]))
    assert "No layer of neurons is in all of them." in page
    assert page.count("<svg") == 2


def test_bars_of_a_group_are_to_scale():
    groups = [BarGroup("a", [0.1, 0.2], ["0.1", "0.2"]), BarGroup("b", [0.0, 0.4], ["0", "0.4"])]
    widths = [float(b) - float(a) for a, b in LINE.findall(group_chart(groups, 0.4, "t", "p"))]
    parts = [1.0, 0.25, 1.0, 0.5, 1.0, 0.0, 1.0, 1.0]  # a track, and its bar on it
    assert widths == pytest.approx([340.0 * TRACK_END * part for part in parts])


def test_a_range_is_to_scale():
    drawing = bar_chart([Bar("a", [0.5], "x", (0.25, 1.0))], 1.0, "t", "p")
    widths = [float(b) - float(a) for a, b in LINE.findall(drawing)]
    assert pytest.approx(340.0 * 0.75) in widths


def test_the_command_writes_the_page(report, tmp_path, capsys):
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report))
    assert main(["--compare", str(path), str(path), "--output", str(tmp_path / "out")]) == 0
    assert str(tmp_path / "out" / "comparison.html") in capsys.readouterr().out
    comparison = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert (tmp_path / "out" / "comparison.html").read_text() == render_comparison(comparison)


class Page(HTMLParser):
    """Figures, attributes and words of a page."""

    def __init__(self, text):
        super().__init__()
        self.figures: list[list[str]] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.is_figure = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.is_figure = tag == "data"
        if self.is_figure:
            found = dict(attrs)
            self.figures.append([found["data-of"], found["value"], ""])

    def handle_endtag(self, tag):
        self.is_figure = False

    def handle_data(self, data):
        self.words.append(data)
        if self.is_figure:
            self.figures[-1][2] += data
