from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratd.data.calendars import (
    DAY_NS,
    CalendarTable,
    bucket_close,
    bucket_open,
    concatenate,
    find_phase,
    grid_of,
    intervals_can_coincide,
    regular_minutes_before,
    session_at,
    table_from_sessions,
    utc_table,
)
from stratd.errors import CalendarError
from stratd.model import MINUTE_NS, Interval
from stratd.system.calendars import load_calendar
from tests.support.calendar_oracle import phases_of, read_bars, session_resample

MIDNIGHT = 1_600_041_600_000_000_000  # 2020-09-14


def ns(text: str) -> int:
    return int(np.datetime64(text, "ns").astype(np.int64))


def made(*sessions: tuple[int, int, int, int, int, int], name: str = "TEST") -> CalendarTable:
    """A table from corner times in minutes after MIDNIGHT."""
    return table_from_sessions(name, MIDNIGHT + np.array(sessions, np.int64) * MINUTE_NS, extended_hours=True)


@st.composite
def tables(draw: st.DrawFn, max_sessions: int = 4) -> CalendarTable:
    """Sessions of a few minutes, with and without pre-market, break, post-market, some of them touching each other."""
    sessions = []
    at = 0
    for _ in range(draw(st.integers(1, max_sessions))):
        gaps = draw(st.lists(st.integers(0, 12), min_size=6, max_size=6))
        corners = (at + np.cumsum(gaps)).tolist()
        corners[4] = max(corners[4], corners[1] + 1)
        corners[5] = max(corners[5], corners[4])
        sessions.append(tuple(corners))
        at = corners[5]
    return made(*sessions)


intervals = st.integers(1, 30).map(Interval.from_minutes)


def all_minutes(table: CalendarTable) -> range:
    return range(MIDNIGHT - 3 * MINUTE_NS, int(table.session_close[-1]) + 3 * MINUTE_NS, MINUTE_NS)


def holding_phases(table: CalendarTable, t: int) -> list[int]:
    spans = zip(table.phase_open.tolist(), table.phase_close.tolist(), strict=True)
    return [p for p, (opened, closed) in enumerate(spans) if opened <= t < closed]


@given(tables(), intervals)
@settings(max_examples=60, deadline=None)
def test_grid_any_calendar_tiles_every_phase_and_gives_each_minute_one_bucket(table: CalendarTable, interval: Interval) -> None:
    grid = grid_of(table, interval)
    for t in all_minutes(table):
        phases = holding_phases(table, t)
        assert len(phases) <= 1
        bucket = grid.bucket(t)
        assert (bucket is None) == (not phases)
        if bucket is None:
            continue
        opened, closed = int(table.phase_open[phases[0]]), int(table.phase_close[phases[0]])
        assert opened <= bucket[0] <= t < bucket[1] <= closed
        assert (bucket[0] - opened) % interval.duration_ns == 0
        assert bucket[1] == closed or bucket[1] - bucket[0] == interval.duration_ns
        # Any other minute of the bucket gives the same one, and the next bucket follows at once: they tile the phase.
        assert grid.bucket(bucket[0]) == grid.bucket(bucket[1] - 1) == bucket
        if bucket[1] < closed:
            following = grid.bucket(bucket[1])
            assert following is not None
            assert following[0] == bucket[1]


@given(tables(), st.integers(-5, 20))
@settings(max_examples=40, deadline=None)
def test_kernels_any_calendar_agree_with_brute_force_and_with_their_python(table: CalendarTable, hint: int) -> None:
    other = made((0, 5, 9, 9, 60, 60), name="OTHER")
    interval = Interval("7m")
    packed = concatenate([other, table], [Interval("1m"), interval])
    start, stop = int(packed.start_of[1, 1]), int(packed.stop_of[1, 1])
    first, last = int(packed.regular_start[1]), int(packed.regular_stop[1])
    find, count = find_phase.load(), regular_minutes_before.load()
    opens_at, closes_at = bucket_open.load(), bucket_close.load()
    grid = grid_of(table, interval)
    regular = 0
    for t in all_minutes(table):
        phases = holding_phases(table, t)
        expected = start + phases[0] if phases else -1
        arguments = (packed.anchor, packed.end, start, stop, t, hint)
        assert find(*arguments) == find_phase.function(*arguments) == expected
        counting = (packed.regular_open, packed.regular_close, packed.minutes_before, first, last)
        assert count(*counting, t) == regular_minutes_before.function(*counting, t) == regular
        is_regular = bool(phases) and bool(table.phase_regular[phases[0]])
        regular += is_regular
        # A minute counts from its open on.
        assert count(*counting, t + 1) == regular_minutes_before.function(*counting, t + 1) == regular
        if phases:
            anchor, end = int(packed.anchor[expected]), int(packed.end[expected])
            for open_of, close_of in ((opens_at, closes_at), (bucket_open.function, bucket_close.function)):
                got = open_of(anchor, interval.duration_ns, t), close_of(anchor, end, interval.duration_ns, t)
                assert got == grid.bucket(t)


