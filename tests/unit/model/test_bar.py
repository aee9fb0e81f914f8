from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratd.model import Bar, BarFlags


def bar(n: int = 5, lost: int = 0, quiet: int = 0, flags: BarFlags = BarFlags.NONE) -> Bar:
    return Bar(0, 300, 1.0, 2.0, 0.5, 1.5, 10.0, n, lost, quiet, flags)


def test_flags_are_bits_of_their_own_that_fit_a_column() -> None:
    bits = [flag.value for flag in BarFlags]
    assert len(set(bits)) == len(bits) == 6
    assert all(value.bit_count() == 1 for value in bits)
    assert sum(bits) < 2**31


@given(st.integers(0, 1440), st.integers(0, 1440), st.integers(0, 1440))
def test_expected_is_all_minutes_of_the_span(n: int, lost: int, quiet: int) -> None:
    assert bar(n, lost, quiet).expected == n + lost + quiet


@given(st.integers(0, 63))
def test_incomplete_is_said_by_its_flag_alone(bits: int) -> None:
    found = bar(flags=BarFlags(bits)).incomplete
    assert found is bool(bits & 1)


def test_bar_is_a_tuple_that_cannot_be_changed() -> None:
    open_time, close_time, *prices = bar()
    assert (open_time, close_time, prices[:5]) == (0, 300, [1.0, 2.0, 0.5, 1.5, 10.0])
    with pytest.raises(AttributeError):
        bar().close = 3.0  # type: ignore[misc]
