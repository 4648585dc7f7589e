"""Every command by its name, and those that need no trainer: compare, plot and export."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from project.commands.failures import exit_status, refusing
from project.commands.network import fit, predict, test, validate
from project.commands.parsing import add_plane, allow_packages, make_parser
from project.commands.study import study
from project.errors import InputError
from project.model import BinaryClassifier
from project.options import check
from project.reports.compare import compare as compare_runs
from project.reports.plot import plot as plot_run
from project.reports.report import write_report
from project.reports.results import export as export_checkpoint
from project.runs.run import LOGS, RunFolder, find_checkpoint, newest


def run_command(argv: Sequence[str], kind: type[BinaryClassifier] = BinaryClassifier) -> int:
    """Run a command with its options and return its exit status; a subclass as ``kind`` brings its own options."""

    def run() -> None:
        arguments = allow_packages([argument for argument in argv if argument != "--debug"])
        RUNNERS[arguments[0]](arguments, kind)

    return exit_status(run, debug="--debug" in argv)


def compare(arguments: Sequence[str], kind: type[BinaryClassifier]) -> None:
    """Overlay runs, and say whether split and initial weights were the same."""
    parser = make_parser("compare")
    parser.add_argument("runs", nargs="+", type=str, help="Run folders, or their names under lightning_logs.")
    parser.add_argument("--output", type=str, default="comparison", help="Folder for comparison.png and .json.")
    options = parser.parse(arguments)
    runs = list(dict.fromkeys(map(Path, options.runs)))
    if len(runs) < 2:
        raise InputError(f"compare: {len(runs)} run given; need at least two")
    compare_runs(runs, Path(options.output), kind)


def plot(arguments: Sequence[str], kind: type[BinaryClassifier]) -> None:
    """Draw the figures of a run again, also of an interrupted one."""
    parser = make_parser("plot")
    parser.add_argument("--name", type=str | None, default=None, help="The run; the newest one unless named.")
    parser.add_argument("--format", choices=["png", "svg", "pdf"], default="png", help="Format of the files.")
    parser.add_argument("--dpi", type=int, default=100, help="Pixels an inch, 10 to 1000.")
    parser.add_argument("--width", type=float | None, default=None, help="Inches of a figure; null is 6.4 a panel.")
    parser.add_argument("--data.root", type=str | None, default=None, help="Where the class files are, if they moved.")
    add_plane(parser, None)
    options = parser.parse(arguments)
    with refusing(("dpi", "width")):
        check(dpi=options.dpi, width=options.width)
    run = RunFolder(options.name or newest(Path(LOGS)).path, kind)
    run.instead = {"data": {"root": options.data.root}, "figures": {"plane": options.figures.plane}}
    for path in [*plot_run(run, options.format, options.dpi, options.width), write_report(run)]:
        print(f"written: {path}")


def export(arguments: Sequence[str], kind: type[BinaryClassifier]) -> None:
    """Write a checkpoint as an ONNX model: raw features in, probability out."""
    parser = make_parser("export")
    parser.add_argument("--ckpt_path", default="last", help="A checkpoint file, or last or best of the newest run.")
    parser.add_argument("--name", type=str | None, default=None, help="The run that last or best is taken from.")
    parser.add_argument("--output", type=str | None, default=None, help="The ONNX file; model.onnx in the run.")
    options = parser.parse(arguments)
    if os.path.isdir(options.output or ""):  # noqa: PTH112 (Path("") is the working directory)
        raise InputError(f"--output: {options.output} is a folder; need the name of a file")
    checkpoint = find_checkpoint(Path(LOGS), options.name, options.ckpt_path)
    run = RunFolder.from_checkpoint(checkpoint)
    export_checkpoint(checkpoint, Path(options.output or (run.path if run else Path()) / "model.onnx"), kind)


RUNNERS: dict[str, Callable[[Sequence[str], type[BinaryClassifier]], object]] = {
    each.__name__: each for each in (fit, validate, test, predict, compare, study, plot, export)
}
