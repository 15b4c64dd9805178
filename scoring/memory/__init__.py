"""The neighbour memory: pools of prompts, and how far the answers to them lay apart.

Beside that it keeps how good answers were, where that was recorded. It keeps prompt
vectors, distances and qualities, never text. See `Memory`.
"""

from scoring.memory.memory import Memory
from scoring.memory.outcomes.values import (
    JudgedSubjects,
    MeasuredAnswers,
    NewOutcome,
    OutcomeNeighbourhood,
    OutcomeReceipt,
    OutcomeTotals,
    StoredOutcome,
)
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
    "JudgedSubjects",
    "MeasuredAnswers",
    "Memory",
    "MemorySettings",
    "NewOutcome",
    "NewSample",
    "OutcomeNeighbourhood",
    "OutcomeReceipt",
    "OutcomeTotals",
    "PoolDescription",
    "Receipt",
    "StoredOutcome",
    "StoredSample",
]
