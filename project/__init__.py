"""Two ``.npy`` files in, one per class; an honest binary classifier, its figures and its numbers out."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from project.commands.api import Run, fit
    from project.data import NpyDataModule
    from project.model import BCELoss, BinaryClassifier, NNet

__all__ = ["BCELoss", "BinaryClassifier", "NNet", "NpyDataModule", "Run", "fit"]

HOMES = {"NpyDataModule": "data", "Run": "commands.api", "fit": "commands.api"}


def __getattr__(name: str) -> Any:
    """Import a name when it is asked for: ``project --help`` need not wait for torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"project.{HOMES.get(name, 'model')}"), name)
