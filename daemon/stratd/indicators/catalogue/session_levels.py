"""Levels of a session: opening range, the previous session, pivot points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from stratd.core.kernel import operation
from stratd.data.calendars import DAY_NS
from stratd.indicators.base import Primitive, Source, StreamInfo, check_number, set_checked
from stratd.indicators.catalogue.sessions import SessionClock
from stratd.model import MINUTE_NS

_MINUTE: Final = float(MINUTE_NS)

# State of the opening range, and of the previous session as far as it goes.
_NUMBER: Final = 0  # of the session
_BARS: Final = 1  # 1: there has been a bar that counts
_HIGH: Final = 2
_LOW: Final = 3
_OVER: Final = 4  # 1: the span is over
# State of the previous session.
_OPEN: Final = 4
_CLOSE: Final = 5
_BEFORE: Final = 6  # 1: there is a session before, whose levels follow in the order of the outputs
_BEFORE_HIGH: Final = 7
_BEFORE_LOW: Final = 8
_BEFORE_CLOSE: Final = 9
_BEFORE_OPEN: Final = 10


@operation
def opening_range(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """High and low of the first minutes. Parameters: minutes. Inputs: high, low, open and close time, and those of `SessionClock`."""
    highs, lows, open_times, close_times = inputs[0], inputs[1], inputs[2], inputs[3]
    numbers, minutes, lefts = inputs[4], inputs[5], inputs[6]
    high_out, low_out, middle_out = outputs[0], outputs[1], outputs[2]
    # In whole ns: sums of minutes that are rounded could miss the end of the span by a little.
    span = np.rint(parameters[0] * _MINUTE)
    current, bars, over = state[_NUMBER], state[_BARS], state[_OVER]
    high, low = state[_HIGH], state[_LOW]
    for row in range(start, stop):
        number = numbers[row]
        if number != current and not np.isnan(number):
            current = number
            bars = 0.0
            over = 0.0
        # NaN, outside all sessions, is never within the span.
        if over == 0.0 and not np.isnan(number):
            since, left = np.rint(minutes[row] * _MINUTE), np.rint(lefts[row] * _MINUTE)
            if 0.0 <= since < span and left > 0.0 and np.isfinite(highs[row]) and np.isfinite(lows[row]):
                high = max(high, highs[row]) if bars > 0.0 else highs[row]
                low = min(low, lows[row]) if bars > 0.0 else lows[row]
                bars = 1.0
            length = np.float64(close_times[row]).view(np.int64) - np.float64(open_times[row]).view(np.int64)
            if since + length >= span or left <= length:
                over = 1.0
        if over > 0.0 and bars > 0.0 and number == current:
            high_out[row] = high
            low_out[row] = low
            middle_out[row] = (high + low) / 2.0
        else:
            high_out[row] = np.nan
            low_out[row] = np.nan
            middle_out[row] = np.nan
    state[_NUMBER], state[_BARS], state[_OVER] = current, bars, over
    state[_HIGH], state[_LOW] = high, low


@dataclass(frozen=True, slots=True)
class OpeningRange(Primitive):
    """Highest and lowest price of the first minutes of the regular hours (T. Crabel, Day Trading with Short Term Price Patterns
    and Opening Range Breakout, 1990).

    Bars that open within the first `minutes` of the session's regular hours count, whole: choose minutes that the interval
    divides. The range is known when the span is over, at the first bar that closes at its end or later, and stays until the
    session ends, post-market included. A span that is longer than the regular hours (a half day) ends with them. Bars before and after
    the regular hours do not count; nor does a bar of `1d` with extended hours, which opens with the pre-market.

    NaN: before the span is over, in a session without a bar in it, and outside all sessions. A bar with a high or low that
    is not finite does not count; the range stands at it.

    Warm-up: 1 row at least; with bars of one minute `minutes` rows.

    Attributes:
        minutes: length of the span, which may be a fraction.
    """

    outputs: ClassVar[tuple[str, ...]] = ("high", "low", "middle")
    operation = opening_range

    minutes: float = 30

    def __post_init__(self) -> None:
        set_checked(self, minutes=check_number("minutes", self.minutes, above=0.0))

    @property
    def sources(self) -> tuple[Source, ...]:
        clock = SessionClock()
        return ("high", "low", "open_time", "close_time", *(clock.output(name) for name in clock.outputs))

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.minutes,)

    @property
    def state_size(self) -> int:
        return _OVER + 1


@operation
def previous_session(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """Prices of the session before. Parameters: 1 if bars are whole sessions. Inputs: OHLC, and those of `SessionClock`."""
    opens, highs, lows, closes = inputs[0], inputs[1], inputs[2], inputs[3]
    numbers, minutes, lefts = inputs[4], inputs[5], inputs[6]
    high_out, low_out, close_out, open_out = outputs[0], outputs[1], outputs[2], outputs[3]
    whole = parameters[0] > 0.0
    current, bars, before = state[_NUMBER], state[_BARS], state[_BEFORE]
    open_, high, low, close = state[_OPEN], state[_HIGH], state[_LOW], state[_CLOSE]
    before_open, before_high = state[_BEFORE_OPEN], state[_BEFORE_HIGH]
    before_low, before_close = state[_BEFORE_LOW], state[_BEFORE_CLOSE]
    for row in range(start, stop):
        number = numbers[row]
        if number != current and not np.isnan(number):
            current = number
            if bars > 0.0:
                before_open, before_high, before_low, before_close = open_, high, low, close
                before = 1.0
                bars = 0.0
        if whole or (minutes[row] >= 0.0 and lefts[row] > 0.0):
            h, l, c = highs[row], lows[row], closes[row]
            if np.isfinite(opens[row]) and np.isfinite(h) and np.isfinite(l) and np.isfinite(c):
                if bars > 0.0:
                    high = max(high, h)
                    low = min(low, l)
                else:
                    open_, high, low = opens[row], h, l
                    bars = 1.0
                close = c
        if before > 0.0 and number == current:
            high_out[row], low_out[row], close_out[row], open_out[row] = before_high, before_low, before_close, before_open
        else:
            high_out[row], low_out[row], close_out[row], open_out[row] = np.nan, np.nan, np.nan, np.nan
    state[_NUMBER], state[_BARS], state[_BEFORE] = current, bars, before
    state[_OPEN], state[_HIGH], state[_LOW], state[_CLOSE] = open_, high, low, close
    state[_BEFORE_OPEN], state[_BEFORE_HIGH] = before_open, before_high
    state[_BEFORE_LOW], state[_BEFORE_CLOSE] = before_low, before_close


@dataclass(frozen=True, slots=True)
class PreviousSession(Primitive):
    """High, low, close and open of the last session before this one that had bars in its regular hours.

    Bars count that open in the regular hours; of `1d` and longer all do, as each is a session or more. The levels change with the first bar
    of a new session, pre-market included. A holiday, or a session without bars, is passed over.

    NaN: in the first session, and outside all sessions. A bar with a price that is not finite does not count; the levels stand at it.

    Warm-up: 2 rows at least, the first of the second session.
    """

    outputs: ClassVar[tuple[str, ...]] = ("high", "low", "close", "open")
    operation = previous_session

    @property
    def sources(self) -> tuple[Source, ...]:
        clock = SessionClock()
        return ("open", "high", "low", "close", *(clock.output(name) for name in clock.outputs))

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (float(stream.interval.duration_ns >= DAY_NS),)

    @property
    def state_size(self) -> int:
        return _BEFORE_OPEN + 1

    @property
    def delay(self) -> int:
        return 1


@operation
def pivot_points(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """Pivot points of high, low and close."""
    highs, lows, closes = inputs[0], inputs[1], inputs[2]
    pivots = outputs[0]
    r1, s1, r2, s2, r3, s3 = outputs[1], outputs[2], outputs[3], outputs[4], outputs[5], outputs[6]
    for row in range(start, stop):
        high, low = highs[row], lows[row]
        pivot = (high + low + closes[row]) / 3.0
        width = high - low
        pivots[row] = pivot
        r1[row] = 2.0 * pivot - low
        s1[row] = 2.0 * pivot - high
        r2[row] = pivot + width
        s2[row] = pivot - width
        r3[row] = high + 2.0 * (pivot - low)
        s3[row] = low - 2.0 * (high - pivot)


@dataclass(frozen=True, slots=True)
class PivotPoints(Primitive):
    """Classic floor pivots of the previous session (J. Person, A Complete Guide to Technical Trading Tactics, 2004).

    With its high H, low L and close C, as `PreviousSession` gives them:

        pivot = (H + L + C) / 3
        r1 = 2 * pivot - L          s1 = 2 * pivot - H
        r2 = pivot + (H - L)        s2 = pivot - (H - L)
        r3 = H + 2 * (pivot - L)    s3 = L - 2 * (H - pivot)

    Warm-up and NaN: as for `PreviousSession`. Zero range: all levels are the close.
    """

    outputs: ClassVar[tuple[str, ...]] = ("pivot", "r1", "s1", "r2", "s2", "r3", "s3")
    operation = pivot_points

    @property
    def sources(self) -> tuple[Source, ...]:
        previous = PreviousSession()
        return tuple(previous.output(name) for name in ("high", "low", "close"))

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return ()

    @property
    def state_size(self) -> int:
        return 0
