"""An interval of a study holds as often as it says: the short version of the campaign."""

import pytest

from tests.campaigns import intervals


@pytest.mark.process
def test_pairs_that_do_not_differ_give_few_false_alarms() -> None:
    summary = intervals.run(pairs=400, splits=12, seeds=8, steps=60, rows=50, seconds=0)
    assert summary.failures == []
    (seeds, data), words = summary.counts.values(), list(summary.counts)
    assert seeds <= 28
    assert 4 <= data <= 28, "one that is never wrong would say nothing"
    assert int(words[1].split("leave out 0, ")[1].split()[0]) > 60, "the naive interval is wrong much more often"
