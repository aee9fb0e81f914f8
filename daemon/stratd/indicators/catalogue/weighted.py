"""Moving averages with weights: linear (WMA), Hull's, triangular, by volume."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stratd.core.kernel import operation
from stratd.indicators.arithmetic import WeightedSum
from stratd.indicators.base import Composite, Indicator, Primitive, Source, StreamInfo, check_period, set_checked
from stratd.indicators.catalogue.sma import SMA
from stratd.indicators.catalogue.ticks import Ticks, has_ticks

# Sums lose digits as values come and go: after so many windows they are taken anew, and at once where what is left in the
# window is so small a part of what has been in it that too few digits would be left.
_ANEW: Final = 8
_LOW: Final = 1e-3
_LARGEST: Final = 1e140  # above it products could overflow

# State of WMA.
_RUN: Final = 0  # rows in sequence that can be summed, up to period
_FINE: Final = 1  # the same of the values, where the sums are of whole ticks
_AGE: Final = 2  # rows since the sums were taken anew; 0: they are not kept
_SUM: Final = 3
_WEIGHTED: Final = 4  # sum of values by their weights
_SIZE_OF_SUM: Final = 5  # of absolute values
_PEAK: Final = 6  # largest of these since the sums were taken anew
_SIZE: Final = 7


@operation
def wma(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """WMA. Parameters: period, tick (0: sums of floats; else the second input are the values in ticks)."""
    values, out = inputs[0], outputs[0]
    period, tick = int(parameters[0]), parameters[1]
    summed = inputs[1] if tick > 0.0 else inputs[0]
    unit = tick if tick > 0.0 else 1.0
    weights = period * (period + 1) / 2.0
    row = start
    while row < stop:
        if state[_AGE] > 0.0:
            end = min(stop, row + _ANEW * period - int(state[_AGE]))
            total, weighted = state[_SUM], state[_WEIGHTED]
            size, peak = state[_SIZE_OF_SUM], state[_PEAK]
            low = False
            at = row
            while at < end and abs(summed[at]) <= _LARGEST:
                comes, goes = summed[at], summed[at - period]
                # In this order whole numbers stay exact.
                weighted += period * comes - total
                total += comes - goes
                size += abs(comes) - abs(goes)
                peak = max(peak, size)
                if size < _LOW * peak:
                    low = True
                    break
                out[at] = (weighted / weights) * unit
                at += 1
            state[_SUM], state[_WEIGHTED] = total, weighted
            state[_SIZE_OF_SUM], state[_PEAK] = size, peak
            state[_AGE] += at - row
            if low or state[_AGE] >= _ANEW * period:
                state[_AGE] = 0.0
            row = at
        if row >= stop:
            break
        # One row, whatever it is, with sums taken anew.
        state[_RUN] = min(state[_RUN] + 1.0, period) if abs(summed[row]) <= _LARGEST else 0.0
        state[_FINE] = min(state[_FINE] + 1.0, period) if abs(values[row]) <= _LARGEST else 0.0
        kept = state[_RUN] == period
        used = summed if kept else values
        total = 0.0
        weighted = 0.0
        size = 0.0
        if state[_FINE] == period:
            for back in range(period):
                value = used[row - period + 1 + back]
                total += value
                weighted += value * (back + 1.0)
                size += abs(value)
            out[row] = (weighted / weights) * (unit if kept else 1.0)
        else:
            out[row] = np.nan
        state[_SUM], state[_WEIGHTED] = total, weighted
        state[_SIZE_OF_SUM] = state[_PEAK] = size
        state[_AGE] = 1.0 if kept else 0.0
        row += 1


@dataclass(frozen=True, slots=True)
class WMA(Primitive):
    """Linearly weighted moving average: the newest value counts `period` times, the oldest once; divided by `period * (period + 1) / 2`.

    Where the instrument has a tick, all prices in the window are whole ticks and `period` is at most 127, the sums are of
    whole numbers: equal averages are equal floats. Otherwise they are of floats, and are taken anew after every 8 windows,
    and when a large value has left the window. So errors stay below 1e-10 of the largest value in it, whatever came before.

    Warm-up: `period` rows. NaN and infinity (and beyond 1e140): NaN while one is in the window. Source: TA-Lib's WMA.

    Attributes:
        period: number of bars.
        source: field or indicator.
    """

    source_fields = ("source",)
    operation = wma

    period: int
    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period))

    def _has_ticks(self, stream: StreamInfo) -> bool:
        return has_ticks(self.source, stream, self.period * (self.period + 1) // 2)

    def inputs_on(self, stream: StreamInfo) -> tuple[Source, ...]:
        return (self.source, Ticks(self.source)) if self._has_ticks(stream) else (self.source,)

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.period, stream.tick or 0.0 if self._has_ticks(stream) else 0.0)

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
class HMA(Composite):
    """Hull moving average (A. Hull, 2005): `WMA(sqrt(period)) of (2 * WMA(period / 2) - WMA(period))`, both numbers rounded down.

    Its averages are the same columns as WMAs that somebody else uses.

    Warm-up: `period + floor(sqrt(period)) - 1` rows. NaN and infinity: NaN while one is among so many rows.

    Attributes:
        period: number of bars, 2 or more.
        source: field or indicator.
    """

    source_fields = ("source",)

    period: int
    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period, 2))

    def parts(self) -> Mapping[str, Indicator]:
        difference = WeightedSum(WMA(self.period // 2, self.source), WMA(self.period, self.source), 2.0, -1.0)
        return {"value": WMA(math.isqrt(self.period), difference)}


@dataclass(frozen=True, slots=True)
class TRIMA(Composite):
    """Triangular moving average: weights `1, 2, ... 2, 1`; of an even period the two middle values count alike.

    That is an SMA of an SMA, of `(period + 1) / 2` values both, or of `period / 2` and then `period / 2 + 1`; the inner one is
    the same column as an SMA that somebody else uses.

    Warm-up: `period` rows. NaN and infinity: NaN while one is in the window. Source: TA-Lib's TRIMA.

    Attributes:
        period: number of bars.
        source: field or indicator.
    """

    source_fields = ("source",)

    period: int
    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period))

    def parts(self) -> Mapping[str, Indicator]:
        return {"value": SMA(self.period // 2 + 1, SMA((self.period + 1) // 2, self.source))}


# State of VWMA, after _RUN. (_AGE is as above.)
_ANCHOR: Final = 1  # the value whose distances are summed
_FLOW: Final = 3  # sum of distances times volumes
_MONEY: Final = 4  # sum of absolute values times volumes
_VOLUME: Final = 5
_MONEY_PEAK: Final = 6  # largest since the sums were taken anew, with the anchor's own
_VOLUME_PEAK: Final = 7
_VWMA_SIZE: Final = 8


@operation
def vwma(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """VWMA. Inputs: values, volume. Parameter: period."""
    values, volumes, out = inputs[0], inputs[1], outputs[0]
    period = int(parameters[0])
    row = start
    while row < stop:
        if state[_AGE] > 0.0:
            end = min(stop, row + _ANEW * period - int(state[_AGE]))
            anchor, flow, volume, money = state[_ANCHOR], state[_FLOW], state[_VOLUME], state[_MONEY]
            money_peak, volume_peak = state[_MONEY_PEAK], state[_VOLUME_PEAK]
            low = False
            at = row
            while at < end and abs(values[at]) <= _LARGEST and abs(volumes[at]) <= _LARGEST:
                comes, goes = values[at], values[at - period]
                volume_in, volume_out = volumes[at], volumes[at - period]
                flow += (comes - anchor) * volume_in - (goes - anchor) * volume_out
                money += abs(comes) * volume_in - abs(goes) * volume_out
                volume += volume_in - volume_out
                money_peak = max(money_peak, money + abs(anchor) * volume)
                volume_peak = max(volume_peak, volume)
                if money < _LOW * money_peak or volume < _LOW * volume_peak:
                    low = True
                    break
                out[at] = anchor + flow / volume if volume > 0.0 else np.nan
                at += 1
            state[_FLOW], state[_VOLUME], state[_MONEY] = flow, volume, money
            state[_MONEY_PEAK], state[_VOLUME_PEAK] = money_peak, volume_peak
            state[_AGE] += at - row
            if low or state[_AGE] >= _ANEW * period:
                state[_AGE] = 0.0
            row = at
        if row >= stop:
            break
        # One row, whatever it is, with sums taken anew.
        usable = abs(values[row]) <= _LARGEST and abs(volumes[row]) <= _LARGEST
        state[_RUN] = min(state[_RUN] + 1.0, period) if usable else 0.0
        out[row] = np.nan
        state[_AGE] = 0.0
        if state[_RUN] == period:
            anchor = 0.0
            for at in range(row - period + 1, row + 1):
                if volumes[at] > 0.0:
                    anchor = values[at]  # one that counts, the newest
            flow = 0.0
            money = 0.0
            volume = 0.0
            for at in range(row - period + 1, row + 1):
                flow += (values[at] - anchor) * volumes[at]
                money += abs(values[at]) * volumes[at]
                volume += volumes[at]
            if volume > 0.0:
                out[row] = anchor + flow / volume
            state[_ANCHOR], state[_FLOW], state[_VOLUME] = anchor, flow, volume
            state[_MONEY], state[_MONEY_PEAK] = money, money + abs(anchor) * volume
            state[_VOLUME_PEAK] = volume
            state[_AGE] = 1.0
        row += 1


@dataclass(frozen=True, slots=True)
class VWMA(Primitive):
    """Moving average weighted by volume: `sum(value * volume) / sum(volume)` of the last `period` rows.

    The sums are of distances to one of the values, so the average of equal values is exactly that value. They are taken
    anew after every 8 windows, and when a large value or volume has left the window, so errors stay below 1e-10 of
    the largest value in it, whatever came before.

    Warm-up: `period` rows. Zero volume: NaN while there is none in the whole window. NaN and infinity (and beyond 1e140),
    also of the volume: NaN while one is in the window.

    Attributes:
        period: number of bars.
        source: field or indicator.
    """

    source_fields = ("source",)
    operation = vwma

    period: int
    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period))

    @property
    def sources(self) -> tuple[Source, ...]:
        return (self.source, "volume")

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.period,)

    @property
    def state_size(self) -> int:
        return _VWMA_SIZE

    @property
    def delay(self) -> int:
        return self.period - 1

    @property
    def reach_back(self) -> int:
        return self.period
