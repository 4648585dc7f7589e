"""Intervals hold as often as they say: the short version of the campaign, and the table of the room."""

import re

import pytest

from project import evaluation
from tests.campaigns import coverage


@pytest.mark.process
def test_intervals_hold_as_often_as_the_table_says_and_pairs_that_do_not_differ_give_few_false_alarms(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(coverage, "SIZES", {20: 10})
    monkeypatch.setattr(coverage, "KNOWN", 100_000)
    summary = coverage.run(repetitions=50, pairs=200, splits=11, seeds=6, steps=20, rows=50, seconds=0)
    assert summary.failures == []
    (cells, seeds, data), words = summary.counts.values(), list(summary.counts)
    assert cells == 24
    assert seeds <= 14
    assert 1 <= data <= 14, "one that is never wrong would say nothing"
    assert int(words[2].split("leave out 0, ")[1].split()[0]) > 30, "the naive interval is wrong much more often"
    tables = [
        re.findall(r"^([a-z][a-z ]+?)  +(\d\.\d\d/.*)$", text, re.MULTILINE)
        for text in (evaluation.__doc__, capsys.readouterr().out)
    ]
    known, found = ({name: list(map(float, re.split("[/ ]+", cells)[:4])) for name, cells in rows} for rows in tables)
    assert known.keys() == found.keys()
    for name in found:
        assert found[name] == pytest.approx(known[name], abs=0.09)
