"""Bar: one row of a stream."""

from __future__ import annotations

from enum import IntFlag
from typing import NamedTuple


class BarFlags(IntFlag):
    """What is special about a bar."""

    NONE = 0
    INCOMPLETE = 1  # fewer minutes than its span has
    LOST = 2  # at least one of the missing minutes was lost, not merely without trades
    BACKFILLED = 4  # from the feed's history, after a gap
    SYNTHETIC = 8  # made up for a minute without trades
    REVISED = 16  # replaced before anybody saw it
    TRUNCATED = 32  # its span ends early, at the session's close


class Bar(NamedTuple):
    """One bar, read-only. Times are int64 nanoseconds UTC; the bar covers [open_time, close_time).

    Attributes:
        n: minutes it was built from.
        lost: minutes of its span that should have been there and are not.
        quiet: minutes of its span without trades.
    """

    open_time: int
    close_time: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    n: int
    lost: int
    quiet: int
    flags: BarFlags

    @property
    def expected(self) -> int:
        """Minutes in its span, breaks of the session left out."""
        return self.n + self.lost + self.quiet

    @property
    def incomplete(self) -> bool:
        """Whether it was built from fewer minutes than its span has."""
        return bool(self.flags & BarFlags.INCOMPLETE)
