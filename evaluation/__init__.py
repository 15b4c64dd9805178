"""Data sets, offline scoring and metrics, through the same estimators that serve."""
