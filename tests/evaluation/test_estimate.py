"""The way numbers are shown, and kept as JSON; Student's t distribution against SciPy's."""

import math

import pytest
import scipy.stats

from project.evaluation.estimate import Estimate, digits, format_interval, format_p, to_json
from project.evaluation.student import student_t, two_sided


def test_no_number_that_is_not_zero_is_shown_as_zero() -> None:
    shown = {0.31006: "0.3101", 0.0: "0.0000", 0.001: "0.0010", -0.00032: "-0.00032", 8.8075e-07: "8.8e-07"}
    assert {value: digits(value) for value in shown} == shown
    assert (digits(None), digits(math.nan)) == ("unknown", "nan")
    assert [*map(format_p, (0.0312, 0.0002, math.nan))] == ["p = 0.031", "p < 0.001", "p unknown"]
    shown = {0.05: "0.050", 0.0501: "0.0501", 0.05049: "0.0505", 0.049996: "0.049996", 0.0506: "0.051"}
    assert {p: format_p(p) for p in shown} == {p: f"p = {words}" for p, words in shown.items()}


def test_an_interval_has_as_many_decimals_as_its_width_needs() -> None:
    assert format_interval(0.5, -1, 1) == "+0.500, 95 % [-1.000, +1.000]"
    assert format_interval(0.00012, 0.00007, 0.00017, 0.99) == "+0.00012, 99 % [+0.00007, +0.00017]"
    assert format_interval(0.5, math.nan, math.nan) == "+0.500, interval unknown"
    assert format_interval(0.0, 0.0, 0.0) == "+0.000, 95 % [+0.000, +0.000]"
    assert format_interval(0.00004, 0.00004, 0.00004) == "+0.000040, 95 % [+0.000040, +0.000040]"


def test_json_has_null_for_what_is_not_finite() -> None:
    found = to_json({"a": Estimate(1.5, math.nan, math.inf, "x"), "b": Estimate(math.nan, 0.0, 1.0, "x")})
    assert found == {"a": 1.5, "a_interval": [None, None], "b": None, "b_interval": [0.0, 1.0]}


def test_students_t() -> None:
    for freedom in (1, 2, 3, 4.5, 9, 29, 1000, 10**6):
        for share in (0.6, 0.9, 0.975, 0.9875, 0.995, 0.999999):
            assert student_t(share, freedom) == pytest.approx(scipy.stats.t.ppf(share, freedom), rel=1e-9)
        for statistic in (0, 0.5, 1.96, 2.262, 4, 10):
            expected = 2 * scipy.stats.t.sf(statistic, freedom)
            assert two_sided(statistic, freedom) == two_sided(-statistic, freedom) == pytest.approx(expected, rel=1e-11)
