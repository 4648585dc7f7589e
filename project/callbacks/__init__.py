"""When to record or draw, and where it goes."""

from project.callbacks.checkpoints import Checkpoints
from project.callbacks.divergence import Divergence
from project.callbacks.figures import Figures
from project.callbacks.history import History
from project.callbacks.interrupt import Interrupt
from project.callbacks.progress import Progress
from project.callbacks.tensorboard import TensorBoard
from project.callbacks.threads import Threads

__all__ = ["Checkpoints", "Divergence", "Figures", "History", "Interrupt", "Progress", "TensorBoard", "Threads"]
