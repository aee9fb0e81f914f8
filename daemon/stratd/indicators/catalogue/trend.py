"""SuperTrend and ParabolicSAR: stops that follow a trend and turn with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from stratd.core.kernel import Intrinsic, operation
from stratd.indicators.base import Primitive, Source, StreamInfo, check_number, check_period, set_checked
from stratd.indicators.catalogue.atr import ATR
from stratd.indicators.catalogue.true_range import BARS

# State of SuperTrend.
_DIRECTION: Final = 0  # 0 before the first value
_UPPER: Final = 1
_LOWER: Final = 2
_CLOSE: Final = 3  # of the last row with a value
_SUPER_SIZE: Final = 4

# State of ParabolicSAR.
_SEEN: Final = 0  # finite rows seen, up to 2
_LONG: Final = 1
_STOP: Final = 2  # for the next row
_FACTOR: Final = 3
_EXTREME: Final = 4
_LAST_HIGH: Final = 5
_LAST_LOW: Final = 6
_SAR_SIZE: Final = 7


@operation
def super_trend(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """SuperTrend of high, low, close and their ATR. Parameters: width."""
    high, low, close, atr = inputs[0], inputs[1], inputs[2], inputs[3]
    out, way = outputs[0], outputs[1]
    width = parameters[0]
    direction, upper, lower, last = state[_DIRECTION], state[_UPPER], state[_LOWER], state[_CLOSE]
    for row in range(start, stop):
        now = close[row]
        middle = 0.5 * (high[row] + low[row])
        above, below = middle + width * atr[row], middle - width * atr[row]
        if not np.isfinite(above - below + now):
            out[row] = way[row] = np.nan
            continue
        if direction == 0.0:
            direction, upper, lower = -1.0, above, below
        else:
            if above < upper or last > upper:
                upper = above
            if below > lower or last < lower:
                lower = below
            if direction < 0.0:
                direction = 1.0 if now > upper else -1.0
            else:
                direction = -1.0 if now < lower else 1.0
        last = now
        out[row] = lower if direction > 0.0 else upper
        way[row] = direction
    state[_DIRECTION], state[_UPPER], state[_LOWER], state[_CLOSE] = direction, upper, lower, last


@dataclass(frozen=True, slots=True)
class SuperTrend(Primitive):
    """SuperTrend: a line below the bars while the trend is up, above them while it is down. In units of price.

    With `middle = (high + low) / 2` and the ATR of each row:

    - Upper band: `middle + width * ATR`, if that is below the upper band of the row before, or if the close before was above
      that band; else the band of the row before. So it only falls, until a close has been above it.
    - Lower band: `middle - width * ATR`, if that is above the lower band of the row before, or if the close before was below
      that band; else the band of the row before.
    - Direction: while down, it turns up at a close above this row's upper band; while up, down at a close below this row's lower
      band. A close on a band turns nothing.
    - `line` is the lower band while the direction is up, else the upper band. In the first row it is down.

    Source: O. Seban, Tout le monde mérite d'être riche, 2008. Bands, turns and first direction are those of TradingView's
    `ta.supertrend` (whose own signs are the opposite: -1 is up); the ATR is TA-Lib's, which begins one row later than
    TradingView's.

    Warm-up: `period + 1` rows. NaN or infinity in high, low or close: the row's values are NaN, and everything goes on at the next row
    as if it had not been. Zero range: as any other row.

    Attributes:
        period: number of bars of the average true range.
        width: average true ranges from the middle of a bar to a band.
    """

    outputs: ClassVar[tuple[str, ...]] = ("line", "direction")
    operation = super_trend

    period: int = 10
    width: float = 3.0

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period), width=check_number("width", self.width, above=0.0))

    @property
    def sources(self) -> tuple[Source, ...]:
        return (*BARS, ATR(self.period))

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.width,)

    @property
    def state_size(self) -> int:
        return _SUPER_SIZE


def _build_fused() -> Any:
    from numba import types
    from numba.extending import intrinsic

    @intrinsic
    def fused(context, factor, other, added):  # type: ignore[no-untyped-def]
        def generate(target, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return builder.fma(*arguments)

        return types.float64(types.float64, types.float64, types.float64), generate

    return fused


fused = Intrinsic(_build_fused)  # `factor * other + added`, rounded once


@operation
def parabolic_sar(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """Parabolic SAR of high and low. Parameters: step, most."""
    high, low, out = inputs[0], inputs[1], outputs[0]
    step, most = parameters[0], parameters[1]
    seen, is_long, sar, factor = state[_SEEN], state[_LONG] > 0.0, state[_STOP], state[_FACTOR]
    extreme, last_high, last_low = state[_EXTREME], state[_LAST_HIGH], state[_LAST_LOW]
    for row in range(start, stop):
        top, bottom = high[row], low[row]
        out[row] = np.nan
        if not np.isfinite(top - bottom):
            continue
        if seen == 0.0:
            seen, last_high, last_low = 1.0, top, bottom
            continue
        if seen == 1.0:
            down = last_low - bottom
            is_long = not (down > 0.0 and top - last_high < down)
            extreme, sar = (top, last_low) if is_long else (bottom, last_high)
            # As TA-Lib: the first stop may lie within the first bar, but not within this one.
            seen, factor, last_high, last_low = 2.0, step, top, bottom
        if is_long:
            if bottom <= sar:
                is_long, factor = False, step
                sar = max(extreme, last_high, top)
                out[row] = sar
                extreme = bottom
                sar = max(fused(factor, extreme - sar, sar), last_high, top)
            else:
                out[row] = sar
                if top > extreme:
                    extreme, factor = top, min(factor + step, most)
                sar = min(fused(factor, extreme - sar, sar), last_low, bottom)
        elif top >= sar:
            is_long, factor = True, step
            sar = min(extreme, last_low, bottom)
            out[row] = sar
            extreme = top
            sar = min(fused(factor, extreme - sar, sar), last_low, bottom)
        else:
            out[row] = sar
            if bottom < extreme:
                extreme, factor = bottom, min(factor + step, most)
            sar = max(fused(factor, extreme - sar, sar), last_high, top)
        last_high, last_low = top, bottom
    state[_SEEN], state[_LONG], state[_STOP], state[_FACTOR] = seen, 1.0 if is_long else 0.0, sar, factor
    state[_EXTREME], state[_LAST_HIGH], state[_LAST_LOW] = extreme, last_high, last_low


@dataclass(frozen=True, slots=True)
class ParabolicSAR(Primitive):
    """Parabolic stop and reverse: a stop that approaches the price faster with each new extreme. In units of price.

    `sar = sar + factor * (extreme - sar)`, where the extreme is the highest high of a long trend, or the lowest low of a short one. The factor
    begins at `step` and grows by `step` with each new extreme, up to `most`. The stop never lies within the last two bars. A
    bar that touches it turns the trend: the stop of that row is the extreme of the old trend.

    The trend of the second row is short if the bar reached down, and further than up; else long. Its stop is the low of
    the first bar, or its high if short. On whole ticks a stop is often touched exactly, so it matters how it is rounded: once per
    row, on every machine (fused multiply-add). TA-Lib does the same where its build uses that instruction, and then has the same
    bits; another build may turn a row earlier or later where a stop is touched exactly: 1 row of a million on real bars.

    Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978; TA-Lib's SAR.

    Warm-up: 2 rows. NaN or infinity in high or low: the row's value is NaN, and the stop goes on at the next row as if it had not
    been. Zero range: as any other row.

    Attributes:
        step: of the factor, a fraction.
        most: largest factor, a fraction; not below `step`.
    """

    operation = parabolic_sar

    step: float = 0.02
    most: float = 0.2

    def __post_init__(self) -> None:
        step, most = check_number("step", self.step, above=0.0), check_number("most", self.most, above=0.0)
        if step > most:
            raise ValueError(f"step is not above most, not {step:g} and {most:g}")
        set_checked(self, step=step, most=most)

    @property
    def sources(self) -> tuple[Source, ...]:
        return BARS[:2]

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.step, self.most)

    @property
    def state_size(self) -> int:
        return _SAR_SIZE

    @property
    def delay(self) -> int:
        return 1
