"""Phases of a trainer: the same callbacks are there for every command."""

from lightning.pytorch import Trainer


def is_validation_of_fit(trainer: Trainer) -> bool:
    """Say whether a validation is one that ``fit`` records: not that of ``validate``, nor Lightning's sanity check."""
    return trainer.state.fn == "fit" and not trainer.sanity_checking
