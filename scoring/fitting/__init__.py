"""Routers learned from prompt vectors and qualities. See `docs/routers.md`."""

from scoring.fitting.choosing import AUTO_KINDS, choose_parameters, choose_router, fit
from scoring.fitting.kinds import KINDS
from scoring.fitting.values import Chosen, Fitted, TrainingRows, Tried

FITTED_KINDS = frozenset(KINDS) | {"stack"}
"""Every kind that is learned from vectors."""

__all__ = [
    "AUTO_KINDS",
    "FITTED_KINDS",
    "Chosen",
    "Fitted",
    "TrainingRows",
    "Tried",
    "choose_parameters",
    "choose_router",
    "fit",
]
