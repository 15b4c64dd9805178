"""Candidates in which each model has the setting that suits it best."""

import numpy as np

from scoring.fitting.judging import Candidate
from scoring.fitting.trials import Plan, Trial
from scoring.routers.parameters import Json

_LEAST = 1e-6


def each_its_own(plan: Plan, trial: Trial, name: str) -> Candidate:
    """Puts together, for each model, the column of the setting that foretells it best.

    That is the one of the least cross-entropy of held-out scores, which for such kinds
    are chances.

    Args:
        plan: That the settings were tried by.
        trial: Of a kind whose parameter may be a list, with a number for each model.
        name: Of the parameter.
    """
    qualities = plan.scored.qualities
    known = ~np.isnan(qualities)
    wanted = np.where(known, qualities, 0.0)
    chances = np.clip(trial.tables[0].astype(np.float64), _LEAST, 1 - _LEAST)
    losses = -(wanted * np.log(chances) + (known - wanted) * np.log1p(-chances)).sum(axis=1)
    best = np.where(np.isnan(losses), np.inf, losses).argmin(axis=0)
    models = np.arange(qualities.shape[1])
    values: list[Json] = [trial.settings[place][name] for place in best.tolist()]
    return Candidate(
        trial.kind,
        {**trial.settings[0], name: values},
        tuple(table[best, :, models].T for table in trial.tables),
    )
