"""Callbacks of a fit that record, draw, save or end. Each stands alone: any order of them gives the same bytes."""

from lightning.pytorch import Callback

from project.callbacks.checkpoints import Checkpoints
from project.callbacks.figures import Figures
from project.callbacks.history import History
from project.callbacks.interrupt import Interrupt
from project.callbacks.progress import Progress

CALLBACKS: tuple[type[Callback], ...] = (Interrupt, History, Figures, Progress, Checkpoints)
