"""An interval of a study holds as often as it says: the short version of the campaign, and that it can fail."""

from types import SimpleNamespace

import pytest

from project.evaluation import differences as inference
from tests.campaigns import intervals

pytestmark = pytest.mark.process


def test_pairs_that_do_not_differ_give_few_false_alarms() -> None:
    summary = intervals.run(pairs=400, splits=12, seeds=8, steps=60, rows=50, seconds=0)
    assert summary.failures == []
    (seeds, data), words = summary.counts.values(), list(summary.counts)
    assert seeds <= 28
    assert 4 <= data <= 28, "one that is never wrong would say nothing"
    assert int(words[1].split("leave out 0, ")[1].split()[0]) > 60, "the naive interval is wrong much more often"


def test_the_campaign_sees_the_naive_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    def naive(*arguments: object) -> object:
        found = inference.corrected(*arguments)  # type: ignore[arg-type]
        ends = {"low": found.naive_low, "high": found.naive_high}
        return SimpleNamespace(**ends, naive_low=found.naive_low, naive_high=found.naive_high)

    monkeypatch.setattr(intervals, "corrected", naive)
    assert len(intervals.run(pairs=200, splits=10, seeds=6, steps=20, rows=50, seconds=0).failures) >= 1
