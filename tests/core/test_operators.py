"""torchvision and what needs it import beside a torch without its compiled operators."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mpo_snn import operators


def run_fresh(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_torchvision_imports_after_the_declaration_and_a_second_call_does_nothing() -> None:
    """Where the compiled part loads, nothing is declared; the import must work either way."""
    program = """
        import torch
        from mpo_snn.operators import _compiled_part_loads, declare_torchvision_operators
        loads = _compiled_part_loads()
        assert declare_torchvision_operators() == (not loads)
        assert not declare_torchvision_operators()
        import torchvision
        assert not declare_torchvision_operators()
        boxes = torchvision.ops.box_area(torch.tensor([[0.0, 0.0, 2.0, 3.0]]))
        assert boxes.tolist() == [6.0]
        try:
            torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
        except (NotImplementedError, RuntimeError) as error:
            assert not loads
            print("told" if str(error) else "silent")
        else:
            assert loads
            print("told")
    """
    assert run_fresh(program) == "told"


def test_an_absent_compiled_part_is_noticed_and_a_present_one_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: Any = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(operators, "_library", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    assert not operators._compiled_part_loads()
    (tmp_path / "_C.so").write_bytes(b"no library")
    assert not operators._compiled_part_loads()
    found.origin = None
    assert operators._compiled_part_loads()
    found = None
    assert not operators.declare_torchvision_operators()


def test_every_operator_is_declared_once() -> None:
    names = [schema.split("(")[0] for schema in operators._SCHEMAS]
    assert len(set(names)) == len(names)
    assert {"nms", "roi_align", "deform_conv2d"} <= set(names)
