"""ADR 0001 in plain Python: what a session must make of its rows. Slow, short, and written from the text of the ADR alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from stratd.model import BarFlags
from stratd.testing.bars import BarRow

MINUTE = 60_000_000_000
DAY = 1440 * MINUTE


@dataclass(frozen=True)
class Phase:
    """Part of a session, int64 ns UTC."""

    open: int
    close: int
    regular: bool
    session: int  # its number


@dataclass(frozen=True)
class Listed:
    """A symbol. Without phases it trades around the clock."""

    symbol: str
    calendar: str = "24/7"
    phases: tuple[Phase, ...] = ()
    extended_hours: bool = False
    sends_empty_minutes: bool = False

    def phase(self, t: int) -> Phase | None:
        return next((phase for phase in self.phases if phase.open <= t < phase.close), None)

    def is_open(self, t: int) -> bool:
        return not self.phases or self.phase(t) is not None

    def is_regular(self, t: int) -> bool:
        phase = self.phase(t)
        return not self.phases or (phase is not None and phase.regular)

    def session(self, t: int) -> tuple[int, int] | None:
        """Open and close of the session that holds `t`."""
        if not self.phases:
            return t - t % DAY, t - t % DAY + DAY
        for number in {phase.session for phase in self.phases}:
            opened = min(phase.open for phase in self.phases if phase.session == number)
            closed = max(phase.close for phase in self.phases if phase.session == number)
            if opened <= t < closed:
                return opened, closed
        return None

    def bucket(self, t: int, minutes: int) -> tuple[int, int] | None:
        """Rule 4."""
        span = minutes * MINUTE
        if not self.phases:
            return t - t % span, t - t % span + span
        phase = self.phase(t)
        if phase is None:
            return None
        if span == DAY:
            return self.session(t)
        opened = t - (t - phase.open) % span
        return opened, min(opened + span, phase.close)

    def minutes_of(self, opened: int, closed: int) -> list[int]:
        return [t for t in range(opened, closed, MINUTE) if self.is_open(t)]


class Event(NamedTuple):
    """What a strategy that is subscribed to everything is told, in order.

    Attributes:
        key: close time, rank, symbol order: bars by interval (their slice behind them), then session closes, then opens.
        body: what follows `what`; see `expect`.
    """

    key: tuple[int, int, int]
    what: str
    body: tuple[object, ...]


@dataclass
class Expected:
    """Attributes:
    kinds: by row in feed order: "used", or the kinds as which it may be rejected.
    """

    events: list[Event] = field(default_factory=list)
    kinds: list[str | frozenset[str]] = field(default_factory=list)
    used: dict[str, dict[int, BarRow]] = field(default_factory=dict)
    lost: dict[str, set[int]] = field(default_factory=dict)


def defects(row: BarRow, listed: Listed | None) -> frozenset[str]:
    """What is wrong with a row by itself."""
    numbers = row[2:7]
    if listed is None:
        return frozenset({"unknown_symbol"})
    if row.open_time % MINUTE:
        return frozenset({"misaligned_minute"})
    if not listed.is_open(row.open_time):
        return frozenset({"outside_session"})
    if not all(map(math.isfinite, numbers)):
        return frozenset({"nan"})
    if min(numbers[:4]) <= 0:
        return frozenset({"non_positive_price"})
    if row.high < max(row.open, row.close, row.low) or row.low > min(row.open, row.close):
        return frozenset({"ohlc_contradiction"})
    if row.volume < 0:
        return frozenset({"negative_volume"})
    return frozenset()


def timely(row: BarRow, listed: Listed | None) -> bool:
    """Rule 2: whether a row says anything about a minute."""
    return listed is not None and not row.open_time % MINUTE and listed.is_open(row.open_time)


def expect(rows: Sequence[BarRow], market: Sequence[Listed], intervals: Sequence[int]) -> Expected:
    """Everything that follows from rows in feed order.

    Bodies of events:
        bar: symbol, minutes, (open time, close time, open, high, low, close, volume, n, lost, quiet, flags)
        slice: minutes, missing
        open, close: calendar, open time, close time

    Args:
        intervals: in minutes, 1 among them.
    """
    found = Expected(used={one.symbol: {} for one in market}, lost={one.symbol: set() for one in market})
    by_symbol = {one.symbol: one for one in market}
    newest: dict[str, int] = {}
    for row in rows:
        listed = by_symbol.get(row.symbol)
        kinds = defects(row, listed)
        late = row.open_time < newest.get(row.symbol, 0)
        same = found.used.get(row.symbol, {}).get(row.open_time)
        if late:
            kinds |= {"out_of_order"}  # Rule 6: changes nothing else.
        elif same is not None:
            kinds |= {"duplicate_same" if row == same else "duplicate_conflicting"}
        elif not kinds:
            found.used[row.symbol][row.open_time] = row
        elif timely(row, listed):
            found.lost[row.symbol].add(row.open_time)
        if timely(row, listed):
            newest[row.symbol] = max(row.open_time, newest.get(row.symbol, 0))
        found.kinds.append(kinds or "used")
    for listed in market:
        found.lost[listed.symbol] -= set(found.used[listed.symbol])
    bars = _bars(found, market, sorted(intervals))
    found.events = sorted(bars + _slices(bars, market, sorted(intervals)) + _sessions(rows, market))
    return found


def _bars(found: Expected, market: Sequence[Listed], intervals: Sequence[int]) -> list[Event]:
    """Rules 3 to 5."""
    events = []
    for order, listed in enumerate(market):
        used, lost = found.used[listed.symbol], found.lost[listed.symbol]
        for rank, minutes in enumerate(intervals):
            buckets: dict[tuple[int, int], list[BarRow]] = defaultdict(list)
            for t in sorted(used):
                bucket = listed.bucket(t, minutes)
                assert bucket is not None
                buckets[bucket].append(used[t])
            for (opened, closed), inside in buckets.items():
                span = listed.minutes_of(opened, closed)
                absent = [t for t in span if t not in used]
                gone = sum(t in lost or (listed.sends_empty_minutes and listed.is_regular(t)) for t in absent)
                flags = BarFlags.INCOMPLETE if absent else BarFlags.NONE
                flags |= BarFlags.LOST if gone else BarFlags.NONE
                flags |= BarFlags.TRUNCATED if minutes < 1440 and closed - opened < minutes * MINUTE else BarFlags.NONE
                high, low = max(row.high for row in inside), min(row.low for row in inside)
                volume = sum(row.volume for row in inside)
                prices = (inside[0].open, high, low, inside[-1].close, volume)
                bar = (opened, closed, *prices, len(inside), gone, len(absent) - gone, int(flags))
                events.append(Event((closed, 2 * rank, order), "bar", (listed.symbol, minutes, bar)))
    return events


def _slices(bars: Sequence[Event], market: Sequence[Listed], intervals: Sequence[int]) -> list[Event]:
    """Rule 8."""
    given: dict[tuple[int, int], set[object]] = defaultdict(set)
    for (closed, rank, _), _, (symbol, *_) in bars:
        given[closed, rank].add(symbol)
    events = []
    for (closed, rank), symbols in given.items():
        minutes = intervals[rank // 2]
        due = []
        for listed in market:
            bucket = listed.bucket(closed - MINUTE, minutes)
            if bucket is not None and bucket[1] == closed:
                due.append(listed.symbol)
        missing = tuple(symbol for symbol in due if symbol not in symbols)
        events.append(Event((closed, rank + 1, 0), "slice", (minutes, missing)))
    return events


def _sessions(rows: Sequence[BarRow], market: Sequence[Listed]) -> list[Event]:
    """Rules 1, 2 and 10: from the first minute of the feed to the end of its last one, whatever its rows' prices are worth."""
    by_symbol = {one.symbol: one for one in market}
    times = [row.open_time for row in rows if timely(row, by_symbol.get(row.symbol))]
    if not times:
        return []
    first, end = times[0], max(times) + MINUTE
    events = []
    calendars: dict[str, Listed] = {}
    for listed in market:
        calendars.setdefault(listed.calendar, listed)
    for order, (calendar, listed) in enumerate(calendars.items()):
        spans = {span for t in range(first - DAY, end + DAY, MINUTE * 30) if (span := listed.session(t)) is not None}
        for opened, closed in spans:
            if closed > first and opened <= end:
                events.append(Event((opened, 1_000_001, order), "open", (calendar, opened, closed)))
            if first < closed <= end:
                events.append(Event((closed, 1_000_000, order), "close", (calendar, opened, closed)))
    return events
