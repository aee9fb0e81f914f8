"""SMA: simple moving average, with exact sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from stratd.core.kernel import kernel
from stratd.indicators.base import Column, State
from stratd.indicators.onefield import OneField

# Layout of the state. Counts and the sum in ticks are whole numbers below 2**53, which float64 holds exactly; one
# array instead of two makes a call cheaper.
_PERIOD: Final = 0
_TICK: Final = 1  # 0: not known
_SEEN: Final = 2  # rows seen, up to period
_BAD: Final = 3  # rows in the window that cannot be summed
_OFF: Final = 4  # other rows in the window that are not whole ticks
_TICKS: Final = 5  # sum of the rows in the window that are whole ticks, in ticks
_HIGH: Final = 6  # sum of all usable rows in the window as high + low; kept while _OFF is above zero
_LOW: Final = 7
_SIZE: Final = 8

_LARGEST: Final = 1e300  # above it sums could overflow, and be lost for good


@dataclass(frozen=True, slots=True)
class SMA(OneField):
    """Simple moving average: the sum of the last `period` values, divided by `period`.

    It does not drift: a value depends on its window alone, however many rows came before. Two ways of summing:

    - The instrument has a tick and all prices in the window are whole ticks: they are summed as whole numbers, and
      the value is `(sum / period) * tick`. Equal averages are equal floats, also of two different periods, so a tie of
      a fast and a slow average is a tie.
    - Otherwise (no tick, volume, a price between ticks): the floats themselves are summed in two float64, which together hold
      106 bits (TwoSum: Knuth, The Art of Computer Programming, vol. 2, 4.2.2, theorem B). The sum is that of
      `math.fsum` as long as the largest and the smallest value in the window are within 12 orders of magnitude.

    Warm-up: `period` rows. NaN and infinity (and beyond 1e300): NaN while one is in the window. Same values as TA-Lib's SMA.
    """

    name: ClassVar[str] = "SMA"

    @property
    def reach(self) -> int:
        return self.period

    def new_state(self, tick: float | None) -> State:
        state = np.zeros(_SIZE)
        state[_PERIOD] = self.period
        state[_TICK] = 0.0 if tick is None or self.source == "volume" else tick
        return state

    def advance(self, columns: tuple[Column, ...], start: int, stop: int, state: State, out: Column) -> None:
        sma_kernel.load()(columns[0], start, stop, state, out)


@kernel("f8(f8, f8, f8)")
def whole_ticks(price: float, tick: float, most: float) -> float:
    """`price` in ticks; NaN where it is not a whole number of them (to 1e-6), or above `most`."""
    if tick == 0.0:
        return np.nan
    quotient = price / tick
    rounded = np.rint(quotient)
    # The quotient of two rounded numbers is itself uncertain by about 2**-51 of its size.
    tolerance = max(1e-6, abs(quotient) * 2.0**-51)
    return rounded if abs(rounded) <= most and abs(quotient - rounded) <= tolerance else np.nan


@kernel("void(f8[:], f8)")
def add_to_sum(state: State, value: float) -> None:
    """Add to the sum high + low without rounding (TwoSum), and bring it to normal form."""
    high = state[_HIGH]
    total = high + value
    part = total - high
    low = state[_LOW] + ((high - (total - part)) + (value - part))
    state[_HIGH] = total + low
    state[_LOW] = low - (state[_HIGH] - total)


@kernel("void(ro f8[:], i8, i8, f8[:], f8[:])")
def sma_kernel(column: Column, start: int, stop: int, state: State, out: Column) -> None:
    """SMA of rows `start` to `stop - 1`."""
    period = int(state[_PERIOD])
    tick = state[_TICK]
    seen = int(state[_SEEN])
    bad = state[_BAD]
    off = state[_OFF]
    whole = state[_TICKS]
    most = min(2.0**53 / period, 2.0**49)
    for row in range(start, stop):
        was_off = off
        leaving = 0.0
        if seen < period:
            seen += 1
        else:
            leaving = column[row - period]
            if abs(leaving) <= _LARGEST:
                ticks = whole_ticks(leaving, tick, most)
                if np.isnan(ticks):
                    off -= 1.0
                else:
                    whole -= ticks
            else:
                bad -= 1.0
                leaving = 0.0
        entering = column[row]
        if abs(entering) <= _LARGEST:
            ticks = whole_ticks(entering, tick, most)
            if np.isnan(ticks):
                off += 1.0
            else:
                whole += ticks
        else:
            bad += 1.0
            entering = 0.0
        if off > 0.0:
            if was_off > 0.0:
                add_to_sum(state, -leaving)
                add_to_sum(state, entering)
            else:  # at most once in `period` rows, so the cost of a row stays constant on average
                state[_HIGH] = 0.0
                state[_LOW] = 0.0
                for earlier in range(row - seen + 1, row + 1):
                    if abs(column[earlier]) <= _LARGEST:
                        add_to_sum(state, column[earlier])
        if seen < period or bad > 0.0:
            out[row - start] = np.nan
        elif off > 0.0:
            out[row - start] = state[_HIGH] / period
        else:
            out[row - start] = (whole / period) * tick
    state[_SEEN] = seen
    state[_BAD] = bad
    state[_OFF] = off
    state[_TICKS] = whole
