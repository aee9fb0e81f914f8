"""Clock: the only place that asks the machine what time it is."""

from __future__ import annotations

import time
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


perf_ns = time.perf_counter_ns
"""For hot loops: a monotonic stamp in nanoseconds (42 ns a call), used for metrics only, never for decisions."""
