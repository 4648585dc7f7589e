"""Which run and which checkpoint is meant: the newest that was trained, or one by its name or its file."""

import warnings
from pathlib import Path

from project.errors import InputError, InputWarning, join_words
from project.runs.run import RunFolder

STUDIES = "studies.txt"  # the names of the studies in a folder, which are no runs


def newest(logs: Path, kind: type[RunFolder] = RunFolder) -> RunFolder:
    """Return the run here that was trained last, and warn if one that began later was not trained at all."""
    skipped = list[str]()
    for name in begun(logs / kind.order):
        run = kind(logs / name)
        if run.trained:
            if skipped:
                what = f"{join_words(skipped)} began later, but without a checkpoint of an iteration"
                warnings.warn(f"{logs}: {what}; {name} is taken", InputWarning, stacklevel=2)
            return run
        skipped += [name] * run.path.exists()
    raise InputError(f"{logs}: no run was trained here yet; run {kind.command} first{which(logs)}")


def begun(order: Path) -> list[str]:
    """Return the names in a file of those that began, each once, the newest first."""
    names = order.read_text(encoding="utf-8").splitlines() if order.exists() else []
    return list(dict.fromkeys(reversed(names)))


def which(logs: Path) -> str:
    """Return words that list the trained runs in a folder, if there are any."""
    studies = begun(logs / STUDIES)
    names = sorted(path.name for path in logs.glob("*") if path.name not in studies and RunFolder(path).trained)
    return f", or give the --name of one that is there: {join_words(names)}" if names else ""


def find_checkpoint(logs: Path, name: str | None, wanted: str, kind: type[RunFolder] = RunFolder) -> Path:
    """Return the checkpoint FILE, or ``last`` or ``best`` of the named run or else of the newest trained one."""
    run = kind(logs / name) if name is not None else None
    if run and not run.path.exists():
        raise InputError(f"--name: {run.path}: no such run; run {kind.command} first{which(logs)}")
    if run and kind.order != STUDIES and name in begun(logs / STUDIES):
        raise InputError(f"--name: {run.path} is a study of many networks; name a run{which(logs)}")
    if wanted in ("last", "best"):
        run = run or newest(logs, kind)
        return run.last if wanted == "last" else run.best
    if run and run.path.absolute() != Path(wanted).absolute().parent.parent:
        raise InputError(f"--name: {name}; {wanted} is of another run, leave the name out")
    return Path(wanted)
