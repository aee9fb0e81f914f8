"""Opening range, previous session, pivot points: half days, DST, late opens, missing bars, bars of any length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stratd.data.calendars import table_from_sessions
from stratd.indicators.catalogue.session_levels import OpeningRange, PivotPoints, PreviousSession
from stratd.indicators.computation import Computation

from ....support.session_bars import made_up_days, new_york_bars, new_york_sessions, xnys
from ..cases.cumulative import SESSION_CASES, opening_range, pivot_points, previous_session

MINUTE = 60_000_000_000
DAY = 1440 * MINUTE
MONDAY = 1_704_672_000_000_000_000
NAN = np.nan
SPECS = [case.spec for case in SESSION_CASES]


def same(got: Any, expected: Any) -> None:
    assert set(got) == set(expected)
    for name in got:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-14, err_msg=name)


def bars_at(minutes: Any, prices: Any, step: int = 10, **columns: Any) -> dict[str, Any]:
    """Bars that open at so many minutes after Monday's midnight, each of a single price."""
    times = MONDAY + MINUTE * np.asarray(minutes, np.int64)
    price = np.asarray(prices, float)
    return (
        dict.fromkeys(("open", "high", "low", "close"), price)
        | {"open_time": times, "close_time": times + step * MINUTE}
        | columns
    )


def extended_days(days: int = 3) -> Any:
    """A calendar with a pre-market from 08:00, regular hours 09:00 to 17:00, and a post-market to 20:00."""
    hours = np.array([8, 9, 12, 12, 17, 20]) * 60 * MINUTE
    return table_from_sessions("SMALL", np.stack([MONDAY + day * DAY + hours for day in range(days)]), True)


# Against pandas.


@pytest.mark.parametrize("case", SESSION_CASES, ids=lambda case: str(case.spec))
@pytest.mark.parametrize("minutes", [5, 60, 240])
def test_levels_over_days_with_holes_equal_pandas(case: Any, minutes: int) -> None:
    bars = made_up_days(1_200, minutes)
    expected = case.oracle(bars)
    assert all(np.isfinite(values).any() for values in expected.values())
    got = case.spec.compute(bars, interval=f"{minutes}m")
    assert set(got) == set(expected)
    for name in got:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-12, err_msg=name)


@pytest.mark.shared_data
@pytest.mark.parametrize("minutes", [1, 5])
@pytest.mark.parametrize(
    "file",
    ["us_equity/SPY_2011-03_dst", "us_equity/GOOG_2015-12", "us_equity/SHY_2008-03_dst", "us_equity_basket_2019-02/AMT"],
)
def test_levels_on_real_bars_equal_pandas(file: str, minutes: int) -> None:
    bars = new_york_bars(file, minutes)
    frame = new_york_sessions(bars)
    for spec, oracle in (
        (OpeningRange(), opening_range(30)),
        (OpeningRange(1), opening_range(1)),
        (OpeningRange(300), opening_range(300)),
        (PreviousSession(), previous_session),
        (PivotPoints(), pivot_points),
    ):
        expected = oracle(frame)
        assert any(np.isfinite(values).any() for values in expected.values())
        same(spec.compute(bars, calendar=xnys(), interval=f"{minutes}m", blocks=[5, 120]), expected)


@pytest.mark.shared_data
def test_levels_of_the_half_day_are_those_of_three_and_a_half_hours() -> None:
    bars = new_york_bars("us_equity/GOOG_2015-12")
    frame = new_york_sessions(bars)
    day = frame["session"].astype(str)
    regular = bars["high"][(day == "2015-12-24") & (frame["minute"] >= 0) & (frame["minute"] < 210)]
    after = (day == "2015-12-28").to_numpy()
    assert set(PreviousSession().compute(bars, calendar=xnys())["high"][after]) == {regular.max()}
    # A span of 300 minutes ends with the regular hours: what comes after the close still sees it.
    late = ((day == "2015-12-24") & (frame["left"] <= 0)).to_numpy()
    assert late.any()
    assert set(OpeningRange(300).compute(bars, calendar=xnys())["high"][late]) == {regular.max()}


