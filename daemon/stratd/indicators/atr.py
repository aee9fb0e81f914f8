"""ATR: average true range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from stratd.core.kernel import kernel
from stratd.indicators.base import Column, Indicator, State, check_period

_PERIOD: Final = 0
_SEEN: Final = 1  # finite rows seen, up to period + 1
_LAST: Final = 2  # last finite close
_VALUE: Final = 3  # the average; before the warm-up the sum
_SIZE: Final = 4


@dataclass(frozen=True, slots=True)
class ATR(Indicator):
    """Average true range (J. W. Wilder, New Concepts in Technical Trading Systems, 1978), in units of price.

    The true range of a row is the largest of `high - low`, `|high - last close|` and `|low - last close|`; it begins at
    the second row. The first value is the simple average of `period` of them, then
    `atr = (atr * (period - 1) + range) / period`.

    Warm-up: `period + 1` rows. NaN and infinity in one of the three fields: the row's value is NaN, and the average goes
    on at the next row as if it had not been. Same values as TA-Lib's ATR.

    Attributes:
        period: number of bars.
    """

    period: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "period", check_period(self.period, 1))

    @property
    def warmup(self) -> int:
        return self.period + 1

    @property
    def fields(self) -> tuple[str, ...]:
        return ("high", "low", "close")

    @property
    def label(self) -> str:
        return f"ATR({self.period})"

    def new_state(self, tick: float | None) -> State:
        state = np.zeros(_SIZE)
        state[_PERIOD] = self.period
        return state

    def advance(self, columns: tuple[Column, ...], start: int, stop: int, state: State, out: Column) -> None:
        atr_kernel.load()(columns[0], columns[1], columns[2], start, stop, state, out)


@kernel("void(ro f8[:], ro f8[:], ro f8[:], i8, i8, f8[:], f8[:])")
def atr_kernel(high: Column, low: Column, close: Column, start: int, stop: int, state: State, out: Column) -> None:
    """ATR of rows `start` to `stop - 1`."""
    period = state[_PERIOD]
    for row in range(start, stop):
        top = high[row]
        bottom = low[row]
        last = state[_LAST]
        out[row - start] = np.nan
        if not (np.isfinite(top) and np.isfinite(bottom) and np.isfinite(close[row])):
            continue
        state[_LAST] = close[row]
        if state[_SEEN] == 0:
            state[_SEEN] = 1
            continue
        reach = max(top - bottom, abs(top - last), abs(bottom - last))
        if state[_SEEN] <= period:
            state[_SEEN] += 1
            state[_VALUE] += reach
            if state[_SEEN] <= period:
                continue
            state[_VALUE] /= period
        else:
            state[_VALUE] = (state[_VALUE] * (period - 1.0) + reach) / period
        out[row - start] = state[_VALUE]
