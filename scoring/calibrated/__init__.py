"""What a few outcomes add to agreement: the estimator kind `calibrated`.

Qualities of voters, slopes of label-free features and the trust in agreement are
fitted together, in closed form; `docs/calibrated.md` says what each number means.
"""

from scoring.calibrated.estimate import calibrate, expected_quality
from scoring.calibrated.features import relative_features
from scoring.calibrated.fit import fit_calibration
from scoring.calibrated.values import (
    CONTRADICTED,
    FEATURES,
    PRIOR,
    CalibratedEstimate,
    CalibrationFit,
    JudgedAnswers,
    Prior,
)

__all__ = [
    "CONTRADICTED",
    "FEATURES",
    "PRIOR",
    "CalibratedEstimate",
    "CalibrationFit",
    "JudgedAnswers",
    "Prior",
    "calibrate",
    "expected_quality",
    "fit_calibration",
    "relative_features",
]
