"""What every benchmark needs: timing, operator traffic, memory, and a result file to resume from.

Times are ratios in the making: variants take turns within one process, and a ratio is only formed
between times of the same case in the same run.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.command_line import command_line
from mpo_snn.errors import OutputError
from mpo_snn.files import make_folder, write_file
from mpo_snn.training.environment import source_commit

WARM_UP = 2
_PACKAGES = ("torch", "triton", "snntorch", "spikingjelly", "onnxruntime", "numpy", "numba")
_ALLOCATOR_VARIABLES = ("LD_PRELOAD", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")
_MOVES_NOTHING = re.compile(r"empty|new_empty|_unsafe_view|_local_scalar_dense")
_DOES_NOT_READ_SELF = ("copy_", "zero_", "fill_")


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Options of every benchmark: device, seed, threads, where results go, when to stop."""
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=("cpu", "cuda"), default=default)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--results", type=Path, default=Path(__file__).parent / "results", help="folder of the JSON"
    )
    parser.add_argument("--again", action="store_true", help="measure cases that have a result")
    parser.add_argument(
        "--minutes", type=float, default=9.0, help="start no further case after this time"
    )


class Results:
    """The JSON of one benchmark on one kind of device, written anew after every case.

    Args:
        name: name of the benchmark.
        options: the common options.
    """

    def __init__(self, name: str, options: argparse.Namespace) -> None:
        """Read what is there already.

        Raises:
            OutputError: if the file there is no result file.
        """
        self.options, self.started = options, time.monotonic()
        self.device = _device_name(options.device)
        kind = "cpu" if options.device == "cpu" else re.sub(r"\W+", "-", self.device.lower())
        self.path = make_folder(options.results) / f"{name}-{kind}.json"
        self.rows: list[dict[str, Any]] = []
        if self.path.exists():
            try:
                self.rows = json.loads(self.path.read_text())["rows"]
            except (ValueError, KeyError, TypeError) as error:
                raise OutputError(
                    f"cannot add to '{self.path}': it is no result file ({error}). Move it away."
                ) from error

    def is_wanted(self, case: Mapping[str, Any]) -> bool:
        """Whether to measure a case: not done yet on this device (or `--again`), and time left."""
        label = " ".join(f"{key}={_short(value)}" for key, value in case.items())
        if self._find(case) is not None and not self.options.again:
            print(f"{label}: measured already; --again measures it anew", flush=True)
            return False
        if time.monotonic() - self.started > 60.0 * self.options.minutes:
            print(f"{label}: no time left; the same command goes on from here", flush=True)
            return False
        print(label, flush=True)
        return True

    def add(self, case: Mapping[str, Any], measured: Mapping[str, Any]) -> None:
        """Put a case's row in, in place of an older one of this device, and write the file."""
        row = {"case": _plain(case), "made_with": self._made_with(), **_plain(measured)}
        index = self._find(case)
        if index is None:
            self.rows.append(row)
        else:
            self.rows[index] = row
        write_file(self.path, json.dumps({"rows": self.rows}, indent=1) + "\n")

    def _find(self, case: Mapping[str, Any]) -> int | None:
        wanted = (_plain(case), self.device)
        for index, row in enumerate(self.rows):
            if (row["case"], row["made_with"]["device"]) == wanted:
                return index
        return None

    def _made_with(self) -> dict[str, Any]:
        options = self.options
        return {
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "command": command_line(),
            "device": self.device,
            "capability": torch.backends.cpu.get_cpu_capability(),
            "threads": torch.get_num_threads(),
            "seed": options.seed,
            "platform": platform.platform(),
            "versions": {"python": platform.python_version(), **_versions()},
            "cuda": torch.version.cuda,
            "commit": source_commit(),
            "allocator": {
                key: value
                for key, value in os.environ.items()
                if key in _ALLOCATOR_VARIABLES or key.startswith("MALLOC_")
            },
        }


def seconds(run: Callable[[], object], device: str) -> float:
    """Time of one call: CUDA events behind a cleared cache, or process CPU time of all threads."""
    if device == "cpu":
        start = time.process_time()
        run()
        return time.process_time() - start
    first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    _clear_cache()
    first.record()
    run()
    last.record()
    torch.cuda.synchronize()
    return first.elapsed_time(last) / 1e3


def take_turns(
    runs: Mapping[str, Callable[[], object]], device: str, repetitions: int
) -> dict[str, dict[str, float]]:
    """Median and minimum in seconds of each, interleaved, after a warm-up of 2 rounds."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(WARM_UP + repetitions):
        for name, run in runs.items():
            times[name].append(seconds(run, device))
    kept = {name: values[WARM_UP:] for name, values in times.items()}
    return {
        name: {"median_s": statistics.median(values), "min_s": min(values)}
        for name, values in kept.items()
    }


def on_own_stream(device: str) -> None:
    """Go over to another stream than the default one, which a GPU cannot record."""
    if device == "cuda":
        torch.cuda.set_stream(torch.cuda.Stream())  # type: ignore[no-untyped-call]


def recorded(name: str) -> str:
    """What a variant is called that is launched as one CUDA graph."""
    return f"{name}, recorded"


def copy_bandwidth(device: str) -> float:
    """Bytes per second of a large copy, read and written both counted; the best of 7."""
    source = torch.ones((1 << 28) if device == "cuda" else (1 << 25), device=device)
    target = torch.empty_like(source)
    best = take_turns({"copy": lambda: target.copy_(source)}, device, 7)["copy"]["min_s"]
    return 2 * source.numel() * source.element_size() / best


def traffic(run: Callable[[], object]) -> tuple[int, int]:
    """Bytes that the operators of a call read and write, and how many operators these are.

    Inputs and outputs of every operator are counted once each, whatever cache they come from;
    the figure depends on the code alone, not on the load of the machine.
    """
    with _Traffic() as mode:
        run()
    return mode.bytes, mode.operators


class _Traffic(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.bytes, self.operators = 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        schema = func._schema
        is_view = any(r.alias_info and not r.alias_info.is_write for r in schema.returns)
        name = schema.name.partition("::")[2]
        if not is_view and not _MOVES_NOTHING.match(name):
            read = args[1:] if name in _DOES_NOT_READ_SELF else args
            inputs = [read, {k: v for k, v in kwargs.items() if k != "out"}]
            self.bytes += sum(_touched(t) for t in tree_leaves([inputs, result]))
            self.operators += 1
        return result


def peak_memory(run: Callable[[], object], device: str) -> int:
    """Highest number of bytes allocated at once during a call, above what was there before."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it tells of every start and stop
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    events = profiler.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    now, peak = 0, 0
    for _, change in changes:
        now += change
        peak = max(peak, now)
    return peak


def _touched(value: object) -> int:
    if not isinstance(value, Tensor):
        return 0
    count = 1
    for size, stride in zip(value.shape, value.stride(), strict=True):
        count *= size if stride else 1
    return count * value.element_size()


_scratch: Tensor | None = None


def _clear_cache() -> None:
    """Overwrite 256 MiB, more than any present GPU caches."""
    global _scratch
    if _scratch is None:
        _scratch = torch.empty(1 << 26, device="cuda")
    _scratch.zero_()


def _device_name(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    facts = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", facts.read_text()) if facts.exists() else None
    return found[1] if found else platform.machine()


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """As it reads back from JSON, with times and ratios to 4 digits."""
    plain: dict[str, Any] = json.loads(
        json.dumps(value), parse_float=lambda text: float(f"{float(text):.4g}")
    )
    return plain


def _short(value: object) -> str:
    return "x".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
