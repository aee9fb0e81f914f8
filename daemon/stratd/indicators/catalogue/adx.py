"""DirectionalMovement and ADX: which way bars reach beyond the bar before, and how clearly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from stratd.core.kernel import operation
from stratd.indicators.base import Composite, Indicator, Primitive, Source, StreamInfo, check_period, set_checked
from stratd.indicators.catalogue.true_range import BARS, widest

# State of the directional movement.
_SEEN: Final = 0  # finite rows seen, up to period + 1
_HIGH: Final = 1  # those of the last of them
_LOW: Final = 2
_CLOSE: Final = 3
_PLUS: Final = 4  # Wilder's sums
_MINUS: Final = 5
_RANGE: Final = 6
_DX: Final = 7  # last DX
_SIZE: Final = 8

# State of its average.
_COUNT: Final = 0  # values seen, up to period
_VALUE: Final = 1  # the average; before the warm-up the sum

_TINY: Final = 1e-290  # what is below it may soon be too small for a float64 of full precision
_LIFT: Final = 2.0**400


@operation
def directional_movement(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """+DI, -DI and DX. Parameters: period."""
    high, low, close = inputs[0], inputs[1], inputs[2]
    plus_di, minus_di, dx = outputs[0], outputs[1], outputs[2]
    period = parameters[0]
    decay = (period - 1.0) / period
    seen, last_high, last_low, last_close = state[_SEEN], state[_HIGH], state[_LOW], state[_CLOSE]
    plus, minus, total, last_dx = state[_PLUS], state[_MINUS], state[_RANGE], state[_DX]
    for row in range(start, stop):
        top, bottom, now = high[row], low[row], close[row]
        # One test for three: no sum with something in it that is not finite is finite.
        if not np.isfinite(top - bottom + now):
            plus_di[row] = minus_di[row] = dx[row] = np.nan
            continue
        if seen > 0.0:
            # The first `period - 1` movements are summed as they are; the next one is the first to be averaged.
            kept = decay if seen >= period else 1.0
            up, down = top - last_high, last_low - bottom
            plus = plus * kept + (up if up > down and up > 0.0 else 0.0)
            minus = minus * kept + (down if down > up and down > 0.0 else 0.0)
            total = total * kept + widest(top, bottom, last_close)
        last_high, last_low, last_close = top, bottom, now
        if seen < period:
            seen += 1.0
            plus_di[row] = minus_di[row] = dx[row] = np.nan
            continue
        positive, negative = 0.0, 0.0
        if total > 0.0:
            positive, negative = 100.0 * (plus / total), 100.0 * (minus / total)
            if total < _TINY:
                # No range for thousands of rows. Their ratios stay as they are; any movement outweighs them.
                plus *= _LIFT
                minus *= _LIFT
                total *= _LIFT
        both = positive + negative
        if both > 0.0:
            last_dx = 100.0 * (abs(positive - negative) / both)
        plus_di[row], minus_di[row], dx[row] = positive, negative, last_dx
    state[_SEEN], state[_HIGH], state[_LOW], state[_CLOSE] = seen, last_high, last_low, last_close
    state[_PLUS], state[_MINUS], state[_RANGE], state[_DX] = plus, minus, total, last_dx


@dataclass(frozen=True, slots=True)
class DirectionalMovement(Primitive):
    """Directional movement: +DI, -DI and DX, each 0 to 100.

    A bar moves up by `high - last high`, down by `last low - low`; the larger one counts if it is above zero, the other is
    zero, and so are both if they are equal. `plus_di = 100 * up / range` and `minus_di = 100 * down / range`, of Wilder's sums
    `sum = sum - sum / period + new` of the movements and of the true range; they begin with the plain sum of the
    first `period - 1`. `dx = 100 * |plus_di - minus_di| / (plus_di + minus_di)`.

    Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978; TA-Lib's PLUS_DI, MINUS_DI and DX.

    Warm-up: `period + 1` rows. NaN or infinity in high, low or close: the row's values are NaN, and the sums go on at the
    next row as if it had not been. No range since the first row: 0. Neither movement: DX stays as it was, at first 0.

    Attributes:
        period: number of bars, 2 or more.
    """

    outputs: ClassVar[tuple[str, ...]] = ("plus_di", "minus_di", "dx")
    operation = directional_movement

    period: int = 14

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period, 2))

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


@operation
def directional_average(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """ADX from +DI and -DI. Parameters: period."""
    plus_di, minus_di, out = inputs[0], inputs[1], outputs[0]
    period = parameters[0]
    decay, weight = (period - 1.0) / period, 1.0 / period
    count, average = state[_COUNT], state[_VALUE]
    for row in range(start, stop):
        both = plus_di[row] + minus_di[row]
        if not np.isfinite(both):
            out[row] = np.nan
            continue
        dx = 100.0 * (abs(plus_di[row] - minus_di[row]) / both) if both > 0.0 else 0.0
        if count < period:
            count += 1.0
            average += dx
            if count == period:
                average /= period
        elif both > 0.0:
            average = average * decay + dx * weight
        out[row] = average if count == period else np.nan
    state[_COUNT], state[_VALUE] = count, average


@dataclass(frozen=True, slots=True)
class DirectionalAverage(Primitive):
    """The average of which `ADX` consists: of +DI and -DI, because rows without any movement do not count in it."""

    source_fields = ("plus_di", "minus_di")
    operation = directional_average

    period: int
    plus_di: Source
    minus_di: Source

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period, 2))

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.period,)

    @property
    def state_size(self) -> int:
        return 2

    @property
    def delay(self) -> int:
        return self.period - 1


@dataclass(frozen=True, slots=True)
class ADX(Composite):
    """Average directional index: Wilder's average of DX, 0 to 100; and +DI, -DI and DX (see `DirectionalMovement`).

    First the simple average of `period` of them, then `adx = (adx * (period - 1) + dx) / period`.

    Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978; TA-Lib's ADX, PLUS_DI, MINUS_DI and DX.

    Warm-up: `2 * period` rows for adx, `period + 1` for the others. NaN or infinity in high, low or close: the row's values are
    NaN, and everything goes on at the next row as if it had not been. Neither movement in all the sums: adx stays as it
    was; within its first `period` values such a row counts as 0.

    Attributes:
        period: number of bars, 2 or more.
    """

    outputs: ClassVar[tuple[str, ...]] = ("adx", "plus_di", "minus_di", "dx")

    period: int = 14

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period, 2))

    def parts(self) -> Mapping[str, Indicator]:
        movement = DirectionalMovement(self.period)
        plus_di, minus_di = movement.output("plus_di"), movement.output("minus_di")
        adx = DirectionalAverage(self.period, plus_di, minus_di)
        return {"adx": adx, "plus_di": plus_di, "minus_di": minus_di, "dx": movement.output("dx")}
