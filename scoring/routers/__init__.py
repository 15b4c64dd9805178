"""Routers: prompt vectors in, a score per model out. See `docs/routers.md`.

>>> import numpy as np
>>> from scoring.routers import CosineRouter
>>> router = CosineRouter("routerdc", ["ant", "bee"], np.eye(2, dtype=np.float32))
>>> router.score(np.array([[3.0, 4.0]], np.float32)).scores.round(6).tolist()
[[0.6, 0.8]]
"""

from scoring.routers.build import COSINE_KINDS, RECALLING_KINDS, ROUTER_KINDS, build_router
from scoring.routers.calibration import (
    TemperatureCalibration,
    TemperatureFit,
    entropy,
    entropy_of,
    expected_calibration_error,
    fit_temperature,
)
from scoring.routers.cosine import CosineRouter
from scoring.routers.knn import OutcomeRouter
from scoring.routers.parameters import Json
from scoring.routers.router import Router
from scoring.routers.smoothie import SmoothieRouter
from scoring.routers.trained import TrainedRouter
from scoring.routers.values import RouterFallback, RouterScores

__all__ = [
    "COSINE_KINDS",
    "RECALLING_KINDS",
    "ROUTER_KINDS",
    "CosineRouter",
    "Json",
    "OutcomeRouter",
    "Router",
    "RouterFallback",
    "RouterScores",
    "SmoothieRouter",
    "TemperatureCalibration",
    "TemperatureFit",
    "TrainedRouter",
    "build_router",
    "entropy",
    "entropy_of",
    "expected_calibration_error",
    "fit_temperature",
]