@given(tables(), tables(), intervals)
@settings(max_examples=60, deadline=None)
def test_intervals_can_coincide_any_two_calendars_equals_comparing_all_closes(
    a: CalendarTable, b: CalendarTable, interval: Interval
) -> None:
    def closes(table: CalendarTable) -> set[int]:
        grid = grid_of(table, interval)
        return {bucket[1] for t in all_minutes(table) if (bucket := grid.bucket(t)) is not None}

    expected = bool(closes(a) & closes(b))
    assert intervals_can_coincide(a, b, interval) is intervals_can_coincide(b, a, interval) is expected
    utc_closes = {t for t in closes(a) if t % interval.duration_ns == 0}
    assert intervals_can_coincide(a, utc_table(), interval) is bool(utc_closes)


def test_find_phase_whatever_the_hint_finds_the_same() -> None:
    table = made((0, 10, 20, 25, 40, 50), (60, 60, 60, 60, 80, 80))
    packed = concatenate([table], [Interval("1m")])
    find = find_phase.load()
    for t in all_minutes(table):
        found = {find(packed.anchor, packed.end, 0, len(packed.anchor), t, hint) for hint in range(-2, 9)}
        phases = holding_phases(table, t)
        assert found == {phases[0] if phases else -1}


def test_table_phases_of_a_full_session_are_pre_morning_afternoon_post() -> None:
    table = made((0, 10, 20, 25, 40, 50))
    assert ((table.phase_open - MIDNIGHT) // MINUTE_NS).tolist() == [0, 10, 25, 40]
    assert ((table.phase_close - MIDNIGHT) // MINUTE_NS).tolist() == [10, 20, 40, 50]
    assert table.phase_regular.tolist() == [0, 1, 1, 0]
    assert table.regular_minutes_before.tolist() == [0, 0, 10, 25]
    assert table.phase_session.tolist() == [0, 0, 0, 0]
    assert (int(table.session_open[0]), int(table.session_close[0])) == table.bounds


def test_table_arrays_are_read_only() -> None:
    for table in (made((0, 0, 9, 9, 9, 9)), utc_table()):
        for name in CalendarTable.__slots__:
            value = getattr(table, name)
            if isinstance(value, np.ndarray):
                with pytest.raises(ValueError, match="read-only"):
                    value[0] = 1


@pytest.mark.parametrize(
    "sessions",
    [
        [(0, 0, 9, 8, 12, 12)],
        [(0, 5, 5, 5, 5, 9)],
        [(0, 0, 9, 9, 9, 9), (8, 8, 12, 12, 12, 12)],
    ],
    ids=["break backwards", "no regular hours", "overlap"],
)
def test_table_from_disordered_sessions_is_refused(sessions: list[Any]) -> None:
    with pytest.raises(CalendarError, match=r"TEST: the session 2020-09-14T00:0.* not in order"):
        made(*sessions)


def test_table_from_half_minutes_or_no_sessions_is_refused() -> None:
    with pytest.raises(CalendarError, match="whole minutes"):
        table_from_sessions("TEST", np.array([[0, 0, 90, 90, 90, 90]], np.int64) * 1_000_000_000, False)
    with pytest.raises(CalendarError, match="no sessions"):
        table_from_sessions("TEST", np.zeros((0, 6), np.int64), False)


@given(st.integers(ns("1990-01-01"), ns("2099-12-01")), st.sampled_from(["1m", "7m", "45m", "1h", "1d", "2d", "7d"]))
def test_utc_grid_any_multiple_is_aligned_to_the_epoch(t: int, text: str) -> None:
    interval = Interval(text)
    assert grid_of(utc_table(), interval).bucket(t) == (interval.bucket_open(t), interval.bucket_close(t))


def test_utc_table_sessions_are_days() -> None:
    table = utc_table()
    at = session_at(table, ns("2024-02-29T23:59"))
    assert int(table.session_open[at]) == ns("2024-02-29")
    assert int(table.session_close[at]) == ns("2024-03-01")
    assert session_at(table, ns("2024-03-01")) == at + 1
    assert table.bounds == (ns("1990-01-01"), ns("2100-01-01"))
    assert session_at(table, ns("1989-12-31T23:59")) == session_at(table, ns("2100-01-01")) == -1


def test_utc_grid_longer_than_the_table_is_refused() -> None:
    with pytest.raises(CalendarError, match="999999d is longer"):
        grid_of(utc_table(), Interval("999999d"))


def test_day_grid_with_calendar_is_one_bucket_per_session_across_its_phases() -> None:
    table = made((0, 10, 20, 25, 40, 50), (60, 60, 60, 60, 80, 80))
    grid = grid_of(table, Interval("1d"))
    whole = MIDNIGHT, MIDNIGHT + 50 * MINUTE_NS
    assert grid.bucket(MIDNIGHT) == grid.bucket(MIDNIGHT + 22 * MINUTE_NS) == grid.bucket(MIDNIGHT + 49 * MINUTE_NS) == whole
    assert grid.bucket(MIDNIGHT + 55 * MINUTE_NS) is None
    packed = concatenate([utc_table(), table], [Interval("1m"), Interval("1d")])
    assert packed.anchor[packed.start_of[1, 1] : packed.stop_of[1, 1]].tolist() == table.session_open.tolist()
    assert packed.end[packed.start_of[1, 0] : packed.stop_of[1, 0]].tolist() == table.phase_close.tolist()
    assert packed.end[packed.start_of[0, 1] : packed.stop_of[0, 1]].tolist() == utc_table().phase_close.tolist()
    second = slice(int(packed.session_start[1]), int(packed.session_stop[1]))
    assert packed.session_regular_open[second].tolist() == table.regular_open.tolist()
    assert packed.session_close[second].tolist() == table.session_close.tolist()
    assert packed.duration.tolist() == [MINUTE_NS, DAY_NS]


def test_grid_of_more_than_a_day_with_calendar_is_refused() -> None:
    with pytest.raises(CalendarError, match=r"calendar TEST: 2d is not supported.*1d or less, or the calendar 24/7"):
        concatenate([utc_table(), made((0, 0, 9, 9, 9, 9))], [Interval("2d")])
    with pytest.raises(CalendarError, match="1d is not supported, it has sessions longer than a day"):
        grid_of(made((0, 0, 1500, 1500, 1500, 1500)), Interval("1d"))


def test_require_outside_bounds_says_calendar_time_bounds_and_what_to_do() -> None:
    table = made((0, 0, 9, 9, 9, 9))
    table.require(table.bounds[0])
    table.require(table.bounds[1])
    with pytest.raises(CalendarError, match=r"TEST: 2020-09-14T00:10Z .*2020-09-14T00:00Z to 2020-09-14T00:09Z.*update"):
        table.require(MIDNIGHT + 10 * MINUTE_NS)
    with pytest.raises(CalendarError, match="start the session's window later"):
        table.require(MIDNIGHT - 1)


def test_days_left_counts_whole_days_to_the_bound() -> None:
    end = utc_table().bounds[1]
    assert utc_table().days_left(end - 10 * DAY_NS - 1) == 10
    assert utc_table().days_left(end + 1) == -1


@pytest.mark.parametrize("extended", [False, True])
def test_session_at_new_york_half_day_ends_early(extended: bool) -> None:
    table = load_calendar("XNYS", extended)
    at = session_at(table, ns("2015-12-24T15:00"))
    assert int(table.regular_open[at]) == ns("2015-12-24T14:30")
    assert int(table.regular_close[at]) == ns("2015-12-24T18:00")
    assert int(table.session_close[at]) == ns("2015-12-24T22:00" if extended else "2015-12-24T18:00")
    assert session_at(table, ns("2015-12-25T15:00")) == -1
    assert (session_at(table, ns("2015-12-24T21:59")) == at) is extended
    assert grid_of(table, Interval("1h")).bucket(ns("2015-12-24T17:45")) == (ns("2015-12-24T17:30"), ns("2015-12-24T18:00"))


def test_intervals_can_coincide_real_calendars() -> None:
    new_york, tokyo, utc = load_calendar("XNYS"), load_calendar("XTKS"), utc_table()
    assert intervals_can_coincide(new_york, utc, Interval("30m"))
    assert not intervals_can_coincide(new_york, utc, Interval("1d"))
    assert not intervals_can_coincide(new_york, tokyo, Interval("1m"))
    assert intervals_can_coincide(new_york, load_calendar("XNYS", True), Interval("1h"))


@pytest.mark.shared_data
@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("file", ["SPY_2011-03_dst", "GOOG_2015-12", "SPY_2013-10"])
def test_grid_real_bars_fall_into_the_oracles_buckets(file: str, extended: bool) -> None:
    from tests.support.paths import shared_data

    frame = read_bars(shared_data() / "bars" / "us_equity" / f"{file}.csv.gz")
    table = load_calendar("XNYS", extended)
    times = [ns(stamp.rstrip("Z")) for stamp in frame["timestamp"]]
    for minutes in (15, 60):
        grid = grid_of(table, Interval.from_minutes(minutes))
        buckets = sorted({bucket for t in times if (bucket := grid.bucket(t)) is not None})
        bars = session_resample(frame, minutes, extended)
        assert buckets == list(zip(bars["open_time"].tolist(), bars["close_time"].tolist(), strict=True))
        assert bars["n"].sum() == sum(grid.bucket(t) is not None for t in times)


def test_oracle_unknown_day_is_refused() -> None:
    from datetime import date

    assert phases_of(date(2015, 12, 25)) == []
    with pytest.raises(LookupError, match="2016-01-04"):
        phases_of(date(2016, 1, 4))
