"""Each loss against a float64 twin that loops over prompts, as the papers write them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from encoders.training.hyperparameters import Hyperparameters, Method
from encoders.training.losses import (
    classifier_loss,
    draw_companions,
    method_loss,
    multi_label_loss,
    sample_llm_loss,
    sample_sample_loss,
    zooter_loss,
)

LEVELS = (0.0, 0.2, 0.49, 0.5, 0.7, 1.0)


@st.composite
def tables(draw):
    """Logits, scores with ties and gaps, and a tie-break: (n, K) each."""
    rows, models = draw(st.integers(1, 6)), draw(st.integers(2, 7))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    scores = random.choice(LEVELS, (rows, models))
    gaps = random.random((rows, models)) < draw(st.sampled_from((0.0, 0.3)))
    gaps[:, 0] = False
    scores[gaps] = np.nan
    return random.normal(0, 3, (rows, models)), scores, random.random((rows, models))


def to_torch(*arrays):
    return [torch.from_numpy(np.asarray(array)) for array in arrays]


def softmax(values):
    shares = np.exp(values - np.max(values))
    return shares / shares.sum()


def twin_sample_llm(logits, scores, tie_break, positives, negatives):
    total = 0.0
    for row, own, ties in zip(logits, scores, tie_break, strict=True):
        known = [model for model in range(len(own)) if not np.isnan(own[model])]
        best = sorted(known, key=lambda model: (-own[model], ties[model]))[:positives]
        worst = sorted(known, key=lambda model: (own[model], ties[model]))[:negatives]
        for model in best:
            if own[model] > 0:
                others = [one for one in worst if one != model and own[one] < 0.5]
                against = [row[model], *(row[one] for one in others)]
                total -= np.log(softmax(np.array(against))[0])
    return total / len(logits)


def twin_zooter(logits, scores, temperature):
    total = 0.0
    for row, own in zip(logits, scores, strict=True):
        known = ~np.isnan(own)
        target, predicted = softmax(own[known] / temperature), softmax(row[known])
        total += (target * np.log(target / predicted)).sum()
    return total / len(logits)


def twin_classifier(logits, scores):
    losses = []
    for row, own in zip(logits, scores, strict=True):
        known = ~np.isnan(own)
        best = own[known] == own[known].max()
        if not best.all():
            losses.append(-np.log(softmax(row[known]))[best].mean())
    return np.mean(losses) if losses else 0.0


def twin_multi_label(logits, scores):
    losses = []
    for logit, score in zip(logits.ravel(), scores.ravel(), strict=True):
        if not np.isnan(score):
            share = 1 / (1 + np.exp(-logit))
            losses.append(-score * np.log(share) - (1 - score) * np.log(1 - share))
    return np.mean(losses)


@given(tables(), st.integers(1, 8), st.integers(1, 8))
def test_sample_llm_loss(table, positives, negatives):
    positives, negatives = min(positives, 7), min(negatives, 7)
    expected = twin_sample_llm(*table, positives, negatives)
    found = sample_llm_loss(*to_torch(*table), positives, negatives)
    assert found.item() == pytest.approx(expected, abs=1e-9)


@given(tables(), st.sampled_from((0.1, 1.0, 3.0)))
def test_zooter_loss(table, temperature):
    logits, scores, _ = table
    found = zooter_loss(*to_torch(logits, scores), temperature)
    assert found.item() == pytest.approx(twin_zooter(logits, scores, temperature), abs=1e-9)


@given(tables())
def test_classifier_loss(table):
    logits, scores, _ = table
    found = classifier_loss(*to_torch(logits, scores))
    assert found.item() == pytest.approx(twin_classifier(logits, scores), abs=1e-9)


@given(tables())
def test_multi_label_loss(table):
    logits, scores, _ = table
    found = multi_label_loss(*to_torch(logits, scores))
    assert found.item() == pytest.approx(twin_multi_label(logits, scores), abs=1e-9)


def twin_sample_sample(vectors, groups, draws, count, temperature):
    losses = []
    for place, group in enumerate(groups):
        near = [one for one in range(len(groups)) if groups[one] == group and one != place]
        far = [one for one in range(len(groups)) if groups[one] != group]
        if near and far:
            positive = max(near, key=lambda one: draws[place, one])
            chosen = sorted(far, key=lambda one: -draws[place, one])[:count]
            cosines = [
                vectors[place]
                @ vectors[one]
                / np.linalg.norm(vectors[place])
                / np.linalg.norm(vectors[one])
                for one in (positive, *chosen)
            ]
            losses.append(-np.log(softmax(np.array(cosines) / temperature)[0]))
    return np.mean(losses) if losses else 0.0


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 12), st.integers(0, 2**32))
def test_sample_sample_loss(rows, kinds, count, seed):
    random = np.random.default_rng(seed)
    vectors, draws = random.normal(size=(rows, 5)), random.random((rows, rows))
    groups = random.integers(0, kinds, rows)
    companions = draw_companions(*to_torch(groups, draws), count)
    found = sample_sample_loss(torch.from_numpy(vectors), companions, 0.5)
    expected = twin_sample_sample(vectors, groups, draws, count, 0.5)
    assert found.item() == pytest.approx(expected, abs=1e-9)


@given(tables(), st.sampled_from(list(Method)))
def test_gradients_are_finite_in_single_precision(table, method):
    logits, scores, tie_break = (tensor.float() for tensor in to_torch(*table))
    scores[-1] = torch.nan  # Even of a prompt without any score.
    logits.requires_grad_()
    method_loss(Hyperparameters(method=method), logits, scores, tie_break).backward()
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[-1] == 0).all()


def test_a_tie_is_broken_at_random_and_not_by_place():
    logits = torch.zeros(1, 4, requires_grad=True)
    scores = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    pushed = set()
    for turn in range(3):
        tie_break = torch.tensor([[0.5, 0.1, 0.2, 0.3]]).roll(turn, dims=1)
        tie_break[0, 0] = 0.9
        (gradient,) = torch.autograd.grad(sample_llm_loss(logits, scores, tie_break, 1, 1), logits)
        pushed |= set(torch.nonzero(gradient[0] > 0).ravel().tolist())
    assert len(pushed) > 1
