"""The serial kernel that compares prompts with the embeddings of models."""

import math

from scoring.kernels.compilation import request_kernel
from scoring.kernels.contrasts import Floats, Row
from scoring.kernels.measure import inner_product


@request_kernel
def product(vector: Row, direction: Floats) -> float:
    """Returns a . b of a float32 and a float64 vector, in float64."""
    total = 0.0
    for cell in range(vector.shape[0]):
        total += vector[cell] * direction[cell]
    return total


@request_kernel
def cosines(prompts: Row, directions: Floats, scores: Floats, limit: float) -> int:
    """Fills in the cosine of every prompt with every direction, 0 for a prompt of length 0.

    Args:
        prompts: (n, d) float32.
        directions: (K, d) float64, each of length 1, or zero.
        scores: (n, K) float64, takes the cosines.
        limit: Largest usable squared norm.

    Returns:
        How many prompts have another norm.
    """
    refused = 0
    for prompt in range(prompts.shape[0]):
        norm = inner_product(prompts[prompt], prompts[prompt])
        refused += not norm <= limit
        length = math.sqrt(norm) if norm > 0.0 else 1.0
        for model in range(directions.shape[0]):
            scores[prompt, model] = product(prompts[prompt], directions[model]) / length
    return refused
