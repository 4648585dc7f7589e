"""Numbers with their intervals."""

from project.evaluation.metrics import evaluate

__all__ = ["evaluate"]
