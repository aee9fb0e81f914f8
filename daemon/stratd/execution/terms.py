"""TradingTerms: what accounts need to know of a session's instruments and calendars. Shared by all of them, read-only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stratd.data.calendars import CalendarTable
from stratd.model import MINUTE_NS, Instrument, Interval


class TradingTerms:
    """Symbols, ticks, lots, and when a day ends.

    Thread safety: immutable.

    Attributes:
        symbols, instruments: in the session's order.
        ticks: float64[symbols]; 0 where a symbol has none.
    """

    __slots__ = ("_calendar_of", "_calendars", "instruments", "streams", "symbols", "ticks")

    def __init__(
        self,
        symbols: Sequence[str],
        instruments: Mapping[str, Instrument],
        calendars: Sequence[CalendarTable],
        calendar_of: Mapping[str, int],
        streams: int,
    ) -> None:
        """Args:
        streams: how many the event log has.
        """
        self.symbols = tuple(symbols)
        self.instruments = tuple(instruments[symbol] for symbol in symbols)
        self.streams = streams
        self.ticks: NDArray[np.float64] = np.array([entry.tick or 0.0 for entry in self.instruments])
        self.ticks.setflags(write=False)
        self._calendars = tuple(calendars)
        self._calendar_of = tuple(calendar_of[symbol] for symbol in symbols)

    def day_end(self, symbol: int, time: int) -> int:
        """Close of the session that `time` (ns UTC) lies in, or else of the next one: when a DAY order ends."""
        closes = self._calendars[self._calendar_of[symbol]].session_close
        at = int(np.searchsorted(closes, time, side="right"))
        return int(closes[min(at, len(closes) - 1)])

    def day_starts(self, symbols: Sequence[int]) -> NDArray[np.int64]:
        """When the days of an account begin, int64 ns UTC: sessions' opens of its first symbol with a calendar, else UTC midnights."""
        numbers = [self._calendar_of[symbol] for symbol in symbols] or [0]
        calendar = next((number for number in numbers if not self._calendars[number].is_utc), numbers[0])
        return self._calendars[calendar].session_open

    def bars_per_year(self, symbol: int, interval: Interval) -> float:
        """Bars of an interval in a year of its calendar: 525,600 minutes around the clock, else 252 sessions and what these hold on average."""
        calendar = self._calendars[self._calendar_of[symbol]]
        if calendar.is_utc:
            return 525_600 / interval.minutes
        if interval.minutes >= 1_440:
            return 252.0
        # A phase's last bar is cut at its end.
        bars = np.ceil((calendar.phase_close - calendar.phase_open) / (interval.minutes * MINUTE_NS))
        return 252.0 * float(bars.sum()) / len(calendar.session_open)

    def days_per_year(self, symbols: Sequence[int]) -> int:
        """Days of trading in a year: 365 around the clock, else 252."""
        return 365 if all(self._calendars[self._calendar_of[symbol]].is_utc for symbol in symbols) else 252
