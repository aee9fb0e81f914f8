"""EquityFold: what performance figures need of an equity curve, without keeping the curve."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Drawdown:
    """A fall of equity from a peak. Times are int64 ns UTC.

    Attributes:
        fraction: (peak - trough) / peak; above 1 where equity fell below zero.
        peak_time: the last time equity stood at the peak before it fell.
        trough_time: the first time it stood at its lowest.
        recovery_time: the first time after that at which it stood at the peak or higher; None where it has not.
        length_ns: from the peak to the recovery, or to the last point where there is none.
    """

    fraction: float
    peak_time: int
    trough_time: int
    recovery_time: int | None
    length_ns: int


class EquityFold:
    """Takes equity as it comes, in blocks, and keeps one number a day and the deepest drawdown.

    The result does not depend on how the points are divided into blocks: all comparisons are of integers, or of fractions
    that are computed point by point.

    A point belongs to the day in which its bar traded: points are stamped with close times, so day i is
    (days[i], days[i + 1]], and the point at midnight is the last one of the day before. The last day has no end.

    Thread safety: used by one thread, the account's.

    Args:
        capital: equity before the first point, in units of money (`stratd.model.MONEY`), above zero.
        days: int64[d] ns UTC, ascending: where each day begins. The first is the first day to be counted: days between it and
            the first point count as days on which nothing happened. The array is kept, not copied.

    Raises:
        ValueError: the capital is not above zero, or the days are none or not ascending.
    """

    __slots__ = (
        "_day",
        "_drawdown",
        "_drawdown_peak",
        "_drawdown_times",
        "_equity",
        "_peak",
        "_peak_time",
        "_recovery_time",
        "capital",
        "days",
        "last_time",
        "points",
    )

    def __init__(self, capital: int, days: NDArray[np.int64]) -> None:
        if capital <= 0:
            raise ValueError(f"capital is above zero, not {capital} units of money")
        if not len(days) or (np.diff(days) <= 0).any():
            raise ValueError("days are at least one, each later than the one before")
        self.capital = capital
        self.days = days
        self.points = 0
        self.last_time = int(days[0])
        self._day = array("q")  # index of each day with a point
        self._equity = array("q")  # the last equity of that day
        self._peak = capital
        self._peak_time = int(days[0])
        self._drawdown = 0.0
        self._drawdown_peak = capital
        self._drawdown_times = (0, 0)  # of its peak and trough
        self._recovery_time: int | None = None

    def add(self, times: NDArray[np.int64], equity: NDArray[np.int64]) -> None:
        """Take in the next points. Nothing of the arrays is kept.

        Args:
            times: int64[n] ns UTC, close times, not before those of earlier points; of two at one time the later counts for the day.
            equity: int64[n], in units of money.

        Raises:
            ValueError: the arrays differ in length, times go back, or a point does not lie after the beginning of the first day.
                Nothing has been taken in.
        """
        if times.shape != equity.shape or times.ndim != 1:
            raise ValueError(f"times and equity are two arrays of one length, not of shapes {times.shape} and {equity.shape}")
        if not len(times):
            return
        if times[0] <= self.days[0]:
            raise ValueError(
                f"equity at {times[0]} ns lies before the first day, which begins at {self.days[0]} ns: let days begin earlier"
            )
        if times[0] < self.last_time or (times[1:] < times[:-1]).any():
            raise ValueError("times of equity go back: add points in the order in which they happened")
        self._add_days(times, equity)
        self._add_drawdown(times, equity)
        self.points += len(times)
        self.last_time = int(times[-1])

    def daily(self) -> NDArray[np.int64]:
        """Equity at the end of each day, from the first day to that of the last point, with the capital in front.

        Returns:
            int64[1 + days], in units of money. A day without points ends as the day before it did.
        """
        if not len(self._day):
            return np.array([self.capital], np.int64)
        # Each value holds until the next day that has one: the capital from entry 0 on, day i's from entry i + 1 on.
        starts = np.concatenate([[0], np.frombuffer(self._day, np.int64) + 1, [self._day[-1] + 2]])
        values = np.concatenate([[self.capital], np.frombuffer(self._equity, np.int64)])
        return np.repeat(values, np.diff(starts))

    def max_drawdown(self) -> Drawdown | None:
        """The deepest fall from the highest equity before it, capital included; the first of several equal ones.

        Every point counts, not only the last one of each day. None where equity has never been below an earlier value.
        """
        if self._drawdown == 0.0:
            return None
        peak_time, trough_time = self._drawdown_times
        end = self.last_time if self._recovery_time is None else self._recovery_time
        return Drawdown(self._drawdown, peak_time, trough_time, self._recovery_time, end - peak_time)

    def _add_days(self, times: NDArray[np.int64], equity: NDArray[np.int64]) -> None:
        first, last = (np.searchsorted(self.days, times[[0, -1]], side="left") - 1).tolist()
        # Looking the days up among the points costs days x log(points), not points x log(days).
        ends = np.searchsorted(times, self.days[first + 1 : last + 1], side="right")
        ends = np.concatenate([ends, [len(times)]])
        has_points = np.diff(ends, prepend=0) > 0
        if len(self._day) and self._day[-1] == first:
            self._day.pop()
            self._equity.pop()
        self._day.frombytes((np.flatnonzero(has_points) + first).astype(np.int64).tobytes())
        self._equity.frombytes(equity[ends[has_points] - 1].astype(np.int64).tobytes())

    def _add_drawdown(self, times: NDArray[np.int64], equity: NDArray[np.int64]) -> None:
        lowest, peak = int(equity.min()), self._peak
        if equity.max() < peak and float(peak - lowest) / peak <= self._drawdown:
            return  # most blocks: no new peak, so no recovery either, and no deeper fall
        peaks = np.maximum.accumulate(equity)
        np.maximum(peaks, self._peak, out=peaks)
        # The difference may exceed int64, where it wraps round; read as uint64 it is right again.
        fractions = (peaks - equity).view(np.uint64) / peaks
        at_peak = equity == peaks
        trough = int(fractions.argmax())
        after = 0
        if fractions[trough] > self._drawdown:
            self._drawdown = float(fractions[trough])
            self._drawdown_peak = int(peaks[trough])
            before = np.flatnonzero(at_peak[:trough])
            self._drawdown_times = (int(times[before[-1]]) if len(before) else self._peak_time, int(times[trough]))
            self._recovery_time = None
            after = trough + 1
        if self._drawdown > 0.0 and self._recovery_time is None:
            recovered = equity[after:] >= self._drawdown_peak
            if recovered.any():
                self._recovery_time = int(times[after + int(recovered.argmax())])
        if at_peak.any():
            self._peak = int(peaks[-1])
            self._peak_time = int(times[len(times) - 1 - int(at_peak[::-1].argmax())])
