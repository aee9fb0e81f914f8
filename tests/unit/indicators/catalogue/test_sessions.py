"""SessionClock, on calendars with and without closing hours, and when sums begin again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stratd.data.calendars import session_at, table_from_sessions, utc_table
from stratd.indicators.base import StreamInfo
from stratd.indicators.catalogue.session_levels import OpeningRange, PivotPoints
from stratd.indicators.catalogue.sessions import SessionClock, check_reset, session_table
from stratd.indicators.catalogue.vwap import VWAP
from stratd.indicators.graph import Planner
from stratd.model import Interval

from ....support.session_bars import new_york_bars, new_york_sessions, xnys

MINUTE = 60_000_000_000
DAY = 1440 * MINUTE
MONDAY = 1_704_672_000_000_000_000  # 2024-01-08 00:00 UTC


def small_calendar() -> Any:
    """Three days 08:00 to 20:00, regular 09:00 to 17:00 with a break; the third begins where the second ends."""
    hours = np.array([8, 9, 12, 13, 17, 20]) * 60 * MINUTE
    third = np.array([20, 21, 22, 22, 23, 24]) * 60 * MINUTE
    return table_from_sessions("SMALL", np.stack([MONDAY + hours, MONDAY + DAY + hours, MONDAY + DAY + third]), True)


def clock(times: Any, calendar: Any, **options: Any) -> dict[str, Any]:
    times = np.asarray(times, np.int64)
    bars = {"open_time": times, "close_time": times + 1, "close": np.ones(len(times))}
    return SessionClock().compute(bars, calendar=calendar, **options)


def test_clock_edges_are_half_open() -> None:
    minutes = [479, 480, 539, 540, 750, 1019, 1020, 1199, 1200]
    got = clock([MONDAY + at * MINUTE for at in minutes], small_calendar())
    np.testing.assert_array_equal(got["number"], [np.nan, 0, 0, 0, 0, 0, 0, 0, np.nan])
    np.testing.assert_array_equal(got["minute"], [np.nan, -60, -1, 0, 210, 479, 480, 659, np.nan])
    np.testing.assert_array_equal(got["left"], [np.nan, 540, 481, 480, 270, 1, 0, -179, np.nan])


def test_clock_session_that_begins_where_another_ends_is_the_new_one() -> None:
    edge = MONDAY + DAY + 20 * 60 * MINUTE
    np.testing.assert_array_equal(clock([edge - 1, edge], small_calendar())["number"], [1, 2])


def test_clock_outside_the_table_is_nan() -> None:
    table = small_calendar()
    times = [MONDAY - 400 * DAY, MONDAY, MONDAY + 9 * 60 * MINUTE, MONDAY + 2 * DAY, MONDAY + 900 * DAY]
    np.testing.assert_array_equal(clock(times, table)["number"], [np.nan, np.nan, 0, np.nan, np.nan])


def test_clock_between_minutes_keeps_fractions() -> None:
    got = clock([MONDAY + 9 * 60 * MINUTE + 15_000_000_000], small_calendar())
    assert got["minute"][0] == 0.25
    assert got["left"][0] == 479.75


@pytest.mark.parametrize("calendar", [small_calendar(), utc_table()], ids=["small", "24/7"])
def test_clock_any_blocks_and_gaps_equal_a_search_for_each_row(calendar: Any) -> None:
    random = np.random.default_rng(1)
    times = MONDAY - DAY + np.cumsum(random.integers(1, 40 * MINUTE, 300))
    times[200:] += 1000 * DAY if calendar.is_utc else 0
    expected = [session_at(calendar, int(time)) for time in times]
    for blocks in ([], range(300), [1, 7, 7, 150]):
        got = clock(times, calendar, blocks=blocks)["number"]
        np.testing.assert_array_equal(np.nan_to_num(got, nan=-1.0), expected)


@pytest.mark.shared_data
@pytest.mark.parametrize("minutes", [1, 5])
@pytest.mark.parametrize("file", ["us_equity/SPY_2011-03_dst", "us_equity/GOOG_2015-12", "us_equity/SHY_2008-03_dst"])
def test_clock_on_real_bars_equals_local_time(file: str, minutes: int) -> None:
    bars = new_york_bars(file, minutes)
    got = SessionClock().compute(bars, calendar=xnys(), interval=f"{minutes}m")
    frame = new_york_sessions(bars)
    np.testing.assert_array_equal(got["minute"], frame["minute"])
    np.testing.assert_array_equal(got["left"], frame["left"])
    changes = np.flatnonzero(np.diff(got["number"])) + 1
    np.testing.assert_array_equal(changes, np.flatnonzero(frame["session"].ne(frame["session"].shift())[1:]) + 1)


@pytest.mark.shared_data
def test_clock_regular_hours_only_has_no_time_in_the_pre_market() -> None:
    bars = new_york_bars("us_equity/GOOG_2015-12")
    got = SessionClock().compute(bars, calendar=xnys(False))
    frame = new_york_sessions(bars)
    np.testing.assert_array_equal(np.isnan(got["minute"]), ((frame["minute"] < 0) | (frame["left"] <= 0)).to_numpy())
    half_day = frame["session"].astype(str).to_numpy() == "2015-12-24"
    assert np.nanmax(got["minute"][half_day] + got["left"][half_day]) == 210


def test_session_table_is_one_array_for_all_and_another_for_another_calendar() -> None:
    one, two = utc_table(), utc_table()
    assert session_table(one) is session_table(one)
    assert session_table(one) is not session_table(two)
    assert not session_table(one).flags.writeable
    # The engine does not copy what is as large as this.
    assert np.asarray(session_table(one), np.float64) is session_table(one)


def test_clock_is_one_part_of_all_indicators_of_a_stream() -> None:
    stream = StreamInfo("X", Interval("1m"), 0, 0, None, utc_table())
    planner = Planner(lambda symbol, interval: stream)
    plans = [planner.plan(spec, stream) for spec in (VWAP(), PivotPoints(), OpeningRange(), SessionClock())]
    keys = {part.key for plan in plans for part in plan.parts if isinstance(part.spec, SessionClock)}
    assert len(keys) == 1
    assert [type(part.spec).__name__ for part in plans[1].parts] == ["SessionClock", "PreviousSession", "PivotPoints"]


@pytest.mark.parametrize(
    ("reset", "message"),
    [
        ("sesion", "not 'sesion'; did you mean 'session'"),
        ("daily", "'session', 'never', or a number of bars"),
        (0, "1 or more, not 0"),
        (2.5, "not 2.5"),
        (True, "not True"),
        (None, "not None"),
    ],
)
def test_reset_that_is_none_is_refused(reset: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_reset(reset)


def test_reset_shows_in_the_label_where_it_is_not_the_session() -> None:
    assert [str(VWAP()), str(VWAP("never")), str(VWAP(np.int64(30)))] == ["VWAP", "VWAP(never)", "VWAP(30)"]
    assert VWAP(np.int64(30)) == VWAP(30)
