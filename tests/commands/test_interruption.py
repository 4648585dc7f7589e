"""Killed or stopped anywhere and resumed, a run ends as if nothing had happened."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from project import Run
from project.__main__ import main
from project.model import BinaryClassifier
from tests.campaigns import kills
from tests.campaigns.summary import start
from tests.conftest import wait_for_rows

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("undrawn", "here")]

OPTIONS = {  # by signal: what is trained
    signal.SIGINT: [],
    signal.SIGTERM: ["--data.batch_size", "100"],
    signal.SIGHUP: ["--trainer.val_check_interval", "7", "--data.track_test", "true"],
}
STEPS = 60
MOMENTS = [("on_train_batch_end", 50), ("on_train_batch_end", 40), ("validation_step", 42)]
MOMENTS += [("on_validation_end", 20), ("on_train_start", 0), ("on_train_batch_end", STEPS)]


@contextmanager
def signal_at(
    step: int, hook: str = "on_train_batch_end", number: int = signal.SIGTERM, kind: type = BinaryClassifier
) -> Iterator[None]:
    """Send this process a signal at the end of a hook of the model, once."""
    usual, sent = getattr(kind, hook), []

    def signalled(model: BinaryClassifier, *arguments: object) -> object:
        result = usual(model, *arguments)
        if model.global_step == max(0, step) and not sent:
            sent.append(step)
            signal.raise_signal(number)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, hook, signalled)
        yield
    assert sent


def assert_same(run: Run, other: Run) -> None:
    for file in "history.csv", "checkpoints/best.ckpt", "checkpoints/last.ckpt":
        assert (run.path / file).read_bytes() == (other.path / file).read_bytes(), file
    assert not list(run.path.rglob(".*.tmp")), "debris"


def test_kill_9_leaves_no_mark() -> None:
    summary = kills.campaign(kills=2, seconds=300, seed=0, modes="mini")
    assert (summary.counts["kills"], summary.failures) == (2, [])


def test_a_signal_stops_a_run_that_resumes_as_if_it_had_not(here: Path) -> None:
    number, run = signal.SIGTERM, Run("parts")
    fit = ["fit", "--trainer.accelerator", "cpu", *OPTIONS[number], "--name"]
    process = start([*fit, "parts", "--trainer.max_steps", "1000000"], here)
    wait_for_rows(run)
    process.terminate()
    process.join(60)
    assert process.exitcode == 128 + number
    step = run.checkpoint()["global_step"]
    assert run.history()["step"].tolist() == list(range(1, step + 1)), "no step lost"
    said = here.with_suffix(".err").read_text()
    sentence, resume = said.split(f" after iteration {step}; resume with: python -m project ")
    assert (sentence, said.count("\n")) == (f"interrupted by {number.name}", 1)
    for continued in resume.split(), [*fit, "whole"]:
        assert main([*continued, "--trainer.max_steps", str(step + 30)]) == 0
    assert_same(run, Run("whole"))
    assert run.config.read_bytes() == Run("whole").config.read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that nothing interrupts."""
    options = ["--trainer.default_root_dir", str(folder := tmp_path_factory.mktemp("whole"))]
    for number, more in OPTIONS.items():
        assert main(["fit", "--name", number.name, "--trainer.max_steps", str(STEPS), *options, *more]) == 0
    return folder / "lightning_logs"


@pytest.mark.parametrize("i", range(len(MOMENTS)))
def test_a_signal_at_any_moment_loses_nothing(i: int, whole: Path) -> None:
    """In or after an iteration or a validation, or before the first: there, the same command begins again."""
    number, (hook, step) = list(OPTIONS)[i % 3], MOMENTS[i]  # Only SIGHUP's run validates after iteration 42.
    before, run = signal.getsignal(number), Run("run")
    with signal_at(step, hook, number):
        status = main(["fit", "--name", "run", "--trainer.max_steps", str(STEPS), *OPTIONS[number]])
    assert status == (128 + number if step < STEPS else 0), "in the last iteration, it is over"
    assert signal.getsignal(number) is before
    assert run.checkpoint()["global_step"] == run.table.rows == step
    assert step == STEPS or main(["fit", "--name", "run", "--ckpt_path", "last"]) == 0
    assert_same(run, Run(whole / number.name))
