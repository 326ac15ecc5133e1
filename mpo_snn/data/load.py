"""Puts a data set together: its splits, limits, and the validation part held out."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal, cast

import torch
from torch import Tensor

from mpo_snn.data.class_names import first_difference
from mpo_snn.data.dataset import Dataset, Pixels, Samples
from mpo_snn.data.part import Part, hold_out, limit
from mpo_snn.data.settings import DataSettings
from mpo_snn.data.shards import Shards
from mpo_snn.errors import DataError

Loader = Callable[[DataSettings, int, Literal["train", "test"]], Part]


def load(
    data: str | DataSettings, timesteps: int, homes: Mapping[str, str], *, train: bool = True
) -> Dataset:
    """A data set; arguments and errors as in `mpo_snn.data.load_dataset`.

    Args:
        data: name or settings.
        timesteps: T.
        homes: the module of each name.
        train: whether the training split is needed.
    """
    name = data if isinstance(data, str) else data.name
    if name not in homes:
        raise DataError(f"unknown data set '{name}': choose one of {', '.join(homes)}.")
    settings = DataSettings(name) if isinstance(data, str) else data
    loader = cast(Loader, importlib.import_module(homes[name]).load)
    if settings.validation:
        training, evaluated = hold_out(
            _single(loader, settings, timesteps, "train"), settings.validation
        )
    elif train or _needs_training_statistics(settings):
        training, evaluated = _both(loader, settings, timesteps)
    else:
        evaluated = _single(loader, settings, timesteps, "test")
        training = evaluated.choose(torch.arange(0))
    training = limit(training, settings.train_limit)
    evaluated = limit(evaluated, settings.test_limit)
    return Dataset(
        name=name,
        train_x=_samples(training),
        train_y=training.y,
        test_x=_one_by_one(_samples(evaluated)),
        test_y=evaluated.y,
        class_names=evaluated.class_names,
        input_scaling=evaluated.words or evaluated.scaling.words,
        title=evaluated.title,
        evaluated_on=settings.evaluated_on,
        is_framed=settings.is_framed,
        settings=settings,
        train_index=training.index,
        test_index=evaluated.index,
    )


def _single(
    loader: Loader, settings: DataSettings, timesteps: int, part: Literal["train", "test"]
) -> Part:
    """One split; a finding, which names the split, stands alone."""
    try:
        return loader(settings, timesteps, part)
    except DataError as error:
        if len(error.findings) == 1:
            raise DataError(error.findings[0]) from error
        raise


def _both(loader: Loader, settings: DataSettings, timesteps: int) -> tuple[Part, Part]:
    """Both splits, what is wrong with either told at once."""
    names: tuple[Literal["train", "test"], ...] = ("train", "test")
    parts: list[Part] = []
    findings: list[str] = []
    for part in names:
        try:
            parts.append(loader(settings, timesteps, part))
        except DataError as error:
            findings += error.findings or [str(error)]
    findings = list(dict.fromkeys(findings))
    if len(findings) == 1:
        raise DataError(findings[0])
    if findings:
        raise DataError(f"cannot use data set '{settings.name}'", findings)
    train, test = parts
    if train.x.shape[1:] != test.x.shape[1:]:
        raise DataError(
            f"cannot use data set '{settings.name}': training samples have shape"
            f" {tuple(train.x.shape[1:])}, those of the test split {tuple(test.x.shape[1:])}."
        )
    if len(train.class_names) != len(test.class_names):
        raise DataError(
            f"cannot use data set '{settings.name}': its training split has"
            f" {len(train.class_names)} classes, its test split {len(test.class_names)}."
        )
    if (difference := first_difference(train.class_names, test.class_names)) is not None:
        number, a, b = difference
        raise DataError(
            f"cannot use data set '{settings.name}': class {number} is '{a}' in its training split,"
            f" '{b}' in its test split."
        )
    return train, replace(test, scaling=train.scaling, class_names=train.class_names)


def _needs_training_statistics(settings: DataSettings) -> bool:
    return settings.name == "archive" and settings.normalize


def _one_by_one(samples: Samples) -> Samples:
    """Samples that are not streamed: where accuracy is measured, they are wanted in any order."""
    return samples.files if isinstance(samples, Shards) else samples


def _samples(part: Part) -> Samples:
    if not isinstance(part.x, Tensor):
        return replace(part.x, scaling=part.scaling)
    if part.x.dtype == torch.float32 and part.scaling.divisor == 1.0 and not part.scaling.mean:
        return cast(Samples, part.x)
    return Pixels(part.x, part.scaling)
