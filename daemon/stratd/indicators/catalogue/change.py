"""Change over the last rows: in percent, in units, as a fraction, as a logarithm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stratd.core.kernel import operation
from stratd.indicators.base import Primitive, Source, StreamInfo, check_period, set_checked

# State.
_SEEN: Final = 0  # rows seen, up to period
_SIZE: Final = 1


@operation
def roc(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """`(value / earlier - 1) * 100`; 0 where the earlier value is 0. Parameter: period."""
    values, out = inputs[0], outputs[0]
    period = int(parameters[0])
    first = min(stop, start + period - int(state[_SEEN]))
    for row in range(start, first):
        out[row] = np.nan
    for row in range(first, stop):
        value, earlier = values[row], values[row - period]
        change = (value / earlier - 1.0) * 100.0
        # A value that is not finite gives NaN even where the earlier one is zero: value - value is then NaN.
        change = value - value if earlier == 0.0 else change
        # So is a finite value over an infinite one, which would be -100.
        out[row] = change if np.isfinite(change) and np.isfinite(earlier) else np.nan
    state[_SEEN] += first - start


@operation
def momentum(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """`value - earlier`. Parameter: period."""
    values, out = inputs[0], outputs[0]
    period = int(parameters[0])
    first = min(stop, start + period - int(state[_SEEN]))
    for row in range(start, first):
        out[row] = np.nan
    for row in range(first, stop):
        change = values[row] - values[row - period]
        out[row] = change if np.isfinite(change) else np.nan
    state[_SEEN] += first - start


@operation
def simple_return(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """`(value - earlier) / earlier`. Parameter: period."""
    values, out = inputs[0], outputs[0]
    period = int(parameters[0])
    first = min(stop, start + period - int(state[_SEEN]))
    for row in range(start, first):
        out[row] = np.nan
    for row in range(first, stop):
        value, earlier = values[row], values[row - period]
        change = (value - earlier) / earlier
        out[row] = change if earlier > 0.0 and np.isfinite(change) else np.nan
    state[_SEEN] += first - start


@operation
def log_return(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """`log(value / earlier)`. Parameter: period."""
    values, out = inputs[0], outputs[0]
    period = int(parameters[0])
    first = min(stop, start + period - int(state[_SEEN]))
    for row in range(start, first):
        out[row] = np.nan
    for row in range(first, stop):
        value, earlier = values[row], values[row - period]
        # The quotient of two prices of equal size has few digits beyond the 1; their difference keeps them all.
        change = (value - earlier) / earlier
        out[row] = math.log1p(change) if earlier > 0.0 and change > -1.0 and np.isfinite(change) else np.nan
    state[_SEEN] += first - start


@dataclass(frozen=True, slots=True)
class Change(Primitive):
    """What the indicators of this file share: a row is compared with the one `period` rows before it."""

    source_fields = ("source",)

    period: int
    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period))

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.period,)

    @property
    def state_size(self) -> int:
        return _SIZE

    @property
    def delay(self) -> int:
        return self.period

    @property
    def reach_back(self) -> int:
        return self.period


@dataclass(frozen=True, slots=True)
class ROC(Change):
    """Rate of change, in percent: `(value / value[period rows ago] - 1) * 100`.

    Where the earlier value is zero it is 0, as in TA-Lib; an earlier value below zero is put into the formula as it is.

    Warm-up: `period + 1` rows. NaN and infinity: NaN where either of the two values is not finite. Source: TA-Lib's ROC.

    Attributes:
        period: number of bars.
        source: field or indicator.
    """

    operation = roc

    period: int = 10


@dataclass(frozen=True, slots=True)
class Momentum(Change):
    """Change: `value - value[period rows ago]`, in the units of the source.

    Warm-up: `period + 1` rows. NaN and infinity: NaN where either of the two values is not finite. Source: TA-Lib's MOM.

    Attributes:
        period: number of bars.
        source: field or indicator.
    """

    operation = momentum

    period: int = 10


@dataclass(frozen=True, slots=True)
class Return(Change):
    """Simple return, a fraction: `(value - value[period rows ago]) / value[period rows ago]`.

    TA-Lib's ROCP, but where the earlier value is zero or below it is NaN: there is no return on nothing. (TA-Lib gives 0
    for zero.)

    Warm-up: `period + 1` rows. NaN and infinity: NaN where either of the two values is not finite.

    Attributes:
        period: number of bars.
        source: field or indicator.
    """

    operation = simple_return

    period: int = 1


@dataclass(frozen=True, slots=True)
class LogReturn(Change):
    """Logarithmic return: `log(value / value[period rows ago])`. Those of rows that follow each other add up.

    NaN where either of the two values is zero or below.

    Warm-up: `period + 1` rows. NaN and infinity: NaN where either of the two values is not finite.

    Attributes:
        period: number of bars.
        source: field or indicator.
    """

    operation = log_return

    period: int = 1