# In any blocks, restored, without look-ahead: what the shared tests do with shorter bars.


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_levels_in_any_blocks_and_restored_give_the_same_bits(spec: Any) -> None:
    bars = made_up_days(900, 15)
    for name in ("open", "high", "low", "close"):
        bars[name][[3, 130, 131, 500]] = NAN
    whole = spec.compute(bars, interval="15m")
    stops = np.sort(np.random.default_rng(3).integers(0, 900, 60)).tolist()
    one, two = Computation(spec, bars, interval="15m"), Computation(spec, bars, interval="15m")
    one.advance(444)
    two.restore(one.save())
    two.advance(900)
    for got in (
        spec.compute(bars, interval="15m", blocks=stops),
        spec.compute(bars, interval="15m", blocks=range(900)),
        two.values,
    ):
        for name in whole:
            np.testing.assert_array_equal(got[name].view(np.int64), whole[name].view(np.int64))


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("cut", [97, 100, 288])
def test_levels_do_not_look_ahead(spec: Any, cut: int) -> None:
    bars = made_up_days(600, 15)
    other = {name: values.copy() for name, values in bars.items()}
    for name in ("open", "high", "low", "close", "volume"):
        other[name][cut:] = other[name][cut:] * 3 + 1
    one, two = spec.compute(bars, interval="15m"), spec.compute(other, interval="15m")
    for name in one:
        np.testing.assert_array_equal(one[name][:cut].view(np.int64), two[name][:cut].view(np.int64))


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_levels_have_no_value_before_their_warmup(spec: Any) -> None:
    for values in spec.compute(made_up_days(900, 15), interval="15m").values():
        assert np.argmax(np.isfinite(values)) + 1 >= spec.warmup


# Opening range.


def test_opening_range_counts_bars_that_open_in_the_span_and_is_known_at_its_end() -> None:
    bars = bars_at([530, 540, 550, 560, 570, 1010, 1020, 1190, 1930], [99, 5, 7, 6, 50, 60, 70, 80, 90])
    got = OpeningRange(30).compute(bars, interval="10m", calendar=extended_days())
    np.testing.assert_array_equal(got["high"], [NAN, NAN, NAN, 7, 7, 7, 7, 7, NAN])
    np.testing.assert_array_equal(got["low"], [NAN, NAN, NAN, 5, 5, 5, 5, 5, NAN])
    np.testing.assert_array_equal(got["middle"], [NAN, NAN, NAN, 6, 6, 6, 6, 6, NAN])


def test_opening_range_missing_end_of_the_span_is_known_at_the_next_bar() -> None:
    got = OpeningRange(30).compute(bars_at([540, 700, 710], [5, 50, 60]), interval="10m", calendar=extended_days())
    np.testing.assert_array_equal(got["high"], [NAN, 5, 5])


def test_opening_range_without_a_bar_in_the_span_is_nan_for_that_session() -> None:
    bars = bars_at([500, 600, 900, 540 + 1440, 570 + 1440], [1, 2, 3, 4, 5])
    got = OpeningRange(30).compute(bars, interval="10m", calendar=extended_days())
    np.testing.assert_array_equal(got["high"], [NAN, NAN, NAN, NAN, 4])


def test_opening_range_longer_than_the_regular_hours_leaves_out_what_opens_after_them() -> None:
    got = OpeningRange(600).compute(bars_at([540, 1030], [5, 50]), interval="10m", calendar=extended_days())
    np.testing.assert_array_equal(got["high"], [NAN, 5])


def test_opening_range_bar_longer_than_the_span_counts_whole() -> None:
    got = OpeningRange(30).compute(bars_at([540, 600], [5, 6], 60), interval="1h", calendar=extended_days())
    np.testing.assert_array_equal(got["high"], [5, 5])


def test_opening_range_bar_that_ends_behind_the_span_counts_if_it_opens_inside() -> None:
    got = OpeningRange(30).compute(bars_at([540, 560, 580], [5, 6, 7], 20), interval="20m", calendar=extended_days())
    np.testing.assert_array_equal(got["high"], [NAN, 6, 6])


@pytest.mark.parametrize(("seconds", "count"), [(1, 6), (1, 66), (1, 89), (5, 21), (7, 15)])
def test_opening_range_of_seconds_ends_exactly_with_the_span(seconds: int, count: int) -> None:
    step = seconds * 1_000_000_000
    times = MONDAY + 540 * MINUTE + step * np.arange(2 * count)
    price = np.arange(2 * count, dtype=float)
    bars = {"high": price, "low": price, "open_time": times, "close_time": times + step}
    got = OpeningRange(seconds * count / 60).compute(bars, calendar=extended_days())["high"]
    assert np.isnan(got[: count - 1]).all()
    assert set(got[count - 1 :]) == {count - 1.0}


def test_opening_range_stands_at_a_bar_that_is_not_finite_and_leaves_it_out() -> None:
    bars = bars_at([540, 550, 560, 570], [5, np.inf, 4, NAN])
    got = OpeningRange(30).compute(bars, interval="10m", calendar=extended_days())
    np.testing.assert_array_equal(got["high"], [NAN, NAN, 5, 5])
    np.testing.assert_array_equal(got["low"], [NAN, NAN, 4, 4])


