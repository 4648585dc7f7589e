"""An interval of a study holds as often as it says: the short version of the campaign."""

import pytest

from tests.campaigns import intervals


@pytest.mark.process
def test_pairs_that_do_not_differ_give_few_false_alarms() -> None:
    summary = intervals.run(pairs=200, splits=11, seeds=6, steps=40, rows=50, seconds=0)
    assert summary.failures == []
    (seeds, data), words = summary.counts.values(), list(summary.counts)
    assert seeds <= 14
    assert 1 <= data <= 14, "one that is never wrong would say nothing"
    assert int(words[1].split("leave out 0, ")[1].split()[0]) > 30, "the naive interval is wrong much more often"
