"""Two sources compared: correlation and beta."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from stratd.core.kernel import operation
from stratd.errors import IndicatorError
from stratd.indicators.base import Primitive, Source, StreamInfo, check_period, check_source

# Sums lose digits as values come and go: after so many windows they are taken anew, and at once where the spread that is left
# is so small a part of the sums it comes from that too few digits would be left.
_ANEW: Final = 8
_LOW: Final = 1e-4
_LARGEST: Final = 1e70  # above it products of squares could overflow

# State.
_RUN: Final = 0  # rows in sequence that can be summed, up to period
_AGE: Final = 1  # rows since the sums were taken anew; 0: they are not kept
_ANCHOR: Final = 2  # the values whose distances are summed: of the source, and of the other
_OTHER_ANCHOR: Final = 3
_SUM: Final = 4
_OTHER_SUM: Final = 5
_SQUARES: Final = 6
_OTHER_SQUARES: Final = 7
_PRODUCTS: Final = 8
_PEAK: Final = 9  # largest sums of squares since the sums were taken anew
_OTHER_PEAK: Final = 10
_SIZE: Final = 11


@operation
def pair(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """Correlation or beta. Inputs: source, other. Parameters: period, 1 for beta."""
    first, second, out = inputs[0], inputs[1], outputs[0]
    period, beta = int(parameters[0]), parameters[1] != 0.0
    share = 1.0 / period
    row = start
    while row < stop:
        if state[_AGE] > 0.0:
            end = min(stop, row + _ANEW * period - int(state[_AGE]))
            anchor, other_anchor = state[_ANCHOR], state[_OTHER_ANCHOR]
            x, y, xx, yy, xy = state[_SUM], state[_OTHER_SUM], state[_SQUARES], state[_OTHER_SQUARES], state[_PRODUCTS]
            peak, other_peak = state[_PEAK], state[_OTHER_PEAK]
            low = False
            at = row
            while at < end and abs(first[at]) <= _LARGEST and abs(second[at]) <= _LARGEST:
                comes, goes = first[at] - anchor, first[at - period] - anchor
                other_comes, other_goes = second[at] - other_anchor, second[at - period] - other_anchor
                x += comes - goes
                y += other_comes - other_goes
                xx += comes * comes - goes * goes
                yy += other_comes * other_comes - other_goes * other_goes
                xy += comes * other_comes - goes * other_goes
                peak, other_peak = max(peak, xx), max(other_peak, yy)
                spread, other_spread = xx - x * x * share, yy - y * y * share
                if spread < _LOW * peak or other_spread < _LOW * other_peak:
                    low = True
                    break
                together = xy - x * y * share
                if beta:
                    out[at] = together / other_spread if other_spread > 0.0 else 0.0
                else:
                    both = spread * other_spread
                    out[at] = max(min(together / math.sqrt(both), 1.0), -1.0) if both > 0.0 else 0.0
                at += 1
            state[_SUM], state[_OTHER_SUM], state[_SQUARES], state[_OTHER_SQUARES], state[_PRODUCTS] = x, y, xx, yy, xy
            state[_PEAK], state[_OTHER_PEAK] = peak, other_peak
            state[_AGE] += at - row
            if low or state[_AGE] >= _ANEW * period:
                state[_AGE] = 0.0
            row = at
        if row >= stop:
            break
        # One row, whatever it is, with sums taken anew.
        usable = abs(first[row]) <= _LARGEST and abs(second[row]) <= _LARGEST
        state[_RUN] = min(state[_RUN] + 1.0, period) if usable else 0.0
        out[row] = np.nan
        state[_AGE] = 0.0
        if state[_RUN] == period:
            anchor, other_anchor = first[row], second[row]
            x = 0.0
            y = 0.0
            xx = 0.0
            yy = 0.0
            xy = 0.0
            for at in range(row - period + 1, row + 1):
                distance, other_distance = first[at] - anchor, second[at] - other_anchor
                x += distance
                y += other_distance
                xx += distance * distance
                yy += other_distance * other_distance
                xy += distance * other_distance
            spread, other_spread, together = xx - x * x * share, yy - y * y * share, xy - x * y * share
            both = spread * other_spread
            if beta:
                out[row] = together / other_spread if other_spread > 0.0 else 0.0
            else:
                out[row] = max(min(together / math.sqrt(both), 1.0), -1.0) if spread > 0.0 and both > 0.0 else 0.0
            state[_ANCHOR], state[_OTHER_ANCHOR] = anchor, other_anchor
            state[_SUM], state[_OTHER_SUM], state[_PRODUCTS] = x, y, xy
            state[_SQUARES] = state[_PEAK] = xx
            state[_OTHER_SQUARES] = state[_OTHER_PEAK] = yy
            state[_AGE] = 1.0
        row += 1


@dataclass(frozen=True, slots=True)
class Pair(Primitive):
    """What the indicators of this file share: a window over two sources.

    There is no usual `other`: an indicator without one can be named and completed with `of`, not computed.
    """

    source_fields = ("source", "other")
    operation = pair
    is_beta: ClassVar[bool]

    period: int
    source: Source = "close"
    other: Source | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "period", check_period(self.period, 2))
        check_source(self.source)
        if self.other is not None:
            check_source(self.other)

    @property
    def sources(self) -> tuple[Source, ...]:
        """See `Primitive.sources`.

        Raises:
            IndicatorError: there is no other source.
        """
        if self.other is None:
            raise IndicatorError(
                f"{self.name} compares two sources, and the second is not given: "
                f"{self.name}({self.period}).of('close', On('close', 'SPY'))"
            )
        return (self.source, self.other)

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.period, float(self.is_beta))

    @property
    def state_size(self) -> int:
        return _SIZE

    @property
    def delay(self) -> int:
        return self.period - 1

    @property
    def reach_back(self) -> int:
        return self.period


@dataclass(frozen=True, slots=True)
class Correlation(Pair):
    """Correlation of two sources over the last `period` rows (K. Pearson), -1 to 1: `cov(source, other) / sqrt(var(source) * var(other))`.

    The sums are of distances to one of the values, and are taken anew after every 8 windows, and when the spread of either has
    become small: errors stay below 1e-9, whatever came before, also where prices are high and moves small.

    Warm-up: `period` rows. Zero variance of either: 0, as in TA-Lib. NaN and infinity (and beyond 1e70): NaN while one is
    in the window of either. Source: TA-Lib's CORREL.

    Attributes:
        period: number of bars, 2 or more.
        source, other: fields or indicators; which is which does not matter.
    """

    is_beta = False


@dataclass(frozen=True, slots=True)
class Beta(Pair):
    """Slope of the regression of `source` on `other` over the last `period` rows: `cov(source, other) / var(other)`.

    How far `source` moves when `other` moves by one. Of what it is given as it is; the beta of a stock takes returns:
    `Beta(60).of(Return(), On(Return(), "SPY"))`. TA-Lib's `BETA(a, b, period)` takes prices, makes returns of them, and regresses
    those of b on those of a: here `Beta(period).of(Return(1, b), Return(1, a))`.

    Sums and errors: as for `Correlation`.

    Warm-up: `period` rows. Zero variance of `other`: 0, as in TA-Lib. NaN and infinity (and beyond 1e70): NaN while one is
    in the window of either.

    Attributes:
        period: number of bars, 2 or more.
        source: field or indicator that depends.
        other: field or indicator that it depends on.
    """

    is_beta = True
