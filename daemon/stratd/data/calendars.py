"""Calendars as plain int64 tables, and the grids that buckets of bars lie on.

A calendar comes from the adapter `stratd.system.calendars` (or `utc_table`) and is from then on nothing but numbers.
The rule for buckets is rule 4 of ADR 0001: a bucket belongs to one phase (pre-market, regular, after a lunch break,
post-market), is anchored at that phase's open and ends with the phase at the latest. `1d` is one bucket per session.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stratd.core.kernel import kernel
from stratd.errors import CalendarError
from stratd.model import MINUTE_NS, Interval

Int64s = NDArray[np.int64]

DAY_NS: Final = 1440 * MINUTE_NS
UTC_CALENDAR: Final = "24/7"
_UTC_FIRST_NS: Final = 631_152_000_000_000_000  # 1990-01-01
_UTC_LAST_NS: Final = 4_102_444_800_000_000_000  # 2100-01-01


@dataclass(frozen=True, slots=True, eq=False)
class CalendarTable:
    """Sessions and phases of one calendar. Arrays are read-only, sorted, int64 ns UTC, half-open [open, close).

    Thread safety: immutable.

    Attributes:
        name: as the session wrote it, `24/7` or `XNYS`.
        extended_hours: whether sessions run from the pre-market's open to the post-market's close.
        session_open, session_close: the whole session as used, by session.
        regular_open, regular_close: its regular hours (a lunch break included), by session.
        phase_open, phase_close: by phase; phases never overlap.
        phase_regular: int8, 1 for phases of regular hours.
        phase_session: index of the phase's session; 0 for 24/7, whose single phase holds all sessions.
        regular_minutes_before: minutes of regular phases before the phase.
        bounds: first and last ns that the table knows about.
    """

    name: str
    extended_hours: bool
    session_open: Int64s
    session_close: Int64s
    regular_open: Int64s
    regular_close: Int64s
    phase_open: Int64s
    phase_close: Int64s
    phase_regular: NDArray[np.int8]
    phase_session: Int64s
    regular_minutes_before: Int64s
    bounds: tuple[int, int]

    @property
    def is_utc(self) -> bool:
        """Whether this is the calendar without closing hours, whose buckets are aligned to the UTC epoch."""
        return self.name == UTC_CALENDAR

    def require(self, t_ns: int) -> None:
        """Make sure that the table knows about a time.

        Raises:
            CalendarError: it lies outside the bounds.
        """
        first, last = self.bounds
        if first <= t_ns <= last:
            return
        advice = (
            "start the session's window later"
            if t_ns < first
            else "end the session's window earlier, or update the package exchange_calendars if the table should reach further"
        )
        raise CalendarError(
            f"calendar {self.name}: {_text(t_ns)} lies outside its table, which covers {_text(first)} to {_text(last)}; {advice}"
        )

    def days_left(self, now_ns: int) -> int:
        """Whole days from `now_ns` to the end of the table; negative past it."""
        return (self.bounds[1] - now_ns) // DAY_NS


def utc_table() -> CalendarTable:
    """The calendar `24/7`: sessions are the UTC days of 1990 to 2099, one phase holds all time since 1970."""
    opens = _frozen(np.arange(_UTC_FIRST_NS, _UTC_LAST_NS, DAY_NS))
    closes = _frozen(opens + DAY_NS)
    return CalendarTable(
        name=UTC_CALENDAR,
        extended_hours=False,
        session_open=opens,
        session_close=closes,
        regular_open=opens,
        regular_close=closes,
        # Anchored at the epoch: the bucket of t opens at t - t mod duration, whatever the duration.
        phase_open=_frozen([0]),
        phase_close=_frozen([_UTC_LAST_NS]),
        phase_regular=_frozen([1], np.int8),
        phase_session=_frozen([0]),
        regular_minutes_before=_frozen([0]),
        bounds=(_UTC_FIRST_NS, _UTC_LAST_NS),
    )


def table_from_sessions(name: str, sessions: Int64s, extended_hours: bool) -> CalendarTable:
    """A table from the corner times of each session.

    Args:
        sessions: int64 ns UTC, shape (sessions, 6): pre-market open, regular open, break start, break end,
            regular close, post-market close. A phase of no length is left out: without a pre-market the first two
            are equal, without a break columns 2 to 4 are, without a post-market the last two are.

    Raises:
        CalendarError: there is no session, or the times are not in order or not whole minutes.
    """
    if sessions.ndim != 2 or sessions.shape[1] != 6 or not len(sessions):
        raise CalendarError(f"calendar {name}: there are no sessions in its table (shape {sessions.shape})")
    corners = np.ascontiguousarray(sessions, dtype=np.int64)
    bad = (np.diff(corners, axis=1) < 0).any(axis=1) | (corners[:, 1] >= corners[:, 4]) | (corners % MINUTE_NS != 0).any(axis=1)
    bad[1:] |= corners[1:, 0] < corners[:-1, 5]
    if bad.any():
        first = corners[int(bad.argmax())].tolist()
        raise CalendarError(
            f"calendar {name}: the session {' '.join(map(_text, first))} is not in order or not in whole minutes; "
            "update the package exchange_calendars"
        )
    opens, closes = corners[:, [0, 1, 3, 4]].ravel(), corners[:, [1, 2, 4, 5]].ravel()
    is_there = closes > opens
    regular = np.tile(np.array([0, 1, 1, 0], np.int8), len(corners))[is_there]
    phase_open, phase_close = opens[is_there], closes[is_there]
    minutes = (phase_close - phase_open) // MINUTE_NS * regular
    return CalendarTable(
        name=name,
        extended_hours=extended_hours,
        session_open=_frozen(corners[:, 0]),
        session_close=_frozen(corners[:, 5]),
        regular_open=_frozen(corners[:, 1]),
        regular_close=_frozen(corners[:, 4]),
        phase_open=_frozen(phase_open),
        phase_close=_frozen(phase_close),
        phase_regular=_frozen(regular, np.int8),
        phase_session=_frozen(np.repeat(np.arange(len(corners)), 4)[is_there]),
        regular_minutes_before=_frozen(np.cumsum(minutes) - minutes),
        bounds=(int(corners[0, 0]), int(corners[-1, 5])),
    )


def session_at(table: CalendarTable, t_ns: int) -> int:
    """Index of the session that holds `t_ns`; -1 where none does."""
    at = int(np.searchsorted(table.session_open, t_ns, side="right")) - 1
    return at if at >= 0 and t_ns < table.session_close[at] else -1


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Where the buckets of one interval lie on one calendar.

    Attributes:
        anchor, end: int64 ns UTC, by phase (by session for 1d). Buckets start at anchor + k * duration_ns; the last
            one of a phase is cut at `end`.
    """

    anchor: Int64s
    end: Int64s
    duration_ns: int

    def bucket(self, t_ns: int) -> tuple[int, int] | None:
        """Open and close time of the bucket that holds `t_ns`; None outside all phases."""
        at = int(np.searchsorted(self.anchor, t_ns, side="right")) - 1
        if at < 0 or t_ns >= self.end[at]:
            return None
        anchor = int(self.anchor[at])
        open_time = t_ns - (t_ns - anchor) % self.duration_ns
        return open_time, min(open_time + self.duration_ns, int(self.end[at]))


