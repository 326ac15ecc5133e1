"""Every fenced block of the pages on the site does what it shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mpo_snn.errors import MpoError
from tests.docs import commands
from tests.docs.blocks import LANGUAGES, Block, blocks_of

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks" / "README.md"
PAGES = [
    page
    for page in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), BENCHMARKS)
    if "```" in page.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    namespace: dict[str, Any] = {"__name__": "page"}
    for block in blocks_of(page):
        where = f"{page.relative_to(ROOT)}, line {block.line}"
        assert block.language in LANGUAGES, f"{where}: '{block.language}' is not one of {LANGUAGES}"
        if block.setup:
            exec(compile(block.setup, f"{where}, setup", "exec"), namespace)
        if block.language == "python" and not block.kept:
            code = "\n" * block.line + block.code
            exec(compile(code, str(page), "exec"), namespace)
        elif block.language not in ("python", "text"):
            _run_commands(block, where)


def _run_commands(block: Block, where: str) -> None:
    for words in block.commands():
        if block.kept and not block.is_parsed:
            continue
        if not words[0].startswith("mpo-"):
            assert commands.exists(words), f"{where}: cannot check '{words[0]}', mark the block"
        elif block.is_parsed:
            commands.parse(words)
        else:
            words = words + block.added.get(words[0], [])
            assert commands.run(words) == 0, f"{where}: {' '.join(words)} did not end with 0"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<!-- test not run -->\n```\nmake\n```\n", "not understood"),
        ("<!-- test smaller: mpo-train --epochs 1 -->\n```\nmake\n```\n", "no reason"),
        ("<!-- test not run: it is slow -->\n\n```\nmake\n```\n", "in front of a block"),
    ],
)
def test_marks_that_mean_nothing_are_faults(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(text)
    with pytest.raises(ValueError, match=problem):
        blocks_of(tmp_path / "page.md")


def test_marks_are_read(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(
        "<!-- test setup: a = 1 -->\n<!-- test smaller: mpo-train --epochs 1; time -->\n"
        "```bash\nmpo-train digits \\\n  --seed 1   # a comment\n```\n"
    )
    (block,) = blocks_of(tmp_path / "page.md")
    assert (block.line, block.setup, block.added) == (3, "a = 1", {"mpo-train": ["--epochs", "1"]})
    assert block.commands() == [["mpo-train", "digits", "--seed", "1"]]


@pytest.mark.parametrize(
    "line",
    [
        "mpo-train digits --epoch 1",
        "mpo-train nothing",
        "mpo-export runs/digits --sample 3",
        "mpo-study ablation digits --configurations mpo,nothing",
        "mpo-study nothing digits",
    ],
)
def test_parsing_refuses_what_the_command_refuses(line: str) -> None:
    with pytest.raises(MpoError):
        commands.parse(line.split())


def test_targets_and_modules_are_looked_up() -> None:
    assert commands.exists(["make", "demo"]) and not commands.exists(["make", "nothing"])
    assert commands.exists(["python", "-m", "benchmarks.win"])
    assert not commands.exists(["python", "-m", "benchmarks.nothing"])
    assert commands.exists(["python", "-m", "benchmarks.gpu.throughput", "--network", "vgg11"])
    assert not commands.exists(["python", "-m", "benchmarks.gpu.throughput", "--networks", "vgg11"])
    assert not commands.exists(["rm", "-r", "runs"])
