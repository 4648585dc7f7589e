"""When to record or draw, and where it goes."""

from project.callbacks.checkpoints import Checkpoints
from project.callbacks.figures import Figures
from project.callbacks.history import History
from project.callbacks.progress import Progress
from project.callbacks.tensorboard import TensorBoard

__all__ = ["Checkpoints", "Figures", "History", "Progress", "TensorBoard"]
