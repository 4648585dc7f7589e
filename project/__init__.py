"""Two ``.npy`` files in, one per class; an honest binary classifier, its figures and its numbers out."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from project.run import Run

__all__ = ["Run"]


def __getattr__(name: str) -> Any:
    """Import Run when it is asked for: ``project --help`` need not wait for numpy."""
    if name == "Run":
        from project.run import Run  # noqa: PLC0415

        return Run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