def grid_of(table: CalendarTable, interval: Interval) -> Grid:
    """The grid of an interval.

    Raises:
        CalendarError: the calendar has no such buckets: more than a day on an exchange's calendar.
    """
    if table.is_utc:
        if interval.duration_ns > table.bounds[1] - table.bounds[0]:
            raise CalendarError(f"calendar {table.name}: {interval} is longer than its table; use a shorter interval")
    elif interval.duration_ns > DAY_NS:
        raise CalendarError(
            f"calendar {table.name}: {interval} is not supported, because a bar of an exchange ends with its session; "
            "use 1d or less, or the calendar 24/7 for buckets aligned to UTC"
        )
    elif interval.duration_ns == DAY_NS:
        longest = int((table.session_close - table.session_open).max())
        if longest > DAY_NS:
            raise CalendarError(f"calendar {table.name}: {interval} is not supported, it has sessions longer than a day")
        return Grid(table.session_open, table.session_close, interval.duration_ns)
    return Grid(table.phase_open, table.phase_close, interval.duration_ns)


@dataclass(frozen=True, slots=True, eq=False)
class GridSet:
    """The grids of several calendars and intervals in flat arrays, for kernels. c is a calendar's index, k an interval's.

    Attributes:
        duration: ns, by interval.
        anchor, end: of all grids; those of (c, k) are [start_of[c, k]:stop_of[c, k]]. Grids with the same phases share them.
        regular_open, regular_close, minutes_before: regular phases, and regular minutes of the calendar before each;
            those of c are [regular_start[c]:regular_stop[c]].
        session_open, session_close: whole sessions; those of c are [session_start[c]:session_stop[c]].
        session_regular_open, session_regular_close: their regular hours, at the same indices.
    """

    duration: Int64s
    anchor: Int64s
    end: Int64s
    start_of: Int64s
    stop_of: Int64s
    regular_open: Int64s
    regular_close: Int64s
    minutes_before: Int64s
    regular_start: Int64s
    regular_stop: Int64s
    session_open: Int64s
    session_close: Int64s
    session_regular_open: Int64s
    session_regular_close: Int64s
    session_start: Int64s
    session_stop: Int64s


