"""When figures are drawn, and that they go to the run's figures folder and to TensorBoard."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from project.callbacks.tensorboard import tell
from project.disk import tolerated, write_whole
from project.errors import InputWarning
from project.figures.style import to_pixels, to_png
from project.plot import draw_models, figures_of
from project.run import Run

AT_START = ("scatter",)


class Figures(Callback):
    """Draws the data when training starts, and all figures of the run folder when the fit has ended.

    TensorBoard also gets the boundary at the start, the 1st, 4th, 16th, ... validation and the end: its slider shows it
    move, of more than two features always in the plane of their principal components.
    """

    run: Run | None = None  # once training has started

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.run = Run.of_trainer(trainer)
        if not trainer.is_global_zero:
            return
        with self._tolerant(trainer, "what figures show"):
            self.run.data().classes.dots  # noqa: B018 (read now, the class files may change while the run trains)
        if trainer.global_step == 0:
            for name in AT_START:
                self._draw(trainer, name)
            self._draw(trainer, "boundary during training", pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking or not trainer.is_global_zero:
            return
        if self._is_shown(trainer):
            self._draw(trainer, "boundary during training", pl_module)

    def _is_shown(self, trainer: Trainer) -> bool:
        """Whether TensorBoard gets the boundary of this iteration."""
        validations = trainer.global_step / (trainer.val_check_batch or 1)
        return validations >= 1 and math.log(validations, 4).is_integer()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw what the folder holds once training has ended, and with it all that others write at its end."""
        if trainer.is_global_zero and self.run:
            if not self._is_shown(trainer):
                self._draw(trainer, "boundary during training", pl_module)
            for name in [name for name in figures_of(self.run) if name not in AT_START]:
                self._draw(trainer, name)

    def _draw(self, trainer: Trainer, name: str, model: Any = None) -> None:
        """Draw one of the run's figures or, for TensorBoard alone, the boundary of a model."""
        assert self.run is not None
        step = trainer.global_step
        with self._tolerant(trainer, name):
            panels = {f"after {step} iterations": model}
            pixels = to_pixels(
                draw_models(self.run, panels, wanted="components") if model is not None else self.run.figure(name)
            )
            tag = f"views/{name}"  # TensorBoard shows groups in the order of their names, and scalars shall be first.
            tell(trainer, lambda logger: logger.experiment.add_image(tag, pixels[:, :, :3], step, dataformats="HWC"))
            if model is None:
                with tolerated(self.run.path):
                    write_whole(self.run.figures / f"{name}.png", to_png(pixels))

    @contextmanager
    def _tolerant(self, trainer: Trainer, name: str) -> Iterator[None]:
        """Turn a picture that cannot be drawn into a warning: none is worth a training."""
        try:
            yield
        except Exception as error:  # On odd names and values, matplotlib and its fonts raise anything.
            advice = f"try again later with: python -m project plot {Run.of_trainer(trainer).path}"
            warnings.warn(f"{name} was not drawn ({error}); {advice}", InputWarning, stacklevel=2)
