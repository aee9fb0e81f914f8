"""ROC and Momentum: the change over the last rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from stratd.core.kernel import kernel
from stratd.indicators.base import Column, State
from stratd.indicators.onefield import OneField

_PERIOD: Final = 0
_SEEN: Final = 1  # rows seen, up to period
_PERCENT: Final = 2  # 1: ROC, 0: Momentum
_SIZE: Final = 3


@dataclass(frozen=True, slots=True)
class Change(OneField):
    """What ROC and Momentum share."""

    percent: ClassVar[float]

    @property
    def warmup(self) -> int:
        return self.period + 1

    @property
    def reach(self) -> int:
        return self.period

    def new_state(self, tick: float | None) -> State:
        state = np.zeros(_SIZE)
        state[_PERIOD] = self.period
        state[_PERCENT] = self.percent
        return state

    def advance(self, columns: tuple[Column, ...], start: int, stop: int, state: State, out: Column) -> None:
        change_kernel.load()(columns[0], start, stop, state, out)


@dataclass(frozen=True, slots=True)
class ROC(Change):
    """Rate of change in percent: `(value / value[period rows ago] - 1) * 100`. 0 where the earlier value is 0 (as in TA-Lib).

    Warm-up: `period + 1` rows. NaN and infinity: NaN where either of the two values is not finite. Same values as TA-Lib's ROC.
    """

    name: ClassVar[str] = "ROC"
    percent: ClassVar[float] = 1.0


@dataclass(frozen=True, slots=True)
class Momentum(Change):
    """Change: `value - value[period rows ago]`, in the units of the field.

    Warm-up: `period + 1` rows. NaN and infinity: NaN where either of the two values is not finite. Same values as TA-Lib's MOM.
    """

    name: ClassVar[str] = "Momentum"
    percent: ClassVar[float] = 0.0


@kernel("void(ro f8[:], i8, i8, f8[:], f8[:])")
def change_kernel(column: Column, start: int, stop: int, state: State, out: Column) -> None:
    """ROC (or Momentum) of rows `start` to `stop - 1`."""
    period = int(state[_PERIOD])
    for row in range(start, stop):
        out[row - start] = np.nan
        if state[_SEEN] < period:
            state[_SEEN] += 1
            continue
        value = column[row]
        earlier = column[row - period]
        if not (np.isfinite(value) and np.isfinite(earlier)):
            continue
        if state[_PERCENT] == 0.0:
            out[row - start] = value - earlier
        elif earlier == 0.0:
            out[row - start] = 0.0
        else:
            out[row - start] = (value / earlier - 1.0) * 100.0
