"""How a number is shown."""

import math

from project.evaluation.estimate import digits


def test_no_number_that_is_not_zero_is_shown_as_zero() -> None:
    shown = {
        0.31006: "0.3101",
        1.0: "1.0000",
        0.0: "0.0000",
        0.001: "0.0010",
        -0.00032: "-0.00032",
        8.8075e-07: "8.8e-07",
    }
    assert [digits(value) for value in shown] == list(shown.values())
    assert (digits(None), digits(math.nan)) == ("unknown", "nan")
