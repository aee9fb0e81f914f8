"""EMA: exponential moving average."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stratd.core.kernel import operation
from stratd.indicators.base import Primitive, Source, StreamInfo, check_period, check_whole, set_checked

# State.
_SEEN: Final = 0  # finite rows seen, up to skip + period
_VALUE: Final = 1  # the average; before the warm-up the sum
_SIZE: Final = 2


@operation
def ema(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """EMA. Parameters: period, weight of the newest value, rows left out at the beginning."""
    values, out = inputs[0], outputs[0]
    period, weight, skip = parameters[0], parameters[1], parameters[2]
    seen, average = state[_SEEN], state[_VALUE]
    row = start
    while row < stop and seen < skip + period:
        value = values[row]
        out[row] = np.nan
        if np.isfinite(value):
            seen += 1.0
            if seen > skip:
                average += value
            if seen == skip + period:
                average /= period
                out[row] = average
        row += 1
    for at in range(row, stop):
        value = values[at]
        if np.isfinite(value):
            average = (value - average) * weight + average
            out[at] = average
        else:
            out[at] = np.nan
    state[_SEEN], state[_VALUE] = seen, average


@dataclass(frozen=True, slots=True)
class EMA(Primitive):
    """Exponential moving average: `ema += 2 / (period + 1) * (value - ema)`.

    The first value is the simple average of the first `period` values (TA-Lib's EMA).

    Warm-up: `period` rows. NaN and infinity: the row's value is NaN, and the average goes on at the next row as if it
    had not been.

    Attributes:
        period: number of bars.
        source: field or indicator.
        skip: values left out at the beginning, for averages that are to begin together (see `MACD`).
    """

    source_fields = ("source",)
    operation = ema

    period: int
    source: Source = "close"
    skip: int = 0

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period), skip=check_whole("skip", self.skip, 0))

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.period, 2.0 / (self.period + 1.0), self.skip)

    @property
    def state_size(self) -> int:
        return _SIZE

    @property
    def delay(self) -> int:
        return self.skip + self.period - 1
