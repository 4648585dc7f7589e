"""The boundary and the losses in the course of training: pictures, one after the other."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from project.figures.boundary import Scene, add_key, draw_answers, draw_scene
from project.figures.style import LINE_COLOURS, Drawing, Numbers, add_panels, reduce_colours, wrap


def film_pictures(
    panels: Mapping[str, Numbers], scene: Scene, steps: Sequence[int], draw_losses: Callable[[Axes], None]
) -> list[Image.Image]:
    """Draw a picture, of few colours, of each panel of a scene, beside the losses with a line at its iteration."""
    pictures, figure = [], Drawing(1, 2)
    grid = figure.add_gridspec(1, 2)
    left, right = figure.add_subfigure(grid[0]), figure.add_subfigure(grid[1])
    (ax,), (losses,) = add_panels(left), add_panels(right)
    draw_scene(ax, scene, panels)
    draw_losses(losses)
    add_key(left, [ax], scene)
    ax.set_title(wrap(next(iter(panels)), 60))  # The layout makes room for it.
    over: list[Artist] = [*ax.collections, *ax.spines.values(), ax.title]
    for artist in over:
        artist.set_animated(True)  # It is left out until it is drawn over a plane.
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    # What is the same in all pictures, as texts and ticks, takes nine tenths of a picture's time, and is drawn once.
    steady = canvas.copy_from_bbox(figure.bbox)  # type: ignore[no-untyped-call]
    for step, (name, values) in zip(steps, panels.items(), strict=True):
        canvas.restore_region(steady)  # type: ignore[no-untyped-call]
        line = losses.axvline(step, color=LINE_COLOURS[3], lw=2, clip_on=False)
        moving = [*draw_answers(ax, scene, values), line]
        ax.set_title(wrap(name, 60))
        for artist in sorted([*moving, *over], key=Artist.get_zorder):
            figure.draw_artist(artist)
        pictures.append(reduce_colours(Image.fromarray(np.array(canvas.buffer_rgba()))))  # type: ignore[no-untyped-call]
        for artist in moving:
            artist.remove()
    return pictures
