"""ATR and NATR: average true range, and the same in percent of the close."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stratd.core.kernel import operation
from stratd.indicators.arithmetic import Ratio
from stratd.indicators.base import Composite, Indicator, Primitive, Source, StreamInfo, check_period, set_checked
from stratd.indicators.catalogue.true_range import BARS, widest

# State.
_SEEN: Final = 0  # finite rows seen, up to period + 1
_LAST: Final = 1  # close of the last of them
_VALUE: Final = 2  # the average; before the warm-up the sum
_SIZE: Final = 3


@operation
def atr(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """ATR. Parameters: period."""
    high, low, close, out = inputs[0], inputs[1], inputs[2], outputs[0]
    period = parameters[0]
    seen, last, average = state[_SEEN], state[_LAST], state[_VALUE]
    row = start
    while row < stop and seen <= period:
        out[row] = np.nan
        if np.isfinite(high[row] - low[row] + close[row]):
            if seen > 0.0:
                average += widest(high[row], low[row], last)
            last = close[row]
            seen += 1.0
            if seen > period:
                average /= period
                out[row] = average
        row += 1
    decay, weight = (period - 1.0) / period, 1.0 / period
    for at in range(row, stop):
        # One test for three: no sum with something in it that is not finite is finite.
        if np.isfinite(high[at] - low[at] + close[at]):
            average = average * decay + widest(high[at], low[at], last) * weight
            last = close[at]
            out[at] = average
        else:
            out[at] = np.nan
    state[_SEEN], state[_LAST], state[_VALUE] = seen, last, average


@dataclass(frozen=True, slots=True)
class ATR(Primitive):
    """Average true range: Wilder's average of the true range (see `TrueRange`), in units of price.

    The true range begins at the second row. First the simple average of `period` of them, then
    `atr = (atr * (period - 1) + range) / period`.

    Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978; TA-Lib's ATR.

    Warm-up: `period + 1` rows. NaN or infinity in high, low or close: the row's value is NaN, and the average goes on at the
    next row as if it had not been. Zero range: a true range of the gap from the last close, which may be 0.

    Attributes:
        period: number of bars.
    """

    operation = atr

    period: int = 14

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period))

    @property
    def sources(self) -> tuple[Source, ...]:
        return BARS

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.period,)

    @property
    def state_size(self) -> int:
        return _SIZE

    @property
    def delay(self) -> int:
        return self.period


@dataclass(frozen=True, slots=True)
class NATR(Composite):
    """Normalised average true range: `100 * ATR / close`, percent.

    Source: J. Forman, 2006; TA-Lib's NATR, except that TA-Lib gives the bare true range where the period is 1.

    Warm-up: `period + 1` rows. NaN: as for ATR. A close of zero: 0 (as TA-Lib).

    Attributes:
        period: number of bars.
    """

    period: int = 14

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period))

    def parts(self) -> Mapping[str, Indicator]:
        return {"value": Ratio(ATR(self.period), "close", scale=100.0, undefined=0.0)}
