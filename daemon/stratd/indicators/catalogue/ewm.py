"""EWMVolatility: exponentially weighted standard deviation of returns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stratd.core.kernel import operation
from stratd.indicators.base import Primitive, Source, StreamInfo, check_period, set_checked

# State.
_SEEN: Final = 0  # usable rows seen, up to period + 1
_LAST: Final = 1  # the last one's value
_MEAN: Final = 2  # weighted mean of the returns
_VARIANCE: Final = 3  # their weighted variance
_SIZE: Final = 4


@operation
def ewm_volatility(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """EWMVolatility. Parameters: period, weight of the newest return."""
    values, out = inputs[0], outputs[0]
    period, weight = parameters[0], parameters[1]
    seen, last, mean, variance = state[_SEEN], state[_LAST], state[_MEAN], state[_VARIANCE]
    for row in range(start, stop):
        value = values[row]
        out[row] = np.nan
        if not (value > 0.0 and value < np.inf):
            continue
        if seen > 0.0:
            growth = value / last
            # The quotient of two prices that are hundreds of orders of magnitude apart is no number.
            usual = growth > 0.0 and growth < np.inf
            change = math.log(growth) if usual else math.log(value) - math.log(last)
            if seen > 1.0:
                off = change - mean
                step = weight * off
                mean += step
                variance = (1.0 - weight) * (variance + off * step)
            else:
                mean = change
        if seen >= period:
            out[row] = math.sqrt(variance)
        if seen <= period:
            seen += 1.0
        last = value
    state[_SEEN], state[_LAST], state[_MEAN], state[_VARIANCE] = seen, last, mean, variance


@dataclass(frozen=True, slots=True)
class EWMVolatility(Primitive):
    """Exponentially weighted standard deviation of log returns, per bar: not annualised.

    With `r = log(value / value[1 row ago])` and `a = 2 / (period + 1)`: `mean += a * (r - mean)` and
    `variance = (1 - a) * (variance + a * (r - mean before) ** 2)`, from the first return as mean and a variance of 0. That is
    pandas' `ewm(span=period, adjust=False).std(bias=True)`. No sums of squares are subtracted, so nothing is lost to
    cancellation, and it is never negative. Source: D. H. D. West, Communications of the ACM 22:9, 1979.

    Warm-up: `period + 1` rows (`period` returns). NaN, infinity and values of 0 or below: the row's value is NaN; the next return is
    that from the last usable row. Constant prices: it decays to 0.

    Attributes:
        period: number of bars; 2 or more.
        source: field or indicator; of prices. The volatility is a fraction: 0.01 is 1 % per bar.
    """

    source_fields = ("source",)
    operation = ewm_volatility

    period: int
    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period, 2))

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.period, 2.0 / (self.period + 1.0))

    @property
    def state_size(self) -> int:
        return _SIZE

    @property
    def delay(self) -> int:
        return self.period
