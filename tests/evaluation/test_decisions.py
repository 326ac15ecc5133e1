"""Decisions against a loop over samples and timesteps, in plain Python."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.errors import RecipeError
from mpo_snn.evaluation.decisions import decide
from mpo_snn.readout import READOUTS


def loop(output, label, readout):
    steps, batch, classes = output.shape
    confusion = [[0] * classes for _ in range(classes)]
    correct_at, exit_correct, exit_steps = [0] * steps, [0] * steps, [0] * steps
    for b in range(batch):
        answers, total = [], [0.0] * classes
        for t in range(steps):
            now = output[t, b].tolist()
            total = [a + n for a, n in zip(total, now, strict=True)]
            scores = now if readout == "last" else total
            answers.append(scores.index(max(scores)))
        confusion[label[b]][answers[-1]] += 1
        for t in range(steps):
            correct_at[t] += answers[t] == label[b]
        for patience in range(1, steps + 1):
            for t in range(steps):
                before = answers[max(0, t - patience + 1) : t + 1]
                if (len(before) == patience and len(set(before)) == 1) or t == steps - 1:
                    exit_steps[patience - 1] += t + 1
                    exit_correct[patience - 1] += answers[t] == label[b]
                    break
    return confusion, correct_at, exit_correct, exit_steps


@pytest.mark.parametrize("readout", READOUTS)
@settings(deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    shape=st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(1, 4)),
)
def test_decisions_equal_a_loop(readout, seed, shape):
    generator = torch.Generator().manual_seed(seed)
    output = torch.randint(-2, 3, shape, generator=generator).float()  # whole numbers tie
    label = torch.randint(shape[2], (shape[1],), generator=generator)
    decided = decide(output, label, readout)
    confusion, correct_at, exit_correct, exit_steps = loop(output, label.tolist(), readout)
    assert decided.confusion.tolist() == confusion
    assert decided.correct_at.tolist() == correct_at
    assert decided.exit_correct.tolist() == exit_correct
    assert decided.exit_steps.tolist() == exit_steps
    twice = decided + decided
    assert twice.samples == 2 * shape[1] and twice.correct == 2 * correct_at[-1]


def test_patience_one_answers_at_once_and_patience_t_at_the_end():
    output = torch.tensor([[[1.0, 0.0]], [[0.0, 3.0]], [[0.0, 0.0]]])
    decided = decide(output, torch.tensor([1]), "sum")
    assert decided.exit_steps.tolist() == [1, 3, 3]
    assert decided.exit_correct.tolist() == [0, 1, 1]


def test_unknown_readout():
    with pytest.raises(RecipeError, match="unknown readout 'max'"):
        decide(torch.zeros(2, 1, 2), torch.tensor([0]), "max")
