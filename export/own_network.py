"""A network of one's own, which has no run directory, as a file with its proof and metadata."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from mpo_snn.data.dataset import Dataset, Samples
from mpo_snn.data.part import stratified_order
from mpo_snn.encoding import ENCODINGS, shape_of_step
from mpo_snn.errors import ExportError
from mpo_snn.files import NIR_SUFFIXES
from mpo_snn.graph.metadata import GraphMetadata
from mpo_snn.neurons import MPONeuron
from mpo_snn.readout import READOUTS
from mpo_snn.unroll import Unrolled

from .compare import compare
from .equivalence import Equivalence
from .file_metadata import Told, file_metadata
from .for_reader import (
    ReaderExport,
    export_for_reader,
    export_preferred,
    meaning_of,
    reader_named,
    timestep_for,
)
from .loading_code import loading_code
from .nir_export import Export, export_nir
from .proof import Proof, as_read, title_of
from .reader_file import write_reader_file
from .sample_shapes import is_count
from .sources import GraphSource, NetworkSource
from .threshold_rounding import rounding_note


@dataclass(frozen=True)
class OwnFile:
    """A file that was written for a network of one's own.

    Attributes:
        path: of the file.
        export: the network as it stands in it.
        metadata: what the file says beside its graph.
        proof: that it fires the network's spikes.
    """

    path: Path
    export: ReaderExport
    metadata: GraphMetadata
    proof: Proof

    @property
    def notes(self) -> tuple[str, ...]:
        """What its user must know, a line each: also why it is not for more readers."""
        return (*self.metadata.notes, *self.proof.reservations)

    @property
    def loading_code(self) -> Mapping[str, str]:
        """Python that loads the file and runs it, to be pasted, by the title of each reader."""
        return loading_code(self.export, self.path, self.metadata.timesteps)


def export_network(
    network: nn.Module,
    path: str | Path,
    data: Dataset | Tensor,
    *,
    timesteps: int,
    encoding: str = "direct",
    readout: str = "mean",
    reader: str | None = None,
    chip: bool = False,
    samples: int | None = None,
    dt: float | None = None,
    allow_different: bool = False,
) -> OwnFile:
    """Export a one-timestep network, prove the file on samples, and write it with its record.

    The file says what a run's would: `mpo-evaluate`, `mpo-verify` and `mpo-deploy` need no more.

    Args:
        network: plain torch.nn and MPO neurons (`mpo_snn.adapt`), or an `Unrolled` of it; it is run
            in eval mode and not modified.
        path: file to write, `*.nir`; the record goes beside it, `*.equivalence.json`.
        data: what the proof runs on: a data set, whose test split is taken and whose name, classes
            and settings go into the file, or samples, (N, *features).
        timesteps: T of one inference.
        encoding: how a sample becomes a sequence (`mpo_snn.encoding`).
        readout: how outputs become a prediction (`mpo_snn.readout`).
        reader: program that will run the file (`mpo-export --list`); None takes one file for
            several of them where the network has that form, else plain NIR.
        chip: write for `mpo-deploy`: neurons may fire several times in a step, have a lowest
            membrane, and subtract in the step of the spike, which NIR itself cannot state.
        samples: how many at most, every class in its share; None takes all.
        dt: timestep in seconds; None takes the reader's, else 1e-4. Only dt/tau matters.
        allow_different: write the file, marked as different, even if the proof fails.

    Raises:
        ExportError: if a setting is out of range; naming all that has no form in NIR or in the
            reader; if the file would not fire the same spikes.
        UnrollError: if forward is not one timestep.
        OutputError: if the disk refuses.
    """
    path = Path(path)
    _check(path, timesteps, encoding, readout, reader, chip, samples, dt)
    unrolled = _unrolled(network, timesteps)
    x, named = _samples(data, samples)
    shape = shape_of_step(tuple(x.shape[1:]), encoding, timesteps)
    plain, export = _export(unrolled.network, shape, reader, chip, dt)
    _refuse_outputs(plain, readout, named["class_names"])
    reset, timing = _resets(unrolled)
    told = Told(timesteps, encoding, readout, **named, reset=reset, reset_timing=timing)
    version = export.reader.nir_version
    metadata = file_metadata(export, export.dt, version, told, export.reader.name)
    graph = as_read(export.graph, metadata)
    spiking = dict(metadata.spiking)
    equivalence = compare(
        NetworkSource(unrolled, type(unrolled.network).__name__),
        GraphSource(meaning_of(graph), export.dt, spiking, title_of(export), export.units),
        x,
        timesteps,
        encoding=encoding,
        readout=readout,
        data=data.description if isinstance(data, Dataset) else "samples of the caller",
        rounding=export.rounding,
    )
    rounded = export.rounding
    notes = () if rounded is None else (rounding_note(title_of(export), rounded),)
    proof = Proof(equivalence, (), notes)
    if not proof.is_equal and not allow_different:
        raise ExportError(_verdict(path, equivalence))
    metadata = replace(metadata, equivalence=proof.summary())
    write_reader_file(path, export.graph, metadata, proof, export.reader)
    return OwnFile(path, export, metadata, proof)


def _check(
    path: Path,
    timesteps: int,
    encoding: str,
    readout: str,
    reader: str | None,
    chip: bool,
    samples: int | None,
    dt: float | None,
) -> None:
    findings = []
    if path.suffix not in NIR_SUFFIXES:
        findings.append(
            f"path is '{path}', but the name of a NIR file ends in {' or '.join(NIR_SUFFIXES)}."
        )
    findings += [
        f"{name} is {count!r}, allowed is a whole number, 1 or more."
        for name, count in (("timesteps", timesteps), ("samples", samples))
        if not (is_count(count) or (name == "samples" and count is None))
    ]
    if dt is not None and not (isinstance(dt, Real) and 0.0 < dt < math.inf):
        findings.append(f"dt is {dt!r}, allowed is a number of seconds above 0.")
    if encoding not in ENCODINGS:
        findings.append(f"encoding is '{encoding}', allowed are {', '.join(ENCODINGS)}.")
    if readout not in READOUTS:
        findings.append(f"readout is '{readout}', allowed are {', '.join(READOUTS)}.")
    if chip and reader is not None:
        findings.append(f"reader is '{reader}', but a file for chips is for mpo-deploy: leave out.")
    if findings:
        raise ExportError("cannot export the network", findings)


def _unrolled(network: nn.Module, timesteps: int) -> Unrolled:
    if not isinstance(network, nn.Module):
        raise ExportError(
            f"cannot export {type(network).__name__}: a network is a torch.nn.Module."
        )
    if not isinstance(network, Unrolled):
        return Unrolled(network, timesteps)
    if network.timesteps != timesteps:
        raise ExportError(
            f"cannot export the network: it is unrolled over {network.timesteps} timesteps, and"
            f" timesteps is {timesteps}."
        )
    return network


def _samples(data: Dataset | Tensor, count: int | None) -> tuple[Samples, dict[str, Any]]:
    """The samples of the proof, and what is known of them."""
    if not isinstance(data, Dataset | Tensor):
        raise ExportError(
            f"cannot prove the export on {type(data).__name__}: give a data set of"
            " mpo_snn.data.load_dataset, or samples as a tensor, (N, *features)."
        )
    if isinstance(data, Tensor):
        if data.dim() < 2:
            raise ExportError(
                f"cannot prove the export: the samples have shape {tuple(data.shape)}, expected"
                " (N, *features)."
            )
        if not bool(data.isfinite().all()):
            raise ExportError(
                f"cannot prove the export: {int((~data.isfinite()).sum()):,} of {data.numel():,}"
                " values of the samples are infinite or NaN."
            )
        nothing = {"dataset": None, "data": None, "input_scaling": "", "class_names": ()}
        return data[:count], nothing
    x: Samples = data.test_x
    if count is not None:
        x = x[stratified_order(data.test_y)[:count].tolist()]
    return x, {
        "dataset": data.name,
        "data": None if data.settings is None else data.settings.shown,
        "input_scaling": data.input_scaling,
        "class_names": data.class_names,
    }


def _export(
    network: nn.Module,
    shape: tuple[int, ...],
    reader: str | None,
    chip: bool,
    dt: float | None,
) -> tuple[Export, ReaderExport]:
    """The network in plain NIR, and as it goes into the file."""
    chosen = None if reader is None else reader_named(reader)
    if chosen is not None and None not in (dt, chosen.dt) and dt != chosen.dt:
        raise ExportError(
            f"cannot export the network: dt is {dt:g} s, but {chosen.title} computes with"
            f" {chosen.dt:g} s; only dt/tau matters, so leave dt out."
        )
    step = timestep_for(chosen or reader_named("nir"), dt)
    plain = export_nir(network, shape, step, chip=chip)
    if chip:
        return plain, ReaderExport(**vars(plain), reader=reader_named("nir"), dt=step, after="")
    if chosen is None:
        return plain, export_preferred(plain, step)
    return plain, export_for_reader(plain, chosen, step)


def _refuse_outputs(plain: Export, readout: str, class_names: tuple[str, ...]) -> None:
    """Refuse outputs that the read-out, or the classes of the data, do not fit."""
    outputs = int(np.prod(plain.graph.nodes["output"].output_type["output"]))
    last = {a for a, b in plain.graph.edges if b == "output"}
    findings = []
    if readout == "spike_count" and not last <= set(plain.spiking.values()):
        findings.append(
            "readout is 'spike_count', but the network's output is no spikes of a layer of neurons:"
            " return spikes first, or use mean, sum or last."
        )
    if class_names and outputs != len(class_names):
        findings.append(f"the network has {outputs} outputs, the data {len(class_names)} classes.")
    if findings:
        raise ExportError("cannot export the network", findings)


def _resets(unrolled: Unrolled) -> tuple[str, str]:
    """Reset and timing of its neurons; all of them where they differ."""
    neurons: list[MPONeuron] = list(unrolled.neurons.values())
    kinds = dict.fromkeys(n.reset_kind for n in neurons)
    timings = dict.fromkeys(n.reset_timing for n in neurons)
    return ", ".join(kinds), ", ".join(timings)


def _verdict(path: Path, equivalence: Equivalence) -> str:
    place = equivalence.first_divergence
    where = "" if place is None else f", first in {place.layer} at timestep {place.timestep}"
    return (
        f"cannot write '{path}': the file does not fire the network's spikes{where}; nothing was"
        " written. allow_different=True writes it and marks it as different."
    )
