"""No two processes may ever share a run folder."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from project import Run
from tests.campaigns import claims

pytestmark = pytest.mark.process
CONTEXT = get_context("forkserver")  # forks from a process that has imported everything and started no thread
CONTEXT.set_forkserver_preload(["project.commands.cli"])


def test_processes_that_start_together_share_no_run_folder() -> None:
    with ProcessPoolExecutor(1, CONTEXT) as pool:
        claiming = pool.submit(claims.run, rounds=50, processes=8, trainings=0, seconds=60).result()
        training = pool.submit(claims.run, rounds=0, processes=2, trainings=1, seconds=60).result()
    assert "8 processes at once, 50 times claiming" in claiming
    assert "2 processes at once, 0 times claiming and 1 times training, no folder shared" in training


def claim_carelessly(logs: Path, name: str | None) -> Run:
    """Take a folder that is not there yet, as if no other process could be about to."""
    taken = {path.name for path in logs.glob("*")}
    run = Run(logs / (name or next(free for i in range(99) if (free := f"version_{i}") not in taken)))
    run.path.mkdir(parents=True, exist_ok=True)
    return run


def share_folders() -> None:
    """Run the campaign on a claim that is not exclusive."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "claim", staticmethod(claim_carelessly))
        claims.run(rounds=50, processes=8, trainings=0, seconds=60)


def test_the_campaign_sees_a_shared_folder() -> None:
    with ProcessPoolExecutor(1, CONTEXT) as pool, pytest.raises(AssertionError):
        pool.submit(share_folders).result()