def test_opening_range_outside_all_sessions_is_nan_and_goes_on_inside() -> None:
    # A bar that opens in the night between two bars of one session cannot be; one before it and one after it can.
    got = OpeningRange(10).compute(bars_at([450, 540, 1190, 1300], [1, 2, 3, 4]), interval="10m", calendar=extended_days())
    np.testing.assert_array_equal(got["high"], [NAN, 2, 2, NAN])


@pytest.mark.parametrize("minutes", [0, -5, "30", True, float("nan"), None])
def test_opening_range_minutes_that_are_none_are_refused(minutes: Any) -> None:
    with pytest.raises(ValueError, match="minutes is a number above 0"):
        OpeningRange(minutes)


def test_opening_range_label_shows_its_minutes() -> None:
    assert [str(OpeningRange()), str(OpeningRange(7.5))] == ["OpeningRange(30)", "OpeningRange(7.5)"]
    assert OpeningRange(30) == OpeningRange(30.0) == OpeningRange()


# Previous session and pivots.


def test_previous_session_takes_regular_hours_only_and_changes_with_the_pre_market() -> None:
    bars = bars_at([500, 540, 600, 1010, 1020, 480 + 1440, 540 + 1440], [99, 5, 9, 6, 98, 1, 2])
    got = PreviousSession().compute(bars, interval="10m", calendar=extended_days())
    assert {name: values[5:].tolist() for name, values in got.items()} == {
        "high": [9, 9], "low": [5, 5], "close": [6, 6], "open": [5, 5],
    }  # fmt: skip
    assert all(np.isnan(values[:5]).all() for values in got.values())


def test_previous_session_without_regular_bars_is_passed_over() -> None:
    bars = bars_at([540, 500 + 1440, 1020 + 1440, 540 + 2880], [5, 6, 7, 8])
    got = PreviousSession().compute(bars, interval="10m", calendar=extended_days())
    np.testing.assert_array_equal(got["close"], [NAN, 5, 5, 5])


def test_previous_session_outside_all_sessions_is_nan() -> None:
    bars = bars_at([540, 1300, 540 + 1440, 1300 + 1440], [5, 6, 7, 8])
    got = PreviousSession().compute(bars, interval="10m", calendar=extended_days())
    np.testing.assert_array_equal(got["close"], [NAN, NAN, 5, NAN])


@pytest.mark.parametrize("field", ["open", "high", "low", "close"])
def test_previous_session_leaves_out_a_bar_that_is_not_finite(field: str) -> None:
    bars = bars_at([540, 550, 560, 540 + 1440, 550 + 1440], [5, 6, 7, 8, 9])
    bars[field] = bars[field].copy()
    bars[field][[0, 2, 4]] = NAN
    got = PreviousSession().compute(bars, interval="10m", calendar=extended_days())
    for values in got.values():
        np.testing.assert_array_equal(values, [NAN, NAN, NAN, 6, 6])


def test_previous_session_of_daily_bars_is_the_bar_before_with_extended_hours_too() -> None:
    times = MONDAY + DAY * np.arange(3) + 480 * MINUTE
    bars = {"open": [1, 2, 3], "high": [4, 5, 6], "low": [0, 1, 2], "close": [2, 3, 4], "open_time": times}
    got = PreviousSession().compute(bars, interval="1d", calendar=extended_days())
    np.testing.assert_array_equal(got["high"], [NAN, 4, 5])
    np.testing.assert_array_equal(got["open"], [NAN, 1, 2])


def test_previous_session_of_weekly_bars_round_the_clock_is_the_bar_before() -> None:
    times = MONDAY + 7 * DAY * np.arange(3)
    bars = {name: np.array([4.0, 5.0, 6.0]) for name in ("open", "high", "low", "close")} | {"open_time": times}
    np.testing.assert_array_equal(PreviousSession().compute(bars, interval="7d")["close"], [NAN, 4, 5])


def test_pivot_points_of_a_worked_example() -> None:
    bars = bars_at([540, 550, 560, 540 + 1440], [110, 90, 103, 100])
    got = PivotPoints().compute(bars, interval="10m", calendar=extended_days())
    assert {name: values[3] for name, values in got.items()} == {
        "pivot": 101, "r1": 112, "s1": 92, "r2": 121, "s2": 81, "r3": 132, "s3": 72,
    }  # fmt: skip


def test_pivot_points_of_a_range_of_zero_are_the_close() -> None:
    got = PivotPoints().compute(bars_at([540, 540 + 1440], [64, 70]), interval="10m", calendar=extended_days())
    assert {values[1] for values in got.values()} == {64.0}


def test_levels_need_no_rows_held_before_the_row_itself() -> None:
    assert PivotPoints().reach == PreviousSession().reach == OpeningRange().reach == 0
