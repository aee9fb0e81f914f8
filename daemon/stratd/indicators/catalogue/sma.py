"""SMA: simple moving average, with exact sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stratd.core.kernel import operation
from stratd.indicators.base import Primitive, Source, StreamInfo, check_period, set_checked
from stratd.indicators.catalogue.ticks import Ticks, has_ticks

# State.
_SEEN: Final = 0  # rows seen, up to period
_OFF: Final = 1  # rows in the window that are not whole ticks
_TICKS: Final = 2  # sum of those that are
_BAD: Final = 3  # rows in the window that cannot be summed
_SUM: Final = 4  # sum of all usable rows in the window, rounded
_REST: Final = 5  # what the rounding has lost
_AGE: Final = 6  # rows since the sum was taken anew; 0: it is not kept
_SIZE: Final = 7

_LARGEST: Final = 1e300  # above it sums could overflow, and be lost for good
_ANEW: Final = 32  # windows after which the sum is taken anew


@operation
def sma(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """SMA. Parameters: period, tick (0: sums of floats; else the second input are the values in ticks)."""
    values, out = inputs[0], outputs[0]
    period = int(parameters[0])
    tick = parameters[1]
    whole = inputs[1] if tick > 0.0 else inputs[0]
    row = start
    seen = int(state[_SEEN])
    while row < stop:
        # As far as all rows that come and go are whole ticks, there is nothing to look at but their sum.
        end = row
        if tick > 0.0 and seen == period and state[_OFF] == 0.0 and state[_BAD] == 0.0:
            while end < stop and not np.isnan(whole[end]):
                end += 1
            total = state[_TICKS]
            for at in range(row, end):
                total += whole[at] - whole[at - period]
                out[at] = (total / period) * tick
            state[_TICKS] = total
            if end > row:
                state[_AGE] = 0.0
            row = end
        elif tick == 0.0 and seen == period and state[_BAD] == 0.0 and state[_AGE] > 0.0:
            # The same for floats, as long as the sum need not be taken anew.
            end = min(stop, row + _ANEW * period - int(state[_AGE]))
            total, rest = state[_SUM], state[_REST]
            at = row
            while at < end and abs(values[at]) <= _LARGEST:
                comes, goes = values[at], -values[at - period]
                # TwoSum: Knuth, The Art of Computer Programming, vol. 2, 4.2.2, theorem B.
                change = comes + goes
                part = change - comes
                lost = (comes - (change - part)) + (goes - part)
                following = total + change
                part = following - total
                rest += ((total - (following - part)) + (change - part)) + lost
                total = following
                out[at] = (total + rest) / period
                at += 1
            state[_SUM], state[_REST] = total, rest
            state[_AGE] += at - row
            if at < end:
                end = at
            elif state[_AGE] >= _ANEW * period:
                state[_AGE] = 0.0
            if end > row:
                row = end
                continue
        if row >= stop:
            break
        # One row, whatever it is.
        if seen < period:
            seen += 1
        else:
            goes = values[row - period]
            if not abs(goes) <= _LARGEST:
                state[_BAD] -= 1.0
            elif tick > 0.0:
                if np.isnan(whole[row - period]):
                    state[_OFF] -= 1.0
                else:
                    state[_TICKS] -= whole[row - period]
        comes = values[row]
        if not abs(comes) <= _LARGEST:
            state[_BAD] += 1.0
        elif tick > 0.0:
            if np.isnan(whole[row]):
                state[_OFF] += 1.0
            else:
                state[_TICKS] += whole[row]
        if seen < period or state[_BAD] > 0.0:
            out[row] = np.nan
            state[_AGE] = 0.0
        elif tick > 0.0 and state[_OFF] == 0.0:
            out[row] = (state[_TICKS] / period) * tick
        else:
            total = 0.0
            rest = 0.0
            for at in range(row - period + 1, row + 1):
                following = total + values[at]
                part = following - total
                rest += (total - (following - part)) + (values[at] - part)
                total = following
            state[_SUM], state[_REST] = total, rest
            state[_AGE] = 1.0
            out[row] = (total + rest) / period
        row += 1
    state[_SEEN] = float(seen)


@dataclass(frozen=True, slots=True)
class SMA(Primitive):
    """Simple moving average: the sum of the last `period` values, divided by `period`.

    It does not drift: a value depends on its window alone, however many rows came before. Two ways of summing:

    - The instrument has a tick and all prices in the window are whole ticks: they are summed as whole numbers, and
      the value is `(sum / period) * tick`. Equal averages are equal floats, also of two different periods, so a tie of
      a fast and a slow average is a tie.
    - Otherwise (no tick, volume, a price between ticks): the sum of floats carries what its rounding has lost, and is
      taken anew after every 32 windows. It is that of `math.fsum` as long as the values that have been in the window since
      are within 12 orders of magnitude.

    Warm-up: `period` rows. NaN and infinity (and beyond 1e300): NaN while one is in the window. Source: TA-Lib's SMA.

    Attributes:
        period: number of bars.
        source: field or indicator.
    """

    source_fields = ("source",)
    operation = sma

    period: int
    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period))

    def inputs_on(self, stream: StreamInfo) -> tuple[Source, ...]:
        return (self.source, Ticks(self.source)) if has_ticks(self.source, stream, self.period) else (self.source,)

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.period, stream.tick or 0.0 if has_ticks(self.source, stream, self.period) else 0.0)

    @property
    def state_size(self) -> int:
        return _SIZE

    @property
    def delay(self) -> int:
        return self.period - 1

    @property
    def reach_back(self) -> int:
        return self.period
