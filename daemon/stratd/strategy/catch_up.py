"""CatchUp: how a strategy comes again to where it stopped before a restart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stratd.data.calendars import CalendarTable
from stratd.data.event_log import Segment
from stratd.model import MINUTE_NS

SKIPPED: Final = -(1 << 30) - 1
"""Stands in a window's list of events for one that was handled before a restart."""


class CatchUp:
    """Events that were handled before a restart only make rows visible again; the strategy goes on behind its checkpoint.

    The feed has to begin before the checkpoint, or right at it. Bars in between would have been matched and marked, and nobody
    has seen them: that is found out at the first bar, and kept.

    Thread safety: belongs to the strategy's thread; others read its numbers when that has ended, and `awaits_ns` at any time.

    Args:
        until: close time of the last step that was handled, ns UTC.
        symbols: indices of the strategy's symbols, which are their 1m bars' numbers in the log too.
        tables: their calendars.

    Attributes:
        done: whether something new has come.
        missing_minutes: minutes of the calendars' sessions between the checkpoint and the feed's first bar.
        first_bar_ns: open time of that bar, ns UTC; -1 before it came.
    """

    __slots__ = ("_come_to", "_symbols", "_tables", "done", "first_bar_ns", "missing_minutes", "until")

    def __init__(self, until: int, symbols: Iterable[int], tables: Iterable[CalendarTable]) -> None:
        self.until = until
        self.done = False
        self.missing_minutes = 0
        self.first_bar_ns = -1
        self._come_to = -1
        self._symbols = np.array(sorted(symbols), np.int32)
        self._tables = tuple(tables)

    @property
    def awaits_ns(self) -> int:
        """Up to when (close time, ns UTC) events had been handled, if they have not come again; -1 else."""
        return self.until if not self.done and self._come_to < self.until else -1

    def look(self, segment: Segment, start: int, stop: int) -> bool:
        """Look for the feed's first bar among log entries [start, stop). Returns whether it came, and bars before it are missing."""
        if self.first_bar_ns >= 0:
            return False
        (found,) = np.nonzero(np.isin(segment.stream[start:stop], self._symbols))
        if not len(found):
            return False
        self.first_bar_ns = segment.close_time.item(start + found.item(0)) - MINUTE_NS
        self.missing_minutes = max((_open_minutes(one, self.until, self.first_bar_ns) for one in self._tables), default=0)
        return self.missing_minutes > 0

    def skip(self, slots: list[int], times: NDArray[np.int64], bars: int, others: int) -> int:
        """Mark a window's events that were handled before. Returns how many they are.

        Args:
            slots: the events' numbers (see `select`). Bars become such as are only made visible, others SKIPPED.
            times: int64, the events' close times, ascending.
            bars: how many slots there are. Behind them come `others`, numbers of slices and session events.
        """
        handled = int(np.searchsorted(times, self.until, side="right"))
        for i in range(handled):
            code = slots[i]
            if code >= 0:
                slots[i] = -1 - code
            elif bars <= -1 - code < bars + others:
                slots[i] = SKIPPED
        if handled:
            self._come_to = times.item(handled - 1)
        self.done = self.done or handled < len(slots)
        return handled


def _open_minutes(table: CalendarTable, start: int, stop: int) -> int:
    """Minutes of a calendar's phases within [start, stop)."""
    parts = np.minimum(table.phase_close, stop) - np.maximum(table.phase_open, start)
    return int(np.maximum(parts, 0).sum()) // MINUTE_NS
