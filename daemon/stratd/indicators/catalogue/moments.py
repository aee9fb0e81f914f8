"""Moments: mean and standard deviation, with sums that do not drift."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from stratd.core.kernel import operation
from stratd.indicators.base import Primitive, Source, StreamInfo, check_period, set_checked
from stratd.indicators.catalogue.ticks import Ticks, has_ticks

# State.
_USABLE: Final = 0  # rows since the last that cannot be used, up to period
_WHOLE: Final = 1  # rows since the last that is not in whole ticks, up to period
_MODE: Final = 2  # how the sums of the window are kept
_BASE: Final = 3  # what distances are taken from
_SUM: Final = 4  # of the distances in the window
_SQUARES: Final = 5  # of their squares
_PEAK: Final = 6  # the most that the sum of squares has been since it was taken anew
_AGE: Final = 7  # rows since then
_SIZE: Final = 8

_NONE: Final = 0.0  # not at all: there was no full window at the last row
_EXACT: Final = 1.0  # in whole ticks
_FLOATS: Final = 2.0

_LARGEST: Final = 1e140  # squares of larger ones, and their sums, could overflow
_ANEW: Final = 8  # windows after which sums of floats are taken anew
_LEAST: Final = 2.0**-10  # and when the spread has fallen to this part of the largest sum of squares since


@operation
def moments(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """Mean and deviation.

    Parameters: period, tick (0: floats; else the second input are the values in ticks), largest distance from the base for
    which sums of whole ticks are exact.
    """
    values, mean, deviation = inputs[0], outputs[0], outputs[1]
    period = int(parameters[0])
    count = parameters[0]
    tick = parameters[1]
    reach = parameters[2]
    whole = inputs[1] if tick > 0.0 else inputs[0]
    usable, in_ticks, mode, base = state[_USABLE], state[_WHOLE], state[_MODE], state[_BASE]
    row = start
    while row < stop:
        # Sums first, one row after the other; roots and quotients of them after that, many rows at once.
        at = row
        if mode == _EXACT:
            total, squares = int(state[_SUM]), int(state[_SQUARES])
            while at < stop:
                distance = whole[at] - base
                if not abs(distance) <= reach:
                    break
                comes, goes = int(distance), int(whole[at - period] - base)
                total += comes - goes
                squares += (comes - goes) * (comes + goes)
                mean[at] = total
                deviation[at] = period * squares - total * total
                at += 1
            state[_SUM], state[_SQUARES] = total, squares
            first = count * base
            for done in range(row, at):
                mean[done] = ((mean[done] + first) / count) * tick
                deviation[done] = (math.sqrt(deviation[done]) / count) * tick
        elif mode == _FLOATS:
            end = min(stop, row + _ANEW * period - int(state[_AGE]))
            sum_, squares_, peak = state[_SUM], state[_SQUARES], state[_PEAK]
            while at < end:
                following_ticks = in_ticks
                if tick > 0.0:
                    following_ticks = 0.0 if np.isnan(whole[at]) else min(in_ticks + 1.0, count)
                    # Of a window that is in whole ticks again, exact sums are taken.
                    if following_ticks == count and in_ticks < count:
                        break
                arrives = values[at]
                if not abs(arrives) <= _LARGEST:
                    break
                arrives -= base
                leaves = values[at - period] - base
                following = sum_ + (arrives - leaves)
                squared = squares_ + (arrives * arrives - leaves * leaves)
                most = max(peak, squared)
                spread = count * squared - following * following
                if spread < (count * _LEAST) * most:
                    break
                sum_, squares_, peak, in_ticks = following, squared, most, following_ticks
                mean[at] = sum_
                deviation[at] = spread
                at += 1
            state[_SUM], state[_SQUARES], state[_PEAK] = sum_, squares_, peak
            state[_AGE] += at - row
            for done in range(row, at):
                mean[done] = mean[done] / count + base
                deviation[done] = math.sqrt(deviation[done]) / count
        row = at
        if row == stop:
            break
        # One row, whatever it is.
        mode = _NONE
        mean[row] = np.nan
        deviation[row] = np.nan
        value = values[row]
        if not abs(value) <= _LARGEST:
            usable, in_ticks = 0.0, 0.0
            row += 1
            continue
        usable = min(usable + 1.0, count)
        if tick > 0.0:
            in_ticks = 0.0 if np.isnan(whole[row]) else min(in_ticks + 1.0, count)
        if usable == count and in_ticks == count:
            base = whole[row]
            mode = _EXACT
            total, squares = 0, 0
            for earlier in range(row - period + 1, row + 1):
                distance = whole[earlier] - base
                if abs(distance) > reach:
                    mode = _NONE
                    break
                total += int(distance)
                squares += int(distance) * int(distance)
            if mode == _EXACT:
                state[_SUM], state[_SQUARES] = total, squares
                mean[row] = ((total + count * base) / count) * tick
                deviation[row] = (math.sqrt(period * squares - total * total) / count) * tick
        if usable == count and mode == _NONE:
            # The base is the value next to the mean: distances of prices from a price are not rounded, those from a mean are.
            sum_ = 0.0
            for earlier in range(row - period + 1, row + 1):
                sum_ += values[earlier] - value
            about = sum_ / count
            nearest = np.inf
            for earlier in range(row - period + 1, row + 1):
                apart = abs((values[earlier] - value) - about)
                if apart < nearest:
                    nearest = apart
                    base = values[earlier]
            sum_, squares_ = 0.0, 0.0
            for earlier in range(row - period + 1, row + 1):
                arrives = values[earlier] - base
                sum_ += arrives
                squares_ += arrives * arrives
            mode = _FLOATS
            state[_SUM], state[_SQUARES], state[_PEAK], state[_AGE] = sum_, squares_, squares_, 1.0
            mean[row] = sum_ / count + base
            deviation[row] = math.sqrt(max(0.0, count * squares_ - sum_ * sum_)) / count
        row += 1
    state[_USABLE], state[_WHOLE], state[_MODE], state[_BASE] = usable, in_ticks, mode, base


@dataclass(frozen=True, slots=True)
class Moments(Primitive):
    """Mean and standard deviation of the last `period` values: what StdDev, Variance, ZScore and Bollinger are made from.

    The usual difference of two large sums loses all digits where prices are high and moves small. Here sums are of
    distances from a price nearby:

    - The instrument has a tick and all prices in the window are whole ticks: sums of whole numbers, which are exact. Each
      result is rounded only where it is divided, and the mean has the bits of SMA. (Prices may lie up to `2**31 / period`
      ticks apart, and `2**26 / sqrt(period)`; beyond that they are summed as floats.)
    - Otherwise sums of floats. They are taken anew, from a new base, after every 8 windows, and whenever the window's
      spread has become small in relation to what was summed, so that neither a spike nor a long trend costs digits.
      Deviations are good to 1e-10 of their size.

    Equal values have a deviation of exactly 0. Warm-up: `period` rows. NaN and infinity (and beyond 1e140): NaN while one is in the window.

    Attributes:
        period: number of bars.
        source: field or indicator.
    """

    outputs: ClassVar[tuple[str, ...]] = ("mean", "deviation")
    source_fields = ("source",)
    operation = moments

    period: int
    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period))

    def inputs_on(self, stream: StreamInfo) -> tuple[Source, ...]:
        return (self.source, Ticks(self.source)) if has_ticks(self.source, stream, self.period) else (self.source,)

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        tick = stream.tick or 0.0 if has_ticks(self.source, stream, self.period) else 0.0
        return (self.period, tick, math.floor(min(2.0**31 / self.period, 2.0**26 / math.sqrt(self.period))))

    @property
    def state_size(self) -> int:
        return _SIZE

    @property
    def delay(self) -> int:
        return self.period - 1

    @property
    def reach_back(self) -> int:
        return self.period