def concatenate(tables: Sequence[CalendarTable], intervals: Sequence[Interval]) -> GridSet:
    """Pack the grids of every calendar at every interval.

    Raises:
        CalendarError: a calendar does not support one of the intervals.
    """
    anchors: list[Int64s] = []
    ends: list[Int64s] = []
    start_of = np.zeros((len(tables), len(intervals)), np.int64)
    stop_of = np.zeros_like(start_of)
    size = 0
    for c, table in enumerate(tables):
        packed: dict[int, int] = {}
        for k, interval in enumerate(intervals):
            grid = grid_of(table, interval)
            if id(grid.anchor) not in packed:
                packed[id(grid.anchor)] = size
                anchors.append(grid.anchor)
                ends.append(grid.end)
                size += len(grid.anchor)
            start_of[c, k] = packed[id(grid.anchor)]
            stop_of[c, k] = start_of[c, k] + len(grid.anchor)
    regular = [table.phase_regular == 1 for table in tables]
    regular_start, regular_stop = _offsets([int(chosen.sum()) for chosen in regular])
    session_start, session_stop = _offsets([len(table.session_open) for table in tables])
    return GridSet(
        duration=_frozen([interval.duration_ns for interval in intervals]),
        anchor=_joined(anchors),
        end=_joined(ends),
        start_of=_frozen(start_of),
        stop_of=_frozen(stop_of),
        regular_open=_joined([table.phase_open[chosen] for table, chosen in zip(tables, regular, strict=True)]),
        regular_close=_joined([table.phase_close[chosen] for table, chosen in zip(tables, regular, strict=True)]),
        minutes_before=_joined([table.regular_minutes_before[chosen] for table, chosen in zip(tables, regular, strict=True)]),
        regular_start=regular_start,
        regular_stop=regular_stop,
        session_open=_joined([table.session_open for table in tables]),
        session_close=_joined([table.session_close for table in tables]),
        session_regular_open=_joined([table.regular_open for table in tables]),
        session_regular_close=_joined([table.regular_close for table in tables]),
        session_start=session_start,
        session_stop=session_stop,
    )


