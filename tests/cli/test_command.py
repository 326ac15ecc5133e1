from __future__ import annotations

import errno
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import torch

import mpo_snn
from mpo_snn.cli.command import CommandParser, UsageError, nearest, run_command
from mpo_snn.errors import GraphError


def failing(error: BaseException) -> Callable[[], int]:
    def body() -> int:
        raise error

    return body


@pytest.mark.parametrize("code", [0, 1])
def test_the_body_decides_the_exit_code(code: int) -> None:
    assert run_command(lambda: code, "mpo-x") == code


@pytest.mark.parametrize(
    ("error", "code", "shown"),
    [
        (GraphError("cannot read 'x'."), 2, "mpo-x: error: cannot read 'x'.\n"),
        (
            GraphError("cannot read 'x'", ["a.", "b."]),
            2,
            "mpo-x: error: cannot read 'x': 2 findings\n  - a.\n  - b.\n",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "/f"),
            2,
            "mpo-x: error: cannot use '/f': No space left on device.\n",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied"),
            2,
            "mpo-x: error: cannot use a file: Permission denied.\n",
        ),
        (KeyboardInterrupt(), 130, "mpo-x: interrupted.\n"),
        (SystemExit(0), 0, ""),
        (SystemExit(3), 3, ""),
    ],
)
def test_what_is_the_users_is_said_and_counted(
    error: BaseException, code: int, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(failing(error), "mpo-x") == code
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", shown)


@pytest.mark.parametrize("error", [ValueError("a fault"), OSError(errno.EBADF, "a fault")])
def test_a_fault_of_ours_is_not_hidden(error: Exception) -> None:
    with pytest.raises(type(error), match="a fault"):
        run_command(failing(error), "mpo-x")


def test_a_reader_that_goes_away_is_no_error() -> None:
    code = (
        "from mpo_snn.cli.command import run_command\n"
        "def body():\n"
        "    for _ in range(100_000): print('x' * 50)\n"
        "    return 0\n"
        "raise SystemExit(run_command(body, 'mpo-x'))\n"
    )
    command = f'"{sys.executable}" -c "$CODE" | head -1; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["bash", "-c", command], env={"CODE": code}, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def parser() -> CommandParser:
    parser = CommandParser("mpo-x", "FILE [--flag]", "Does it.", "mpo-x a\nmpo-x b")
    parser.add_argument("file", nargs="?")
    parser.add_argument("--neuron.beta", type=float, default=0.5)
    parser.add_argument("--other.width", type=float, default=0.5)
    parser.add_argument("--reset", type=Literal["zero", "subtract"], default="zero")
    parser.add_argument("--backend", type=Literal["fast", "slow"] | None, default=None)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--sizes", type=tuple[int, ...], default=(1,))
    parser.add_argument("--learn", type=bool, default=False)
    parser.add_argument("--mean", type=float | Literal["threshold"], default=0.0)
    parser.add_argument("--limit", type=int | None, default=None)
    return parser


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--neuron.bta 3", "unknown option --neuron.bta: did you mean --neuron.beta?"),
        ("--neuron.bta=3", "unknown option --neuron.bta: did you mean --neuron.beta?"),
        ("--width 3", "unknown option --width: did you mean --other.width?"),
        ("--ste 3", "unknown option --ste: did you mean --steps?"),
        ("--qqqq", "unknown option --qqqq; --help lists them all."),
        ("a b", "unknown argument 'b'"),
        ("--steps", "argument --steps: expected one argument."),
        ("--steps x", "--steps is 'x', allowed is a whole number."),
        ("--steps 1.5", "--steps is '1.5', allowed is a whole number."),
        ("--neuron.beta x", "--neuron.beta is 'x', allowed is a number."),
        ("--reset up", "--reset is 'up', allowed is zero, subtract."),
        ("--backend up", "--backend is 'up', allowed is fast, slow, null."),
        ("--sizes 3", "--sizes is '3', allowed is a list such as [1,2]."),
        ("--sizes [3,x]", "--sizes is 'x', allowed is a whole number."),
        ("--mean inf", "--mean is 'inf', allowed is a finite number, threshold."),
        ("--steps=1e3", "--steps is '1e3', allowed is a whole number."),
        ("--steps null", "--steps is 'null', allowed is a whole number."),
        ("--steps 4 --steps 1e3", "--steps is '1e3', allowed is a whole number."),
        ("--limit x", "--limit is 'x', allowed is a whole number, null."),
        ("--learn maybe", "--learn is 'maybe', allowed is true or false."),
    ],
)
def test_a_wrong_command_line_is_one_line(
    parser: CommandParser, line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def body() -> int:
        parser.parse_args(line.split())
        return 0

    assert run_command(body, "mpo-x") == 2
    error = capsys.readouterr().err
    assert error.startswith(f"mpo-x: error: {message}")
    assert error.count("\n") == 1


def test_values_are_read(parser: CommandParser) -> None:
    options = parser.parse_args("--neuron.beta 0.25 file --sizes [3,4] --backend slow".split())
    assert (options.file, options.neuron.beta) == ("file", 0.25)
    assert (options.sizes, options.backend) == ((3, 4), "slow")


def test_help_has_usage_and_examples(
    parser: CommandParser, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        parser.parse_args(["--help"])
    text = capsys.readouterr().out
    assert text.startswith("usage: mpo-x FILE [--flag]\n")
    assert "examples:\n  mpo-x a\n  mpo-x b\n" in text


def test_error_is_a_usage_error(parser: CommandParser) -> None:
    with pytest.raises(UsageError):
        parser.parse_args(["--nothing"])


def test_nearest_looks_at_the_last_part_first() -> None:
    known = ["--neuron.beta", "--neuron.threshold", "--seed"]
    assert nearest("--beta", known) == ": did you mean --neuron.beta?"
    assert nearest("--sed", known) == ": did you mean --seed?"
    assert nearest("--q", known) == ""


def test_too_little_memory_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def body() -> int:
        torch.empty(2**60)
        return 0

    assert run_command(body, "mpo-x") == 2
    assert capsys.readouterr().err.startswith("mpo-x: error: there is not enough memory")

    def fault() -> int:
        raise RuntimeError("a fault of ours")

    with pytest.raises(RuntimeError, match="a fault of ours"):
        run_command(fault, "mpo-x")


def test_a_name_that_is_too_long_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def body() -> int:
        Path("x" * 5000).read_text()
        return 0

    assert run_command(body, "mpo-x") == 2
    assert capsys.readouterr().err.endswith("File name too long.\n")


@pytest.mark.filterwarnings("always")
def test_a_warning_of_this_package_is_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("warnings.showwarning", lambda message, *_: shown.append(str(message)))

    def warn() -> int:
        module = str(Path(mpo_snn.__file__).parent / "mpo.py")
        warnings.warn_explicit("a layer does not move.", UserWarning, module, 1)
        warnings.warn_explicit("of another", UserWarning, "/somewhere/else.py", 1)
        warnings.warn_explicit("old", DeprecationWarning, module, 1)
        return 0

    assert run_command(warn, "mpo-x") == 0
    assert capsys.readouterr().err == "mpo-x: warning: a layer does not move.\n"
    assert shown == ["of another", "old"]
    warnings.warn_explicit("afterwards", UserWarning, mpo_snn.__file__, 1)
    assert shown[-1] == "afterwards"
