"""Ranges of options: what lies in them is taken, anything else is refused by name; and lists of many items."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from project.errors import join_words
from project.options import LARGEST, RANGES, check, flatten, look_up

ANYTHING = st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=3), st.just(10**400))


@given(st.sampled_from(sorted(RANGES)), ANYTHING)
def test_a_number_is_taken_in_its_range_and_nothing_else_is(name: str, value: object) -> None:
    allowed = RANGES[name]
    is_number = type(value) in (int, float) and not math.isnan(float(min(value, 10**300)))  # type: ignore[call-overload]
    if is_number and allowed.lowest <= value <= allowed.highest:  # type: ignore[operator]
        check(**{name: value})  # type: ignore[arg-type]
        return
    with pytest.raises(ValueError, match=rf"^{name}: .*; need (at (least|most) )?.*\d") as refused:
        check(**{name: value})  # type: ignore[arg-type]
    says_most = f"at most {LARGEST}" in str(refused.value)
    assert says_most == (is_number and allowed.highest == LARGEST and value > LARGEST)  # type: ignore[operator]


def test_null_is_a_default_that_suits_the_data() -> None:
    check(**dict.fromkeys(RANGES))


def test_names_stand_for_parts() -> None:
    assert look_up("loss", "bce", {"bce": 1, "mse": 2}) == 1
    with pytest.raises(ValueError, match=r"^loss: hinge; need one of bce, mse, or --allow"):
        look_up("loss", "hinge", {"bce": 1, "mse": 2})
    assert flatten({"a": 1, "b": {"c": 2, "d": {"e": None}}}) == {"a": 1, "b.c": 2, "b.d.e": None}


def test_of_many_items_the_first_ones_are_named() -> None:
    found = [join_words(range(count), most=3) for count in (1, 3, 20)]
    assert found == ["0", "0, 1 and 2", "0, 1, 2 and 17 more"]
