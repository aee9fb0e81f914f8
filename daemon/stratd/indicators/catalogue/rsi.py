"""RSI: relative strength index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stratd.core.kernel import operation
from stratd.indicators.base import Primitive, Source, StreamInfo, check_period, set_checked

# State.
_SEEN: Final = 0  # finite rows seen, up to period + 1
_LAST: Final = 1  # last finite value
_GAIN: Final = 2  # Wilder's average of the rises; before the warm-up their sum
_LOSS: Final = 3  # the same of the falls
_SIZE: Final = 4

_TINY: Final = 1e-290  # what is below it may soon be too small for a float64 of full precision
_LIFT: Final = 2.0**400


@operation
def rsi(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """RSI. Parameters: period."""
    values, out = inputs[0], outputs[0]
    period = parameters[0]
    seen, last, gain, loss = state[_SEEN], state[_LAST], state[_GAIN], state[_LOSS]
    row = start
    while row < stop and seen <= period:
        value = values[row]
        out[row] = np.nan
        if np.isfinite(value):
            if seen > 0.0:
                change = value - last
                gain += change if change > 0.0 else 0.0
                loss -= change if change < 0.0 else 0.0
            last = value
            seen += 1.0
            if seen > period:
                gain /= period
                loss /= period
                out[row] = 100.0 * (gain / (gain + loss)) if gain + loss > 0.0 else 0.0
        row += 1
    decay, weight = (period - 1.0) / period, 1.0 / period
    for at in range(row, stop):
        value = values[at]
        if np.isfinite(value):
            change = (value - last) * weight
            last = value
            gain = gain * decay + (change if change > 0.0 else 0.0)
            loss = loss * decay - (change if change < 0.0 else 0.0)
            both = gain + loss
            if both > _TINY:
                out[at] = 100.0 * (gain / both)
            elif both > 0.0:
                # Nothing has moved for thousands of rows. Their ratio stays as it is; any move outweighs both.
                out[at] = 100.0 * (gain / both)
                gain *= _LIFT
                loss *= _LIFT
            else:
                out[at] = 0.0
        else:
            out[at] = np.nan
    state[_SEEN], state[_LAST], state[_GAIN], state[_LOSS] = seen, last, gain, loss


@dataclass(frozen=True, slots=True)
class RSI(Primitive):
    """Relative strength index: `100 * gain / (gain + loss)`, 0 to 100.

    Gain and loss are averages of the rises and of the falls from row to row: first the simple average of `period` of them,
    then Wilder's, `average = (average * (period - 1) + new) / period`.

    Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978; TA-Lib's RSI.

    Warm-up: `period + 1` rows. NaN and infinity: the row's value is NaN, and the index goes on at the next row as if it had
    not been. Nothing has moved since the first row: 0. Nothing moves any more: it stays where it is.

    Attributes:
        period: number of bars, 2 or more.
        source: field or indicator.
    """

    source_fields = ("source",)
    operation = rsi

    period: int = 14
    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period, 2))

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.period,)

    @property
    def state_size(self) -> int:
        return _SIZE

    @property
    def delay(self) -> int:
        return self.period
