"""SIGTERM ends commands as Ctrl-C does, and no process of a study outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import mpo_snn
from mpo_snn.cli import termination
from mpo_snn.cli.command import run_command
from mpo_snn.cli.several import launch
from mpo_snn.cli.study import main as study
from mpo_snn.cli.train import main as train
from mpo_snn.errors import MpoError, StudyError
from mpo_snn.evaluation import study_worker
from mpo_snn.evaluation.study_engine import Engine
from mpo_snn.evaluation.study_runs import Measure, run_trials
from mpo_snn.training.module import TrainingModule
from mpo_snn.training.run_lock import training_alone
from mpo_snn.training.rundir import open_run

TINY = (
    "digits --epochs 2 --timesteps 2 --data.train_limit 120 --data.test_limit 60"
    " --network.channels [2] --optimizer.batch_size 60 --threads 1 --device cpu --quiet"
).split()
LONG = 2000
"""Epochs that no test lives through."""


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_command_says_by_its_exit_code_that_it_was_terminated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def body() -> int:
        terminate()
        return 0

    assert run_command(body, "mpo-x") == 143
    assert capsys.readouterr().err == "mpo-x: interrupted.\n"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def swallowing(then: str) -> int:
    """A library that loses an interruption, and what becomes of the command after it."""
    with suppress(KeyboardInterrupt):
        os.kill(os.getpid(), getattr(signal, then.partition(" ")[0]))
        time.sleep(5)
    match then.partition(" ")[2]:
        case "fails":
            raise MpoError("the network is wrong")
        case "breaks":
            raise AttributeError("module 'triton' has no attribute 'backends'")
        case code:
            return int(code)


@pytest.mark.parametrize("signal_name", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("end", ["0", "1", "fails", "breaks"])
def test_a_signal_that_a_library_swallows_is_told_in_the_end(
    signal_name: str, end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_command(lambda: swallowing(f"{signal_name} {end}"), "mpo-x")
    assert code == {"SIGTERM": 143, "SIGINT": 130}[signal_name]
    assert capsys.readouterr().err == "mpo-x: interrupted.\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_same_signal_twice_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    came = termination.Termination()
    with pytest.raises(KeyboardInterrupt):
        came.come()
    came.come()
    monkeypatch.setattr(termination, "SAME_WITHIN", -1.0)
    with pytest.raises(KeyboardInterrupt):
        came.come()


def test_a_signal_that_is_ignored_or_handled_is_left_alone() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert run_command(lambda: terminate() or 0, "mpo-x") == 0
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@pytest.fixture
def terminated_at_step_2(monkeypatch: pytest.MonkeyPatch) -> None:
    original = TrainingModule.training_step

    def training_step(self: TrainingModule, *arguments: Any) -> Any:
        if self.global_step == 2:
            terminate()
        return original(self, *arguments)

    monkeypatch.setattr(TrainingModule, "training_step", training_step)


@pytest.mark.usefixtures("terminated_at_step_2")
def test_training_says_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert train([*TINY, "--output", str(run)]) == 143
    assert capsys.readouterr().err == (
        f"mpo-train: interrupted; go on with: mpo-train --resume {run}\n"
    )
    assert open_run(run, unfinished=True).epochs_done == 1


@pytest.mark.usefixtures("terminated_at_step_2")
def test_a_study_says_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["ablation", *TINY, "--configurations", "baseline", "--output", str(tmp_path / "out")]
    assert study(words) == 143
    told = capsys.readouterr().err
    assert told.startswith("mpo-study: interrupted; go on with: mpo-study ablation digits")
    assert told.count("\n") == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_torchrun_that_is_terminated(
    number: signal.Signals, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException

    def stop(_: object) -> None:
        raise SignalException("a signal", sigval=number)

    monkeypatch.setattr(run, "run", stop)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert launch("mpo-train", "a.module", [], 2) == code


def test_a_worker_ends_with_its_parent() -> None:
    """Both hold the end of a pipe, which closes when the last of them is gone."""
    worker = (
        "import os, signal, sys, time; from mpo_snn.evaluation.study_worker import working_for\n"
        "with working_for(os.getppid()):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('at work', flush=True); time.sleep(120)\n"
    )
    parent = (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {worker!r}], stdin=subprocess.DEVNULL)\n"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as started:
        assert started.stdout is not None and started.stdout.readline() == b"at work\n"
        started.kill()
        rest, _ = started.communicate(timeout=30)
    assert rest == b""


@pytest.mark.filterwarnings("always")
def test_a_worker_warns_as_its_command_does(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    parents: list[int] = []
    monkeypatch.setattr(study_worker, "end_with", parents.append)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with study_worker.working_for(7):
        warnings.warn_explicit("it does not move.", UserWarning, mpo_snn.__file__, 1)
    assert capsys.readouterr().err == "mpo-study: warning: it does not move.\n"
    assert parents == [7]
    with study_worker.working_for(None), pytest.warns(UserWarning, match="as ever"):
        warnings.warn_explicit("as ever", UserWarning, mpo_snn.__file__, 1)
    assert parents == [7]


def children_of(process: int) -> list[int]:
    found = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(number) for number in found.split()]


def alive(processes: list[int]) -> list[int]:
    """Those that are not gone; a zombie is."""
    found = []
    for number in processes:
        try:
            state = Path(f"/proc/{number}/stat").read_text().rpartition(") ")[2][0]
        except OSError:
            continue
        if state != "Z":
            found.append(number)
    return found


def wait_for_training(started: subprocess.Popen[Any], runs: list[Path]) -> list[int]:
    """The processes that train, once every run has an epoch behind it."""
    deadline = time.monotonic() + 100
    while not all((run / "metrics.csv").is_file() for run in runs):
        assert started.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    return children_of(started.pid)


def check_that_they_end(processes: list[int], runs: list[Path]) -> None:
    """Nobody writes into a run any more, and nobody is left."""
    deadline = time.monotonic() + 60
    for run in runs:  # waits for those that are to see that they are orphans
        with training_alone(open_run(run, unfinished=True)):
            before = (run / "metrics.csv").read_bytes()
    while alive(processes):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (runs[-1] / "metrics.csv").read_bytes() == before


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="there is no /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_processes_of_a_study_end_with_it(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    words = ["ablation", *TINY, "--configurations", "baseline", "--seeds", "0,1", "--jobs", "2"]
    words += ["--epochs", str(LONG), "--output", str(tmp_path / "out")]
    command = [sys.executable, "-m", "mpo_snn.cli.study", *words]
    runs = [tmp_path / "out" / "runs" / f"baseline-s{seed}" for seed in (0, 1)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as started:
        workers = wait_for_training(started, runs)
        started.send_signal(number)
        _, told = started.communicate(timeout=60)
    assert started.returncode == code
    assert ("interrupted; go on with: mpo-study ablation" in told) == (number == signal.SIGTERM)
    check_that_they_end(workers, runs)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="there is no /proc")
def test_processes_of_a_training_end_when_it_is_killed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = [*TINY, "--processes", "2", "--epochs", str(LONG), "--output", str(run)]
    command = [sys.executable, "-m", "mpo_snn.cli.train", *words]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as started:
        ranks = wait_for_training(started, [run])
        started.kill()
    assert len(ranks) >= 2
    check_that_they_end(ranks, [run])


def test_a_worker_that_is_killed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    def stop(*_: object, **__: object) -> Any:
        raise TerminatedWorkerError("a worker")

    monkeypatch.setattr("joblib.Parallel", stop)
    with pytest.raises(StudyError, match="a process that trained its runs was killed"):
        run_trials([], tmp_path, Engine(), Measure("none", {}, lambda *_: {}), lambda _: None)
