"""How noisy the voters of a pool have been over time, and who has changed: no labels needed.

`PoolHistory` takes the samples of a pool one by one, in as much memory as its windows
need; `voter_changes` compares what was before with what is now. See `docs/report-pool.md`.
"""

from evaluation.drift.changes import Change, voter_changes
from evaluation.drift.history import PoolHistory, WindowNoise
from evaluation.drift.outcomes import ModelQuality, OutcomeHistory
from evaluation.drift.windows import MOST_WINDOWS, WindowPlan, parse_duration

__all__ = [
    "MOST_WINDOWS",
    "Change",
    "ModelQuality",
    "OutcomeHistory",
    "PoolHistory",
    "WindowNoise",
    "WindowPlan",
    "parse_duration",
    "voter_changes",
]
