"""Figures of the run folder, drawn at the start and at the end of a fit."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.pytorch import Callback, LightningModule, Trainer

from project.callbacks.tensorboard import run_loggers
from project.errors import InputWarning
from project.figures.style import encode_gif, encode_png, pick_evenly, to_picture
from project.reports.plot import FIGURES, draw, draw_film, figure_drawers
from project.runs.disk import tolerated, write_whole
from project.runs.run import RunFolder

AT_START = ("scatter",)
FILM = "boundary during training"
MOST_SHOWN = 10  # of the pictures that TensorBoard is given under one name


class Figures(Callback):
    """Draws the data when training starts, and all figures of the run folder when the fit has ended.

    TensorBoard gets them too, and pictures of boundary.gif under their iterations: its slider shows the boundary move.
    """

    run: RunFolder | None = None  # once training has started
    _told = -1  # the last iteration of which TensorBoard has the pictures

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.run = RunFolder.from_trainer(trainer)
        if not trainer.is_global_zero:
            return
        with self._tolerant("what figures show"):
            self.run.data().classes.dots  # noqa: B018 (read now, the class files may change while the run trains)
        if self.run.film.exists():  # It was drawn when the run ended before.
            self._told = trainer.global_step
        if trainer.global_step == 0:
            for name in AT_START:
                self._draw(trainer, self.run, name)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw what the folder holds once training has ended, and with it all that others write at its end."""
        if not (trainer.is_global_zero and self.run):
            return
        for name in figure_drawers(self.run):
            if name in FIGURES and name not in AT_START:
                self._draw(trainer, self.run, name)
        with self._tolerant(FILM):
            pictures = draw_film(self.run)
            steps = list(pictures)
            for step in [steps[place] for place in pick_evenly(len(steps), MOST_SHOWN)]:
                for logger in run_loggers(trainer) if step > self._told else ():
                    logger.log_picture(FILM, pictures[step], step)
            if pictures:
                with tolerated(self.run.path):
                    write_whole(self.run.film, encode_gif(list(pictures.values())))

    def _draw(self, trainer: Trainer, run: RunFolder, name: str) -> None:
        with self._tolerant(name):
            picture = to_picture(draw(run, name))
            for logger in run_loggers(trainer):
                logger.log_picture(name, picture, trainer.global_step)
            with tolerated(run.path):
                write_whole(run.figures / f"{name}.png", encode_png(picture))

    @contextmanager
    def _tolerant(self, name: str) -> Iterator[None]:
        """Turn a picture that cannot be drawn into a warning: none is worth a training."""
        try:
            yield
        except Exception as error:  # On odd names and values, matplotlib and its fonts raise anything.
            assert self.run is not None
            advice = f"try again later with: python -m project plot {self.run.path}"
            warnings.warn(f"{name} was not drawn ({error}); {advice}", InputWarning, stacklevel=2)
