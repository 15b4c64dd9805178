"""The neighbour memory: pools of prompts, and how far the answers to them lay apart.

It keeps prompt vectors and distances, never text. See `Memory`.
"""

from scoring.memory.memory import Memory
from scoring.memory.values import (
    Durability,
    EmbeddingSpace,
    HnswParameters,
    MemorySettings,
    NewSample,
    PoolDescription,
    Receipt,
    StoredSample,
)

__all__ = [
    "Durability",
    "EmbeddingSpace",
    "HnswParameters",
    "Memory",
    "MemorySettings",
    "NewSample",
    "PoolDescription",
    "Receipt",
    "StoredSample",
]
