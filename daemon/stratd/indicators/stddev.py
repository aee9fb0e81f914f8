"""StdDev: standard deviation of the last rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from stratd.core.kernel import kernel
from stratd.indicators.base import Column, State
from stratd.indicators.onefield import OneField

_PERIOD: Final = 0
_SEEN: Final = 1  # rows seen, up to period
_SIZE: Final = 2


@dataclass(frozen=True, slots=True)
class StdDev(OneField):
    """Standard deviation of the last `period` rows, of the population: `sqrt(sum((value - mean) ** 2) / period)`.

    Each window is summed anew, in two passes: the usual difference of two large sums loses all digits where prices are
    high and moves small. So a row costs time in proportion to `period`.

    Warm-up: `period` rows. NaN and infinity: NaN while one is in the window. TA-Lib's STDDEV, without its rounding error.
    """

    name: ClassVar[str] = "StdDev"
    least_period: ClassVar[int] = 2

    @property
    def reach(self) -> int:
        return self.period

    def new_state(self, tick: float | None) -> State:
        state = np.zeros(_SIZE)
        state[_PERIOD] = self.period
        return state

    def advance(self, columns: tuple[Column, ...], start: int, stop: int, state: State, out: Column) -> None:
        stddev_kernel.load()(columns[0], start, stop, state, out)


@kernel("void(ro f8[:], i8, i8, f8[:], f8[:])")
def stddev_kernel(column: Column, start: int, stop: int, state: State, out: Column) -> None:
    """StdDev of rows `start` to `stop - 1`."""
    period = int(state[_PERIOD])
    for row in range(start, stop):
        if state[_SEEN] < period:
            state[_SEEN] += 1
        if state[_SEEN] < period:
            out[row - start] = np.nan
            continue
        # Sums are of distances from the window's first value, so that equal values give exactly zero.
        base = column[row - period + 1]
        total = 0.0
        for earlier in range(row - period + 1, row + 1):
            total += column[earlier] - base
        mean = total / period
        squares = 0.0
        for earlier in range(row - period + 1, row + 1):
            distance = (column[earlier] - base) - mean
            squares += distance * distance
        out[row - start] = math.sqrt(squares / period) if np.isfinite(squares) else np.nan
