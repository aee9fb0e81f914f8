"""Clock: the only place that asks the machine what time it is."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    def now_ns(self) -> int:
        """Wall-clock time, int64 nanoseconds UTC."""

    def monotonic_ns(self) -> int:
        """Time for measuring spans, nanoseconds from an arbitrary start."""


class SystemClock:
    """The machine's clocks."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return time.perf_counter_ns()


def utc_text(time_ns: int) -> str:
    """A time as people and logs write it: `2013-10-07T13:35:00Z`; the number itself where no calendar reaches."""
    try:
        seconds, rest = divmod(time_ns, 1_000_000_000)
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{f'.{rest:09}' if rest else ''}Z"
    except (OverflowError, ValueError, OSError):
        return str(time_ns)


perf_ns = time.perf_counter_ns
"""For hot loops: a monotonic stamp in nanoseconds (42 ns a call), used for metrics only, never for decisions."""
