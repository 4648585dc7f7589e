"""``python -m project COMMAND``: names the commands at once, and leaves the rest to the module that knows how."""

import signal
import sys
from collections.abc import Sequence

HELP = """\
usage: project COMMAND [options]

Two .npy files in, one per class; an honest binary classifier, its figures and its numbers out.

commands:
  fit       train, and write a run folder under lightning_logs
  validate  loss and accuracy of a checkpoint on its validation subset
  test      loss and accuracy of a checkpoint on its test subset; writes test.json
  predict   classify the rows of --data.predict FILE.npy; writes predictions.csv
  compare   overlay runs; writes comparison.png and comparison.json
  export    write a checkpoint as a self-contained ONNX model

project COMMAND --help lists the options of a command; --debug shows where an error came from.
"""
COMMANDS = ("fit", "validate", "test", "predict", "compare", "export")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(HELP, end="")
        return 0
    if arguments[0] not in COMMANDS:
        print(f"error: {arguments[0] or repr('')}: no such command; need one of {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        from project.cli import run_command  # noqa: PLC0415 (imports Lightning, seconds that --help need not wait)

        return run_command(arguments)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
