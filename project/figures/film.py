"""How the boundary moved in the course of training, and the losses with it: pictures, one after the other."""

from collections.abc import Callable, Mapping

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.lines import Line2D

from project.figures.boundary import Scene, draw_answers, draw_scene, finish
from project.figures.style import LINE_COLOURS, Numbers, Pixels, new_figure, own_style, pixels_of, wrap


def film(panels: Mapping[int, tuple[str, Numbers]], scene: Scene, curves: Callable[[Axes], None]) -> dict[int, Pixels]:
    """Draw a picture for each iteration: the answers of its model under a scene, beside curves with a line there.

    What is the same in all pictures, as texts and ticks, is drawn once; it takes nine tenths of a picture's time.

    Args:
        panels: by iteration, the title and the probabilities (n,) or (n * n,) of class 1 at the scene's places.
        scene: what is the same in all pictures.
        curves: draws them.
    """
    pictures = {}
    with own_style():
        figure, (ax, other) = new_figure(1, 2)
        draw_scene(ax, scene)
        curves(other)
        finish(figure, [ax], scene)
        ax.set_title(wrap(next(iter(panels.values()))[0], 60))  # The layout makes room for it.
        over: list[Artist] = [*ax.collections, *ax.spines.values(), ax.title]
        for artist in over:
            artist.set_animated(True)  # It is left out until it is drawn over a plane.
        canvas = FigureCanvasAgg(figure)
        canvas.draw()  # type: ignore[no-untyped-call]
        steady = canvas.copy_from_bbox(figure.bbox)  # type: ignore[no-untyped-call]
        for step, (title, values) in panels.items():
            canvas.restore_region(steady)  # type: ignore[no-untyped-call]
            answers = draw_answers(ax, scene, values)
            ax.set_title(wrap(title, 60))
            line = Line2D([step, step], [0, 1], color=LINE_COLOURS[3], lw=2, transform=other.get_xaxis_transform())
            for artist in sorted([*answers, *over, figure.add_artist(line)], key=Artist.get_zorder):
                figure.draw_artist(artist)
            pictures[step] = pixels_of(canvas)
            for artist in [*answers, line]:
                artist.remove()
    return pictures
