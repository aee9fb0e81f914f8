"""LinearRegression: the straight line through the last rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from stratd.core.kernel import operation
from stratd.indicators.base import Primitive, Source, StreamInfo, check_period, set_checked

# Sums lose digits as values come and go: after so many windows they are taken anew, and at once where the spread that is left
# is so small a part of the sums it comes from that too few digits would be left.
_ANEW: Final = 8
_LOW: Final = 1e-4
_LARGEST: Final = 1e140  # above it squares could overflow

# State.
_RUN: Final = 0  # rows in sequence that can be summed, up to period
_AGE: Final = 1  # rows since the sums were taken anew; 0: they are not kept
_ANCHOR: Final = 2  # the value whose distances are summed
_SUM: Final = 3
_MOMENT: Final = 4  # sum of distances times their rows' distances to the middle of the window
_SQUARES: Final = 5
_PEAK: Final = 6  # largest sum of squares since the sums were taken anew
_SIZE: Final = 7


@operation
def linear_regression(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """Value, slope and R squared. Parameter: period."""
    values, line, slopes, fits = inputs[0], outputs[0], outputs[1], outputs[2]
    period = int(parameters[0])
    middle = (period - 1.0) / 2.0
    scale = 12.0 / (period * (period * period - 1.0))
    row = start
    while row < stop:
        if state[_AGE] > 0.0:
            end = min(stop, row + _ANEW * period - int(state[_AGE]))
            anchor, total, moment = state[_ANCHOR], state[_SUM], state[_MOMENT]
            squares, peak = state[_SQUARES], state[_PEAK]
            low = False
            at = row
            while at < end and abs(values[at]) <= _LARGEST:
                comes, goes = values[at] - anchor, values[at - period] - anchor
                # All rows that stay move one step away from the newest.
                moment += (middle * comes + (middle + 1.0) * goes) - total
                total += comes - goes
                squares += comes * comes - goes * goes
                peak = max(peak, squares)
                spread = squares - total * total / period
                if spread < _LOW * peak:
                    low = True
                    break
                slope = moment * scale
                line[at] = anchor + (total / period + slope * middle)
                slopes[at] = slope
                fits[at] = min(slope * moment / spread, 1.0) if spread > 0.0 else 0.0
                at += 1
            state[_SUM], state[_MOMENT], state[_SQUARES], state[_PEAK] = total, moment, squares, peak
            state[_AGE] += at - row
            if low or state[_AGE] >= _ANEW * period:
                state[_AGE] = 0.0
            row = at
        if row >= stop:
            break
        # One row, whatever it is, with sums taken anew.
        state[_RUN] = min(state[_RUN] + 1.0, period) if abs(values[row]) <= _LARGEST else 0.0
        line[row] = slopes[row] = fits[row] = np.nan
        state[_AGE] = 0.0
        if state[_RUN] == period:
            anchor = values[row]
            total = 0.0
            moment = 0.0
            squares = 0.0
            for back in range(period):
                distance = values[row - period + 1 + back] - anchor
                total += distance
                moment += (back - middle) * distance
                squares += distance * distance
            spread = squares - total * total / period
            slope = moment * scale
            line[row] = anchor + (total / period + slope * middle)
            slopes[row] = slope
            fits[row] = min(slope * moment / spread, 1.0) if spread > 0.0 else 0.0
            state[_ANCHOR], state[_SUM], state[_MOMENT] = anchor, total, moment
            state[_SQUARES] = state[_PEAK] = squares
            state[_AGE] = 1.0
        row += 1


@dataclass(frozen=True, slots=True)
class LinearRegression(Primitive):
    """Straight line through the last `period` values, by least squares.

    `slope = sum((i - mean(i)) * value) / sum((i - mean(i)) ** 2)` with `i` the rows of the window; `line` is the line at the
    newest row, `mean + slope * (period - 1) / 2`; `r_squared` is the part of the values' variance that the line explains.

    The sums are of distances to one of the values, and are taken anew after every 8 windows, and when the values' spread has
    become small: errors stay below 1e-9, whatever came before, also where prices are high and moves small.

    Warm-up: `period` rows. Equal values: that value exactly, slope 0, r_squared 0. NaN and infinity (and beyond 1e140): NaN while
    one is in the window. Source: TA-Lib's LINEARREG, LINEARREG_SLOPE; it has no R squared.

    Attributes:
        period: number of bars, 2 or more.
        source: field or indicator.
    """

    outputs: ClassVar[tuple[str, ...]] = ("line", "slope", "r_squared")
    source_fields = ("source",)
    operation = linear_regression

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
        return self.period - 1

    @property
    def reach_back(self) -> int:
        return self.period
