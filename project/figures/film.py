"""How the boundary moved in the course of training, and the losses with it: pictures, one after the other."""

from collections.abc import Callable, Mapping

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from project.figures.boundary import Scene, draw_answers, draw_scene, finish
from project.figures.style import LINE_COLOURS, Numbers, Pixels, new_figure, to_pixels, wrap


def film(panels: Mapping[int, tuple[str, Numbers]], scene: Scene, curves: Callable[[Axes], None]) -> dict[int, Pixels]:
    """Draw a picture for each iteration: the answers of its model under a scene, beside curves with a line there.

    Args:
        panels: by iteration, the title and the probabilities (n,) or (n * n,) of class 1 at the scene's places.
        scene: what is the same in all pictures.
        curves: draws them.
    """
    figure, axes = new_figure(1, 2)
    draw_scene(axes[0], scene)
    curves(axes[1])
    finish(figure, axes[:1], scene)
    pictures = {}
    for step, (title, values) in panels.items():
        line = Line2D([step, step], [0, 1], color=LINE_COLOURS[3], lw=2, transform=axes[1].get_xaxis_transform())
        # The panel's own line would make its legend move from picture to picture.
        moving = [*draw_answers(axes[0], scene, values), figure.add_artist(line)]
        axes[0].set_title(wrap(title, 60))
        pictures[step] = to_pixels(figure)
        figure.set_layout_engine("none")  # The first picture's will do for all; it takes most of the time.
        for artist in moving:
            artist.remove()
    return pictures
