"""Highest and Lowest: the extreme of the last rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from stratd.core.kernel import kernel
from stratd.indicators.base import Column, State
from stratd.indicators.onefield import OneField

# Layout of the state: the header, then a ring of `period` values and one of their row numbers.
_PERIOD: Final = 0
_SIGN: Final = 1  # 1: highest, -1: lowest
_SEEN: Final = 2  # rows seen
_LAST_BAD: Final = 3  # number of the last row that is not finite, from 1; 0: none
_HEAD: Final = 4  # place of the extreme in the rings
_HELD: Final = 5  # candidates in the rings
_HEADER: Final = 6


@dataclass(frozen=True, slots=True)
class Extreme(OneField):
    """What Highest and Lowest share: candidates are kept in order, so a row costs constant time on average."""

    sign: ClassVar[float]

    def new_state(self, tick: float | None) -> State:
        state = np.zeros(_HEADER + 2 * self.period)
        state[_PERIOD] = self.period
        state[_SIGN] = self.sign
        return state

    def advance(self, columns: tuple[Column, ...], start: int, stop: int, state: State, out: Column) -> None:
        extreme_kernel.load()(columns[0], start, stop, state, out)


@dataclass(frozen=True, slots=True)
class Highest(Extreme):
    """The highest value of the last `period` rows, this one included; of `high` unless `source` says otherwise.

    The channel that a bar breaks out of does not hold the bar itself: compare with the value of the row before, `handle[-2]`.

    Warm-up: `period` rows. NaN and infinity: NaN while one is in the window. Same values as TA-Lib's MAX.
    """

    name: ClassVar[str] = "Highest"
    usual_source: ClassVar[str] = "high"
    sign: ClassVar[float] = 1.0

    source: str = "high"


@dataclass(frozen=True, slots=True)
class Lowest(Extreme):
    """The lowest value of the last `period` rows, this one included; of `low` unless `source` says otherwise.

    Warm-up: `period` rows. NaN and infinity: NaN while one is in the window. Same values as TA-Lib's MIN.
    """

    name: ClassVar[str] = "Lowest"
    usual_source: ClassVar[str] = "low"
    sign: ClassVar[float] = -1.0

    source: str = "low"


@kernel("void(ro f8[:], i8, i8, f8[:], f8[:])")
def extreme_kernel(column: Column, start: int, stop: int, state: State, out: Column) -> None:
    """Highest (or Lowest) of rows `start` to `stop - 1`.

    The ring holds the rows that can still become the extreme: each is beaten by none after it. (D. Lemire, Streaming
    maximum-minimum filter using no more than three comparisons per element, 2006.)
    """
    period = int(state[_PERIOD])
    sign = state[_SIGN]
    values = _HEADER
    numbers = _HEADER + period
    for row in range(start, stop):
        state[_SEEN] += 1
        number = state[_SEEN]
        head = int(state[_HEAD])
        held = int(state[_HELD])
        if held > 0 and state[numbers + head] <= number - period:
            head = (head + 1) % period
            held -= 1
        value = column[row] * sign
        if np.isfinite(value):
            while held > 0 and state[values + (head + held - 1) % period] <= value:
                held -= 1
            tail = (head + held) % period
            state[values + tail] = value
            state[numbers + tail] = number
            held += 1
        else:
            state[_LAST_BAD] = number
        state[_HEAD] = head
        state[_HELD] = held
        if number < period or state[_LAST_BAD] > max(number - period, 0.0):
            out[row - start] = np.nan
        else:
            out[row - start] = state[values + head] * sign
