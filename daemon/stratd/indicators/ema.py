"""EMA: exponential moving average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from stratd.core.kernel import kernel
from stratd.indicators.base import Column, State
from stratd.indicators.onefield import OneField

_PERIOD: Final = 0
_SEEN: Final = 1  # finite rows seen, up to period
_VALUE: Final = 2  # the average; before the warm-up the sum
_SIZE: Final = 3


@dataclass(frozen=True, slots=True)
class EMA(OneField):
    """Exponential moving average: `ema += 2 / (period + 1) * (value - ema)`.

    The first value is the simple average of the first `period` rows (TA-Lib's EMA).

    Warm-up: `period` rows. NaN and infinity: the row's value is NaN, and the average goes on at the next row as if it
    had not been.
    """

    name: ClassVar[str] = "EMA"

    def new_state(self, tick: float | None) -> State:
        state = np.zeros(_SIZE)
        state[_PERIOD] = self.period
        return state

    def advance(self, columns: tuple[Column, ...], start: int, stop: int, state: State, out: Column) -> None:
        ema_kernel.load()(columns[0], start, stop, state, out)


@kernel("void(ro f8[:], i8, i8, f8[:], f8[:])")
def ema_kernel(column: Column, start: int, stop: int, state: State, out: Column) -> None:
    """EMA of rows `start` to `stop - 1`."""
    period = state[_PERIOD]
    weight = 2.0 / (period + 1.0)
    for row in range(start, stop):
        value = column[row]
        out[row - start] = np.nan
        if not np.isfinite(value):
            continue
        if state[_SEEN] < period:
            state[_SEEN] += 1
            state[_VALUE] += value
            if state[_SEEN] < period:
                continue
            state[_VALUE] /= period
        else:
            state[_VALUE] = (value - state[_VALUE]) * weight + state[_VALUE]
        out[row - start] = state[_VALUE]
