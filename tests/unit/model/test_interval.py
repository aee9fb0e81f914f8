from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from stratd.model import MINUTE_NS, Interval

minutes = st.integers(1, 40_000)
intervals = minutes.map(Interval.from_minutes)
times = st.integers(-(10**18), 4 * 10**18)
UNITS = {"m": 1, "h": 60, "d": 1440}


@given(minutes)
def test_interval_text_parses_back_to_the_same_object(count: int) -> None:
    interval = Interval.from_minutes(count)
    assert Interval(str(interval)) is interval
    assert Interval(f"{count}m") is interval
    assert Interval(interval) is interval
    assert interval.duration_ns == count * MINUTE_NS
    assert repr(interval) == f"Interval('{interval}')"


@given(st.integers(1, 999), st.sampled_from("mhd"))
def test_interval_any_unit_means_so_many_minutes(number: int, unit: str) -> None:
    assert Interval(f" {number} {unit} ").minutes == number * UNITS[unit]


@pytest.mark.parametrize(
    ("text", "canonical"), [("60m", "1h"), ("90m", "90m"), ("1440m", "1d"), ("24h", "1d"), ("36h", "36h"), ("48h", "2d")]
)
def test_interval_prints_in_the_largest_unit_that_fits(text: str, canonical: str) -> None:
    assert str(Interval(text)) == canonical


@pytest.mark.parametrize(
    "text", ["", "m", "5", "0m", "-5m", "5M", "5min", "1.5h", "05m", "1h30m", "1w", "5m\n5m", None, 5, b"5m", 5.0]
)
def test_interval_other_text_is_refused_with_an_example(text: object) -> None:
    with pytest.raises(ValueError, match="such as 1m, 15m"):
        Interval(text)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [0, -1])
def test_from_minutes_below_one_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="at least one minute"):
        Interval.from_minutes(count)


@pytest.mark.parametrize("count", [7.0, 7.5, "7", None])
def test_from_minutes_no_whole_number_is_refused_and_spoils_nothing(count: object) -> None:
    with pytest.raises(TypeError):
        Interval.from_minutes(count)  # type: ignore[arg-type]
    assert str(Interval("7m")) == "7m"
    assert type(Interval("7m").minutes) is int


def test_from_minutes_numpys_integers_become_pythons() -> None:
    assert type(Interval.from_minutes(np.int64(31)).duration_ns) is int  # type: ignore[arg-type]


@given(intervals, intervals)
def test_interval_compares_by_duration(a: Interval, b: Interval) -> None:
    assert (a < b, a <= b, a > b, a >= b, a == b) == (
        a.minutes < b.minutes, a.minutes <= b.minutes, a.minutes > b.minutes, a.minutes >= b.minutes, a.minutes == b.minutes,
    )  # fmt: skip
    assert (a < str(b)) == (a < b)
    assert (a == b) == (a is b)
    assert a != b or hash(a) == hash(b)


def test_interval_equals_its_text_in_any_spelling() -> None:
    hour = Interval("1h")
    assert hour == "1h" == hour
    assert hour == "60m"
    assert hour != "61m"
    assert hour != "an hour"
    assert hour != 60
    assert {hour: 1}["1h"] == 1  # type: ignore[index]


@given(intervals, times)
def test_bucket_holds_the_time_and_lies_on_the_grid_of_the_epoch(interval: Interval, t: int) -> None:
    opened, closed = interval.bucket_open(t), interval.bucket_close(t)
    assert opened <= t < closed
    assert opened % interval.duration_ns == 0
    assert closed - opened == interval.duration_ns
    assert interval.bucket_open(opened) == opened
    assert interval.bucket_open(closed) == closed


@given(intervals, intervals, times)
def test_is_multiple_of_means_that_buckets_nest(long: Interval, short: Interval, t: int) -> None:
    assert long.is_multiple_of(short) == (long.minutes % short.minutes == 0)
    if long.is_multiple_of(short):
        assert long.bucket_open(t) <= short.bucket_open(t)
        assert short.bucket_close(t) <= long.bucket_close(t)


@given(intervals)
def test_interval_copies_and_pickles_are_the_same_object(interval: Interval) -> None:
    assert pickle.loads(pickle.dumps(interval)) is interval  # noqa: S301
    assert copy.deepcopy(interval) is interval


class Holder(BaseModel):
    interval: Interval


def test_pydantic_takes_text_and_minutes_and_writes_text() -> None:
    assert Holder(interval="15m").interval is Interval("15m")  # type: ignore[arg-type]
    assert Holder(interval=60).interval is Interval("1h")  # type: ignore[arg-type]
    assert Holder(interval=Interval("1d")).model_dump_json() == '{"interval":"1d"}'
    assert Holder.model_json_schema()["properties"]["interval"]["type"] == "string"


@pytest.mark.parametrize("value", ["15", True, 0, 5.0, None])
def test_pydantic_other_values_are_validation_errors(value: object) -> None:
    with pytest.raises(ValidationError):
        Holder(interval=value)  # type: ignore[arg-type]
