"""The report as plain data: what `report.json` holds, and everything else is drawn from.

Keys carry their unit; `per_inference` means averaged over the samples. There is no date in it: the
same graph, data, setting and versions give the same report. `SCHEMA_VERSION` rises when a key
changes its meaning or goes away.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpo_snn.errors import GraphError
from mpo_snn.page.quantities import show_count
from mpo_snn.profiles.energy import EnergyConstant, EnergyProfile

from .energy import SEEI_CAVEAT, seei
from .parameters import report_parameters
from .report_costs import report_layer, report_total
from .report_decisions import report_decisions

if TYPE_CHECKING:
    from mpo_snn.graph.metadata import GraphMetadata

    from .evaluate import Evaluation

SCHEMA_VERSION = 1

_PACKAGES = ("mpo-snn", "torch", "nir", "numpy")


def build_report(
    evaluation: Evaluation,
    profile: EnergyProfile,
    metadata: GraphMetadata | None,
    *,
    graph_file: str | Path,
    command: str,
    warnings: tuple[str, ...] = (),
    robustness: dict[str, Any] | None = None,
    sample: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Put a report together: dictionaries, lists, text, numbers and None.

    Args:
        evaluation: what was measured and counted.
        profile: the energy constants.
        metadata: what the graph's file says of itself; None for a foreign file.
        graph_file: the file, for its name and hash.
        command: the command line that makes this report again.
        warnings: what a reader must know, beside what the figures themselves give cause for.
        robustness: what `report_robustness` gave; None: it was not measured.
        sample: what `look_at_sample` gave; None: no sample was looked at.
    """
    layers = [report_layer(evaluation, layer, profile) for layer in evaluation.layers]
    total = report_total(evaluation, profile, layers)
    equivalence = None if metadata is None else metadata.equivalence
    activity = evaluation.activity
    return {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "summary": {
            "accuracy_percent": activity.accuracy_percent,
            "correct": activity.correct,
            "samples": activity.samples,
            "energy_pj_per_inference": total["energy_pj_per_inference"],
            "energy_low_pj_per_inference": total["energy_low_pj_per_inference"],
            "energy_high_pj_per_inference": total["energy_high_pj_per_inference"],
            "dense_energy_pj_per_inference": total["dense_energy_pj_per_inference"],
            "synops_per_inference": total["synops_per_inference"],
            "density": total["density"],
            "parameters": total["parameters"],
            "memory_bytes": total["memory_bytes"],
            "seei": seei(
                activity.accuracy_percent,
                total["dense_energy_pj_per_inference"],
                total["energy_pj_per_inference"],
            ),
            "seei_caveat": SEEI_CAVEAT,
            "equivalence": verdict(equivalence),
        },
        "warnings": [
            *_findings(evaluation, equivalence),
            *_energy_findings(total, profile),
            *warnings,
        ],
        "layers": layers,
        "total": total,
        "decisions": report_decisions(evaluation, profile),
        "robustness": robustness,
        "sample": sample,
        "synapses": [
            {**asdict(count), "sources": list(count.sources)}
            for count in evaluation.synapses.values()
        ],
        "additions": [asdict(addition) for addition in evaluation.additions],
        "equivalence": equivalence,
        "profile": _profile(profile),
        "setting": _setting(evaluation),
        "graph": _graph(evaluation, metadata, Path(graph_file)),
        "versions": versions(),
    }


def verdict(equivalence: dict[str, Any] | None) -> str:
    """`equal`, `different` or `not recorded`, out of the record in a graph's metadata."""
    equal = None if equivalence is None else equivalence.get("equal")
    if not isinstance(equal, bool):
        return "not recorded"
    return "equal" if equal else "different"


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that the figures depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def _findings(evaluation: Evaluation, equivalence: dict[str, Any] | None) -> list[str]:
    """What the figures themselves give cause to warn of."""
    activity = evaluation.activity
    silent = activity.silent
    findings = []
    if not activity.spike_counts:
        findings.append("The graph has no spiking node: density and SynOps say nothing about it.")
    elif len(silent) == len(activity.spike_counts):
        findings.append("No neuron ever spiked: the answers come from biases and analog paths.")
    elif silent:
        findings.append(f"Silent on every sample: {', '.join(silent)}.")
    if verdict(equivalence) == "different":
        findings.append("The graph does not compute what its network computes (see Equivalence).")
    return findings


def _energy_findings(total: dict[str, Any], profile: EnergyProfile) -> list[str]:
    mac = total["uncharged_mac_per_inference"]
    if not mac:
        return []
    return [
        f"Profile {profile.name} has no figure for MACs: {show_count(mac)} per inference, in layers"
        " that the input enters, are not in the energy. What input events cost on a chip, one by"
        " one, is in the report of mpo-deploy."
    ]


def _profile(profile: EnergyProfile) -> dict[str, Any]:
    constants: dict[str, EnergyConstant | None] = {
        "ac": profile.ac,
        "mac": profile.mac,
        "update": profile.update,
    }
    return {
        "name": profile.name,
        "title": profile.title,
        "kind": profile.kind,
        "notes": profile.notes,
        "constants": [
            {"operation": operation, **asdict(constant)}
            for operation, constant in constants.items()
            if constant is not None
        ],
    }


def _setting(evaluation: Evaluation) -> dict[str, Any]:
    setting = evaluation.setting
    return {
        "dataset": setting.dataset,
        "data_title": evaluation.data_title,
        "data_digest": evaluation.data_digest,
        "input_scaling": evaluation.input_scaling,
        "split": evaluation.split,
        "samples": evaluation.activity.samples,
        "timesteps": setting.timesteps,
        "dt_s": setting.dt,
        "encoding": setting.encoding,
        "readout": setting.readout,
        "batch_size": setting.batch_size,
        "device": setting.device,
        "precision": "float32",
        "recompute_input": setting.recompute_input,
        "events": setting.events,
        "on_events": list(evaluation.on_events),
    }


def _graph(evaluation: Evaluation, metadata: GraphMetadata | None, path: Path) -> dict[str, Any]:
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise GraphError(f"cannot read '{path}': {error.strerror or error}.") from error
    described = {
        "file": path.name,
        "sha256": digest,
        "input_shape": list(evaluation.input_shape),
        "output_shape": list(evaluation.output_shape),
    }
    told = ("writer", "nir_version", "reset", "reset_timing", "input_scaling")
    lists = ("class_names", "folds", "notes")
    nodes = [
        {
            "name": node.name,
            "kind": node.kind,
            "shape": list(node.shape),
            **report_parameters(evaluation.parameters[node.name]),
        }
        for node in evaluation.nodes
    ]
    return {
        **described,
        "nodes": nodes,
        "edges": [list(edge) for edge in evaluation.edges],
        **{key: getattr(metadata, key, None) for key in told},
        **{key: list(getattr(metadata, key, ())) for key in lists},
    }
