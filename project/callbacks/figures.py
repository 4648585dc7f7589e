"""When figures are drawn, and that they go to the run's figures folder and to TensorBoard."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer
from matplotlib.figure import Figure

from project.callbacks.tensorboard import tell
from project.disk import tolerated, write_whole
from project.errors import InputWarning
from project.figures.style import Pixels, to_pixels, to_png
from project.plot import FIGURES, draw_models
from project.run import Run

AT_START = ("scatter",)


class Figures(Callback):
    """Draws the data when training starts, and all figures of the run folder when the fit has ended.

    TensorBoard also gets the boundary at the start and the 1st, 4th, 16th, ... validation: its slider shows it move.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert trainer.log_dir is not None
        datamodule = trainer.datamodule  # type: ignore[attr-defined]  # Lightning attaches it.
        self.run = Run(Path(trainer.log_dir), type(pl_module), datamodule)  # type: ignore[arg-type]
        if not trainer.is_global_zero:
            return
        with self._tolerant("what figures show"):
            self.run.data().classes.dots  # noqa: B018 (read now, the class files may change while the run trains)
        if trainer.global_step == 0:
            for name in AT_START:
                self._deliver(trainer, name)
            self._snapshot(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking or not trainer.is_global_zero:
            return
        every = trainer.val_check_batch or 1
        validations = trainer.global_step / every
        if validations >= 1 and math.log(validations, 4).is_integer():
            self._snapshot(trainer, pl_module)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw what the folder holds once training has ended, and with it all that others write at its end."""
        if trainer.is_global_zero:
            for name in [name for name in FIGURES if name not in AT_START]:
                self._deliver(trainer, name)

    def _snapshot(self, trainer: Trainer, model: LightningModule) -> None:
        with self._tolerant("boundary during training"):
            figure = draw_models(self.run, {f"after {trainer.global_step} iterations": model})  # type: ignore[dict-item]
            self._show(trainer, "boundary during training", figure)

    def _deliver(self, trainer: Trainer, name: str) -> None:
        with self._tolerant(name):
            pixels = self._show(trainer, name, self.run.figure(name))
            with tolerated(self.run.path):
                write_whole(self.run.figures / f"{name}.png", to_png(pixels))

    def _show(self, trainer: Trainer, tag: str, figure: Figure) -> Pixels:
        """Draw a figure, hand it to TensorBoard and return its pixels."""
        pixels, step = to_pixels(figure), trainer.global_step
        tell(trainer, lambda logger: logger.experiment.add_image(tag, pixels[:, :, :3], step, dataformats="HWC"))
        return pixels

    @contextmanager
    def _tolerant(self, name: str) -> Iterator[None]:
        """Turn a picture that cannot be drawn into a warning: none is worth a training."""
        try:
            yield
        except Exception as error:  # On odd names and values, matplotlib and its fonts raise anything.
            warnings.warn(
                f"{name} was not drawn ({error}); try again later with: python -m project plot {self.run.path}",
                InputWarning,
                stacklevel=2,
            )
