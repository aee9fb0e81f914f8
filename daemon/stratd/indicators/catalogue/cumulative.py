"""Sums from the beginning of a session, of a period, or of all: volume, bars, squared returns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stratd.core.kernel import kernel, operation
from stratd.indicators.base import Primitive, Source, StreamInfo, set_checked
from stratd.indicators.catalogue.sessions import SESSION, Reset, check_reset, reset_parameters, reset_sources

# State of all three.
_NUMBER: Final = 0  # of the session
_AGE: Final = 1  # rows since it began again
_SUM: Final = 2  # rounded
_REST: Final = 3  # what the rounding has lost
_LAST: Final = 4  # price of the last usable row; 0: there is none yet

LARGEST: Final = 1e300  # above it sums could overflow, and be lost for good


@kernel("f8(f8, f8)", ieee=True)
def lost_in_sum(first: float, second: float) -> float:
    """What the rounding of `first + second` loses, exactly. TwoSum: Knuth, The Art of Computer Programming, vol. 2, 4.2.2, theorem B."""
    total = first + second
    part = total - first
    return (first - (total - part)) + (second - part)


@operation
def cumulative_volume(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """Sum of volumes. Parameters: see `reset_parameters`; for sessions the second input is their number."""
    values, out = inputs[0], outputs[0]
    by_session, period = parameters[0] > 0.0, parameters[1]
    numbers = inputs[1] if by_session else inputs[0]
    current, age, total, rest = state[_NUMBER], state[_AGE], state[_SUM], state[_REST]
    for row in range(start, stop):
        if by_session:
            number = numbers[row]
            if number != current:
                if np.isnan(number):
                    out[row] = np.nan
                    continue
                current = number
                total = 0.0
                rest = 0.0
        else:
            if age >= period:
                age = 0.0
                total = 0.0
                rest = 0.0
            age += 1.0
        value = values[row]
        if abs(value) <= LARGEST:
            rest += lost_in_sum(total, value)
            total += value
            out[row] = total + rest
        else:
            out[row] = np.nan
    state[_NUMBER], state[_AGE], state[_SUM], state[_REST] = current, age, total, rest


@dataclass(frozen=True, slots=True)
class CumulativeVolume(Primitive):
    """Volume since the beginning of the session: `sum(volume)`.

    It does not drift: the sum carries what its rounding has lost. Its relative error after n rows is below
    `2**-53 + (n * 2**-53)**2` (T. Ogita, S. Rump and S. Oishi, Accurate Sum and Dot Product, 2005), which is 1.2e-16 after 10
    million; sums of whole numbers below 2**53 are exact.

    Warm-up: 1 row. A bar with a volume that is NaN, infinite or beyond 1e300 adds nothing, and its own value is NaN. Bars outside all
    sessions add nothing and have no value, if it is by session.

    Attributes:
        reset: `session` (of the instrument's calendar), `never`, or after how many bars to begin again. All rows of the stream
            are counted for that, those with NaN too.
    """

    operation = cumulative_volume

    reset: Reset = SESSION

    def __post_init__(self) -> None:
        set_checked(self, reset=check_reset(self.reset))

    @property
    def sources(self) -> tuple[Source, ...]:
        return ("volume", *reset_sources(self.reset))

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return reset_parameters(self.reset)

    @property
    def state_size(self) -> int:
        return _REST + 1


@operation
def bar_count(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """Number of bars. Parameters: see `reset_parameters`; for sessions the second input is their number."""
    values, out = inputs[0], outputs[0]
    by_session, period = parameters[0] > 0.0, parameters[1]
    numbers = inputs[1] if by_session else inputs[0]
    current, age, total = state[_NUMBER], state[_AGE], state[_SUM]
    for row in range(start, stop):
        if by_session:
            number = numbers[row]
            if number != current:
                if np.isnan(number):
                    out[row] = np.nan
                    continue
                current = number
                total = 0.0
        else:
            if age >= period:
                age = 0.0
                total = 0.0
            age += 1.0
        if np.isfinite(values[row]):
            total += 1.0
            out[row] = total
        else:
            out[row] = np.nan
    state[_NUMBER], state[_AGE], state[_SUM] = current, age, total


@dataclass(frozen=True, slots=True)
class BarCount(Primitive):
    """Bars since the beginning of the session, this one included: 1 at the first. It counts bars that are there, not minutes.

    Warm-up: 1 row. A bar whose close is not finite is not counted, and its own value is NaN. Bars outside all sessions are not
    counted and have no value, if it is by session.

    Attributes:
        reset: as for `CumulativeVolume`.
    """

    operation = bar_count

    reset: Reset = SESSION

    def __post_init__(self) -> None:
        set_checked(self, reset=check_reset(self.reset))

    @property
    def sources(self) -> tuple[Source, ...]:
        return ("close", *reset_sources(self.reset))

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return reset_parameters(self.reset)

    @property
    def state_size(self) -> int:
        return _SUM + 1


@operation
def realised_variance(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """Sum of squared log returns. Parameters: see `reset_parameters`; for sessions the second input is their number."""
    values, out = inputs[0], outputs[0]
    by_session, period = parameters[0] > 0.0, parameters[1]
    numbers = inputs[1] if by_session else inputs[0]
    current, age, total, rest, last = state[_NUMBER], state[_AGE], state[_SUM], state[_REST], state[_LAST]
    for row in range(start, stop):
        if by_session:
            number = numbers[row]
            if number != current:
                if np.isnan(number):
                    out[row] = np.nan
                    continue
                current = number
                total = 0.0
                rest = 0.0
                last = 0.0
        else:
            if age >= period:
                age = 0.0
                total = 0.0
                rest = 0.0
            age += 1.0
        value = values[row]
        if 0.0 < value < np.inf:
            if last > 0.0:
                # Of two prices that are near each other the difference is exact, their quotient is not.
                change = (value - last) / last
                gain = math.log1p(change) if abs(change) < 0.5 else math.log(value) - math.log(last)
                square = gain * gain
                rest += lost_in_sum(total, square)
                total += square
                out[row] = total + rest
            else:
                out[row] = np.nan
            last = value
        else:
            out[row] = np.nan
    state[_NUMBER], state[_AGE], state[_SUM], state[_REST], state[_LAST] = current, age, total, rest, last


@dataclass(frozen=True, slots=True)
class RealisedVariance(Primitive):
    """Realised variance: the sum of the squared log returns since the beginning of the session (Andersen and Bollerslev, 1998).

    `sum(log(close / close of the bar before) ** 2)`. It is a sum, not a mean, and not annualised; its root is the realised
    volatility of the session so far.

    - By session: the overnight return, from the last bar of a session to the first of the next, is not included. The
      first bar of each session has no return yet: NaN.
    - `never`, or after a number of bars: all returns are included, overnight ones too, so that none falls between two
      periods. A period's first return is that from the bar before it.

    It does not drift: each square has a relative error of some 2**-50 for returns below a half, and the sum carries what its rounding has lost.

    Warm-up: 2 rows. A value that is not finite or not above zero adds nothing and its row is NaN; the next return is from the
    last price before it. Bars outside all sessions are left out and have no value, if it is by session.

    Attributes:
        reset: as for `CumulativeVolume`.
        source: field or indicator.
    """

    source_fields = ("source",)
    operation = realised_variance

    reset: Reset = SESSION
    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self, reset=check_reset(self.reset))

    @property
    def sources(self) -> tuple[Source, ...]:
        return (self.source, *reset_sources(self.reset))

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return reset_parameters(self.reset)

    @property
    def state_size(self) -> int:
        return _LAST + 1

    @property
    def delay(self) -> int:
        return 1