def intervals_can_coincide(table_a: CalendarTable, table_b: CalendarTable, interval: Interval) -> bool:
    """Whether a bucket of `interval` on one calendar ever closes together with one on the other. Exact, not sampled.

    Raises:
        CalendarError: one of the calendars does not support the interval.
    """
    a, b = grid_of(table_a, interval), grid_of(table_b, interval)
    duration = interval.duration_ns
    # Every pair of phases that overlap: for phase p of a, those of b from first[p] to last[p].
    first = np.searchsorted(b.end, a.anchor, side="right")
    count = np.maximum(np.searchsorted(b.anchor, a.end, side="left") - first, 0)
    of_a = np.repeat(np.arange(len(a.anchor)), count)
    of_b = np.arange(len(of_a)) - np.repeat(np.cumsum(count) - count, count) + first[of_a]
    anchor_a, end_a, anchor_b, end_b = a.anchor[of_a], a.end[of_a], b.anchor[of_b], b.end[of_b]
    # Whole buckets of both: the anchors are a multiple apart, and one whole bucket fits into what both have.
    in_step = (anchor_a - anchor_b) % duration == 0
    whole = in_step & (np.maximum(anchor_a, anchor_b) + duration <= np.minimum(end_a, end_b))
    # Or the last bucket of a phase, cut short or not, closes with any bucket of the other.
    last_of_a = (anchor_b < end_a) & ((end_a == end_b) | ((end_a < end_b) & ((end_a - anchor_b) % duration == 0)))
    last_of_b = (anchor_a < end_b) & (end_b < end_a) & ((end_b - anchor_a) % duration == 0)
    return bool((whole | last_of_a | last_of_b).any())


@kernel("i8(ro i8[:], ro i8[:], i8, i8, i8, i8)")
def find_phase(opens: Any, closes: Any, start: int, stop: int, t: int, hint: int) -> int:
    """Index p in [start, stop) with opens[p] <= t < closes[p]; -1 where there is none.

    Two comparisons when `hint` (any number will do) or the phase after it is right, else a binary search.
    """
    if start <= hint < stop and opens[hint] <= t:
        if t < closes[hint]:
            return hint
        after = hint + 1
        if after >= stop or t < opens[after]:
            return -1
        if t < closes[after]:
            return after
    low, high = start, stop
    while low < high:
        middle = (low + high) // 2
        if opens[middle] <= t:
            low = middle + 1
        else:
            high = middle
    if low > start and t < closes[low - 1]:
        return low - 1
    return -1


@kernel("i8(i8, i8, i8)")
def bucket_open(anchor: int, duration: int, t: int) -> int:
    """Open time of the bucket that holds `t`, in the phase that is anchored at `anchor` (anchor <= t)."""
    return t - (t - anchor) % duration


@kernel("i8(i8, i8, i8, i8)")
def bucket_close(anchor: int, end: int, duration: int, t: int) -> int:
    """Close time (exclusive) of the bucket that holds `t`, cut at the phase's `end`."""
    close = t - (t - anchor) % duration + duration
    return close if close < end else end


@kernel("i8(ro i8[:], ro i8[:], ro i8[:], i8, i8, i8)")
def regular_minutes_before(opens: Any, closes: Any, minutes_before: Any, start: int, stop: int, t: int) -> int:
    """Minutes of regular hours that open before `t`, by the regular phases [start, stop) of a `GridSet`.

    Minutes missing between bars that open at a and b: regular_minutes_before(b) - regular_minutes_before(a + 1m).
    """
    low, high = start, stop
    while low < high:
        middle = (low + high) // 2
        if opens[middle] < t:
            low = middle + 1
        else:
            high = middle
    if low == start:
        return 0
    until = closes[low - 1] if closes[low - 1] < t else t
    return minutes_before[low - 1] + (until - opens[low - 1] + MINUTE_NS - 1) // MINUTE_NS  # type: ignore[no-any-return]


def _frozen(values: Any, dtype: Any = np.int64) -> NDArray[Any]:
    """A contiguous, read-only array of its own."""
    array = np.array(values, dtype=dtype, order="C")
    array.flags.writeable = False
    return array


def _joined(parts: list[Int64s]) -> Int64s:
    return _frozen(np.concatenate(parts) if parts else [])


def _offsets(sizes: list[int]) -> tuple[Int64s, Int64s]:
    """Where each part starts and stops when parts of these sizes are joined."""
    stops = np.cumsum(np.array(sizes, np.int64))
    return _frozen(stops - np.array(sizes, np.int64)), _frozen(stops)


def _text(t_ns: int) -> str:
    return f"{np.datetime64(t_ns, 'ns').astype('datetime64[m]')}Z"
