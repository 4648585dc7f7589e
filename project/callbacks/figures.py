"""Figures of the run folder, drawn at the start and at the end of a fit."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.pytorch import Callback, LightningModule, Trainer

from project.callbacks.tensorboard import run_loggers
from project.errors import InputWarning
from project.figures.style import DPI, WIDTH, encode_gif, encode_png, stack_panels, to_picture
from project.reports.plot import FIGURES, draw, draw_film, run_figures
from project.runs.disk import tolerated, write_whole
from project.runs.run import RunFolder

PANEL = round(WIDTH * DPI)  # pixels; TensorBoard's cards are too narrow for panels side by side


class Figures(Callback):
    """Draws the data when training starts, and all figures of the run folder when the fit has ended.

    TensorBoard gets them too, with panels below each other, and instead of boundary.png the pictures of boundary.gif
    under their iterations: its slider shows the boundary move.
    """

    run: RunFolder | None = None  # once training has started

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.run = RunFolder.from_trainer(trainer)
        if not trainer.is_global_zero:
            return
        with self._tolerant("what figures show"):
            self.run.data().classes.dots  # noqa: B018 (read now, the class files may change while the run trains)
        if trainer.global_step == 0:
            self._draw(trainer, self.run, "scatter")

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw what the folder holds once the others have written all that they write at the end of training."""
        if not (trainer.is_global_zero and self.run):
            return
        for name in run_figures(self.run):
            if name in FIGURES and name != "scatter":
                self._draw(trainer, self.run, name)
        with self._tolerant("boundary.gif"):
            pictures = draw_film(self.run)
            for step, picture in pictures.items():
                for logger in run_loggers(trainer):
                    logger.log_picture("boundary", picture.crop((0, 0, PANEL, picture.height)), step)
            if pictures:
                write_whole(self.run.film, encode_gif(list(pictures.values())))

    def _draw(self, trainer: Trainer, run: RunFolder, name: str) -> None:
        with self._tolerant(name):
            figure = draw(run, name)
            write_whole(run.figures / f"{name}.png", encode_png(picture := to_picture(figure)))
            for logger in run_loggers(trainer) if name != "boundary" else ():
                narrow = picture if picture.width == PANEL else stack_panels(figure)
                logger.log_picture(name, narrow, trainer.global_step)

    @contextmanager
    def _tolerant(self, name: str) -> Iterator[None]:
        """Turn a picture that cannot be drawn or written into a warning: none is worth a training."""
        assert self.run is not None
        try:
            with tolerated(self.run.path):
                yield
        except Exception as error:  # On odd names and values, matplotlib and its fonts raise anything.
            advice = f"try again later with: python -m project plot {self.run.path}"
            warnings.warn(f"{name} was not drawn ({error}); {advice}", InputWarning, stacklevel=2)
