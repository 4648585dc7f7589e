"""When figures are drawn, and that they go to the run's figures folder and to TensorBoard."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.pytorch import Callback, LightningModule, Trainer

from project.callbacks.tensorboard import show
from project.errors import InputWarning
from project.figures.style import encoded, spread, to_pixels, to_png
from project.reports.plot import draw, draw_film, of_training, write_film
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
        self.run = RunFolder.of_trainer(trainer)
        if not trainer.is_global_zero:
            return
        with self._tolerant(trainer, "what figures show"):
            self.run.data().classes.dots  # noqa: B018 (read now, the class files may change while the run trains)
        if self.run.film.exists():  # It was drawn when the run ended before.
            self._told = trainer.global_step
        if trainer.global_step == 0:
            for name in AT_START:
                self._draw(trainer, name)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw what the folder holds once training has ended, and with it all that others write at its end."""
        if not (trainer.is_global_zero and self.run):
            return
        for name in [name for name in of_training(self.run) if name not in AT_START]:
            self._draw(trainer, name)
        with self._tolerant(trainer, FILM):
            pictures = draw_film(self.run)
            for step, picture in spread(list(pictures.items()), MOST_SHOWN):
                if step > self._told:
                    show(trainer, FILM, encoded(picture), picture.size, step)
            with tolerated(self.run.path):
                write_film(self.run, pictures)

    def _draw(self, trainer: Trainer, name: str) -> None:
        assert self.run is not None
        with self._tolerant(trainer, name):
            pixels = to_pixels(draw(self.run, name))
            png, (height, width, _) = to_png(pixels), pixels.shape
            show(trainer, name, png, (width, height), trainer.global_step)
            with tolerated(self.run.path):
                write_whole(self.run.figures / f"{name}.png", png)

    @contextmanager
    def _tolerant(self, trainer: Trainer, name: str) -> Iterator[None]:
        """Turn a picture that cannot be drawn into a warning: none is worth a training."""
        try:
            yield
        except Exception as error:  # On odd names and values, matplotlib and its fonts raise anything.
            advice = f"try again later with: python -m project plot {RunFolder.of_trainer(trainer).path}"
            warnings.warn(f"{name} was not drawn ({error}); {advice}", InputWarning, stacklevel=2)
