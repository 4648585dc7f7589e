"""The network, its criteria and what an iteration computes."""

from project.model.classifier import BinaryClassifier
from project.model.loss import BCELoss
from project.model.net import NNet

__all__ = ["BCELoss", "BinaryClassifier", "NNet"]
