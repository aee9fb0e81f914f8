"""RSI: relative strength index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from stratd.core.kernel import kernel
from stratd.indicators.base import Column, State
from stratd.indicators.onefield import OneField

_PERIOD: Final = 0
_SEEN: Final = 1  # finite rows seen, up to period + 1
_LAST: Final = 2  # last finite value
_GAIN: Final = 3  # Wilder's average of rises; before the warm-up their sum
_LOSS: Final = 4
_SIZE: Final = 5


@dataclass(frozen=True, slots=True)
class RSI(OneField):
    """Relative strength index (J. W. Wilder, New Concepts in Technical Trading Systems, 1978): 0 to 100.

    `100 * gain / (gain + loss)`, where gain and loss are averages of the rises and falls from row to row: the simple
    average of the first `period` of them, then `average = (average * (period - 1) + new) / period`. Where nothing
    has moved, 0 (as in TA-Lib).

    Warm-up: `period + 1` rows. NaN and infinity: the row's value is NaN, and the index goes on at the next row as if it
    had not been.
    """

    name: ClassVar[str] = "RSI"
    least_period: ClassVar[int] = 2

    @property
    def warmup(self) -> int:
        return self.period + 1

    def new_state(self, tick: float | None) -> State:
        state = np.zeros(_SIZE)
        state[_PERIOD] = self.period
        return state

    def advance(self, columns: tuple[Column, ...], start: int, stop: int, state: State, out: Column) -> None:
        rsi_kernel.load()(columns[0], start, stop, state, out)


@kernel("void(ro f8[:], i8, i8, f8[:], f8[:])")
def rsi_kernel(column: Column, start: int, stop: int, state: State, out: Column) -> None:
    """RSI of rows `start` to `stop - 1`."""
    period = state[_PERIOD]
    for row in range(start, stop):
        value = column[row]
        out[row - start] = np.nan
        if not np.isfinite(value):
            continue
        change = value - state[_LAST]
        state[_LAST] = value
        if state[_SEEN] == 0:
            state[_SEEN] = 1
            continue
        gain = max(change, 0.0)
        loss = max(-change, 0.0)
        if state[_SEEN] <= period:
            state[_SEEN] += 1
            state[_GAIN] += gain
            state[_LOSS] += loss
            if state[_SEEN] <= period:
                continue
            state[_GAIN] /= period
            state[_LOSS] /= period
        else:
            state[_GAIN] = (state[_GAIN] * (period - 1.0) + gain) / period
            state[_LOSS] = (state[_LOSS] * (period - 1.0) + loss) / period
        both = state[_GAIN] + state[_LOSS]
        out[row - start] = 100.0 * (state[_GAIN] / both) if both > 0.0 else 0.0
