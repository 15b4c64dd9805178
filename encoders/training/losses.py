"""The losses of the methods, on cosines that are already divided by their temperature.

Each takes logits (n, K) of n prompts and K models, and scores (n, K) where NaN says that a model
has none; such a model is neither drawn to the prompt nor pushed from it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from encoders.training.hyperparameters import Hyperparameters, Method

NEGATIVE_BELOW = 0.5
"""A model with this score or a better one is never a negative, as in RouterDC."""
_NOTHING = float("-inf")


def method_loss(
    hyperparameters: Hyperparameters, logits: Tensor, scores: Tensor, tie_break: Tensor
) -> Tensor:
    """The method's own loss, without the sample-sample one.

    Args:
        hyperparameters: Which method, and its numbers.
        logits: (n, K) float32.
        scores: (n, K) float32.
        tie_break: (n, K) random numbers: which of several models with one score
            counts as the better one.
    """
    match hyperparameters.method:
        case Method.ROUTERDC:
            positives, negatives = hyperparameters.positives, hyperparameters.negatives
            return sample_llm_loss(logits, scores, tie_break, positives, negatives)
        case Method.ZOOTER:
            return zooter_loss(logits, scores, hyperparameters.score_temperature)
        case Method.COSINE_CLASSIFIER:
            return classifier_loss(logits, scores)
        case Method.MULTI_LABEL:
            return multi_label_loss(logits, scores)


def sample_llm_loss(
    logits: Tensor, scores: Tensor, tie_break: Tensor, positives: int, negatives: int
) -> Tensor:
    """RouterDC's sample-LLM contrastive loss (Chen et al., NeurIPS 2024).

    Of each prompt, each of the K+ best models with a score above 0 is set against the
    K- worst ones, of which those with a score of 0.5 or more are left out. The loss is
    the sum over positives, and the mean over prompts.
    """
    known = ~scores.isnan()
    best = _order(torch.where(known, -scores, torch.inf), tie_break)[:, :positives]
    worst = _order(torch.where(known, scores, torch.inf), tie_break)[:, :negatives]
    drawn = logits.gather(1, best)
    pushed = logits.gather(1, worst).masked_fill(
        ~(scores.gather(1, worst) < NEGATIVE_BELOW), _NOTHING
    )
    # Where K+ and K- overlap, a model is not its own negative.
    rivals = pushed.unsqueeze(1).masked_fill(best.unsqueeze(2) == worst.unsqueeze(1), _NOTHING)
    against = torch.cat([drawn.unsqueeze(2), rivals], dim=2).logsumexp(dim=2) - drawn
    # A comparison with NaN is false, so a model without a score counts for nothing.
    return (against * (scores.gather(1, best) > 0)).sum(dim=1).mean()


def _order(keys: Tensor, tie_break: Tensor) -> Tensor:
    """Indexes of each row's keys, least first; of equal ones, the least tie_break first."""
    shuffled = tie_break.argsort(dim=1)
    return shuffled.gather(1, keys.gather(1, shuffled).argsort(dim=1, stable=True))


def zooter_loss(logits: Tensor, scores: Tensor, score_temperature: float) -> Tensor:
    """KL divergence from the softmax of the scores to that of the logits, mean over prompts.

    As ZOOTER distils reward scores (Lu et al., Routing to the Expert, NAACL 2024).
    """
    known = ~scores.isnan()
    target = (scores / score_temperature).masked_fill(~known, _NOTHING).softmax(dim=1)
    target = target.nan_to_num()
    predicted = logits.masked_fill(~known, _NOTHING).log_softmax(dim=1)
    gaps = torch.where(known, target.clamp_min(_LEAST_SHARE).log() - predicted, 0)
    return (target * gaps).sum(dim=1).mean()


# Its logarithm is finite in fp32, and it weighs nothing.
_LEAST_SHARE = 1e-30


def classifier_loss(logits: Tensor, scores: Tensor) -> Tensor:
    """Cross-entropy to the best model, mean over the prompts on which models differ.

    Several best models of a prompt share its weight evenly.
    """
    known = ~scores.isnan()
    ranked = scores.masked_fill(~known, _NOTHING)
    best = known & (ranked == ranked.amax(dim=1, keepdim=True))
    differs = (known & ~best).any(dim=1)
    target = best.to(logits.dtype) / best.sum(dim=1, keepdim=True).clamp_min(1)
    predicted = logits.masked_fill(~known, _NOTHING).log_softmax(dim=1)
    entropies = -torch.where(best, target * predicted, 0).sum(dim=1)
    return (entropies * differs).sum() / differs.sum().clamp_min(1)


def multi_label_loss(logits: Tensor, scores: Tensor) -> Tensor:
    """Binary cross-entropy of each logit to its score, mean over the scores that there are.

    Scores above 1 count as 1. There is no bias per model, and one scale for all: what is
    best by the loss is best by the cosine, which is all that serving computes.
    """
    known = ~scores.isnan()
    targets = scores.nan_to_num().clamp(0, 1)
    losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (losses * known).sum() / known.sum().clamp_min(1)


@dataclass(frozen=True, slots=True)
class Companions:
    """Who each prompt of a batch is compared with."""

    positive: Tensor
    """(n,) a prompt of the same group."""
    negatives: Tensor
    """(n, H) prompts of other groups."""
    has_positive: Tensor
    """(n,) bool: the group has another prompt in the batch."""
    is_negative: Tensor
    """(n, H) bool: there were as many prompts of other groups."""


def draw_companions(groups: Tensor, draws: Tensor, count: int) -> Companions:
    """Draws a companion of the same group, and some of other groups, for each prompt.

    Args:
        groups: (n,) int64.
        draws: (n, n) random numbers.
        count: H, of the out-group negatives.
    """
    same = groups.unsqueeze(0) == groups.unsqueeze(1)
    others = same & ~torch.eye(len(groups), dtype=torch.bool, device=groups.device)
    positive = draws.masked_fill(~others, _NOTHING).argmax(dim=1)
    kept = min(count, len(groups))
    drawn, negatives = draws.masked_fill(same, _NOTHING).topk(kept, dim=1)
    return Companions(positive, negatives, others.any(dim=1), drawn > _NOTHING)


def sample_sample_loss(vectors: Tensor, companions: Companions, temperature: float) -> Tensor:
    """RouterDC's sample-sample contrastive loss (Chen et al., NeurIPS 2024).

    Args:
        vectors: (n, d) of the prompts.
        companions: Of each prompt.
        temperature: Cosines are divided by it; the paper has 1.

    Returns:
        The mean over the prompts that have both a positive and a negative; 0 if none.
    """
    unit = torch.nn.functional.normalize(vectors, dim=1)
    similarities = unit @ unit.T / temperature
    near = similarities.gather(1, companions.positive.unsqueeze(1))
    far = similarities.gather(1, companions.negatives)
    far = far.masked_fill(~companions.is_negative, _NOTHING)
    losses = torch.cat([near, far], dim=1).logsumexp(dim=1) - near.squeeze(1)
    counted = companions.has_positive & companions.is_negative.any(dim=1)
    return (losses * counted).sum() / counted.sum().clamp_min(1)
