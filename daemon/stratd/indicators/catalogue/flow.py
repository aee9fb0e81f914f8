"""Money flow: what volume says about the direction of prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stratd.core.kernel import kernel, operation
from stratd.indicators.base import Primitive, Source, StreamInfo, check_period, set_checked
from stratd.indicators.catalogue.prices import TypicalPrice

# Sums lose digits as values come and go: after so many windows they are taken anew, and at once where what is left in the
# window is so small a part of what has been in it that too few digits would be left.
_ANEW: Final = 8
_LOW: Final = 1e-3
_LARGEST: Final = 1e140  # above it products could overflow
_FLAT: Final = 1e-14  # prices that differ by less than this part of their sum are equal: TA-Lib's TA_IS_ZERO_SCALED

# State.
_RUN: Final = 0  # rows in sequence that can be summed, as many as are needed at most
_AGE: Final = 1  # rows since the sums were taken anew; 0: they are not kept
_UP: Final = 2  # MFI: sum of positive flows. CMF: of all flows
_DOWN: Final = 3  # MFI: sum of negative flows. CMF: of volumes
_UP_PEAK: Final = 4  # largest since the sums were taken anew
_DOWN_PEAK: Final = 5
_SIZE: Final = 6


@kernel("f8(f8, f8, f8)", ieee=True)
def signed_flow(price: float, earlier: float, volume: float) -> float:
    """Money that has changed hands; negative where the price has fallen, 0 where it has not moved."""
    money = abs(price) * volume
    change = price - earlier
    if abs(change) <= _FLAT * (abs(price) + abs(earlier)):
        return 0.0
    return money if change > 0.0 else -money


@operation
def mfi(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """MFI. Inputs: price, volume. Parameter: period."""
    prices, volumes, out = inputs[0], inputs[1], outputs[0]
    period = int(parameters[0])
    row = start
    while row < stop:
        if state[_AGE] > 0.0:
            end = min(stop, row + _ANEW * period - int(state[_AGE]))
            up, down, up_peak, down_peak = state[_UP], state[_DOWN], state[_UP_PEAK], state[_DOWN_PEAK]
            low = False
            at = row
            while at < end and abs(prices[at]) <= _LARGEST and abs(volumes[at]) <= _LARGEST:
                comes = signed_flow(prices[at], prices[at - 1], volumes[at])
                goes = signed_flow(prices[at - period], prices[at - period - 1], volumes[at - period])
                up += max(comes, 0.0) - max(goes, 0.0)
                down += max(-comes, 0.0) - max(-goes, 0.0)
                up_peak, down_peak = max(up_peak, up), max(down_peak, down)
                if up < _LOW * up_peak or down < _LOW * down_peak:
                    low = True
                    break
                total = up + down
                out[at] = 100.0 * (up / total) if total > 0.0 else 0.0
                at += 1
            state[_UP], state[_DOWN], state[_UP_PEAK], state[_DOWN_PEAK] = up, down, up_peak, down_peak
            state[_AGE] += at - row
            if low or state[_AGE] >= _ANEW * period:
                state[_AGE] = 0.0
            row = at
        if row >= stop:
            break
        # One row, whatever it is, with sums taken anew. So many flows need one price more.
        usable = abs(prices[row]) <= _LARGEST and abs(volumes[row]) <= _LARGEST
        state[_RUN] = min(state[_RUN] + 1.0, period + 1.0) if usable else 0.0
        out[row] = np.nan
        state[_AGE] = 0.0
        if state[_RUN] == period + 1.0:
            up = 0.0
            down = 0.0
            for at in range(row - period + 1, row + 1):
                flow = signed_flow(prices[at], prices[at - 1], volumes[at])
                up += max(flow, 0.0)
                down += max(-flow, 0.0)
            out[row] = 100.0 * (up / (up + down)) if up + down > 0.0 else 0.0
            state[_UP] = state[_UP_PEAK] = up
            state[_DOWN] = state[_DOWN_PEAK] = down
            state[_AGE] = 1.0
        row += 1


@dataclass(frozen=True, slots=True)
class MFI(Primitive):
    """Money flow index (G. Quong and A. Soudack, 1989), 0 to 100: the share of the last `period` rows' money that was traded at rising prices.

    Money is typical price times volume. It is positive where the typical price has risen since the row before, negative
    where it has fallen, left out where it is the same (to 1e-14 of the sum of both, as in TA-Lib); the value is
    `100 * positive / (positive + negative)`, and 0 where there is neither: no volume, or no movement.

    The sums are taken anew after every 8 windows, and when a large flow has left the window: errors stay below 1e-10.

    Warm-up: `period + 1` rows. NaN and infinity (and beyond 1e140): NaN while one is among the last `period + 1` rows. Source:
    TA-Lib's MFI. Of prices below zero the money is counted as positive.

    Attributes:
        period: number of bars.
    """

    operation = mfi

    period: int = 14

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period))

    @property
    def sources(self) -> tuple[Source, ...]:
        return (TypicalPrice(), "volume")

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
        return self.period + 1


@kernel("f8(f8, f8, f8, f8)", ieee=True)
def close_flow(high: float, low: float, close: float, volume: float) -> float:
    """Volume by where in its range the bar has closed: all of it at the high, minus all of it at the low, 0 without a range."""
    extent = high - low
    place = ((close - low) - (high - close)) / extent
    return (place if extent != 0.0 else 0.0 * close) * volume


@operation
def cmf(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """CMF. Inputs: high, low, close, volume. Parameter: period."""
    highs, lows, closes, volumes, out = inputs[0], inputs[1], inputs[2], inputs[3], outputs[0]
    period = int(parameters[0])
    row = start
    while row < stop:
        if state[_AGE] > 0.0:
            end = min(stop, row + _ANEW * period - int(state[_AGE]))
            flow, volume, peak = state[_UP], state[_DOWN], state[_DOWN_PEAK]
            low = False
            at = row
            while at < end:
                comes = close_flow(highs[at], lows[at], closes[at], volumes[at])
                if not abs(comes) <= _LARGEST:
                    break
                gone = at - period
                flow += comes - close_flow(highs[gone], lows[gone], closes[gone], volumes[gone])
                volume += volumes[at] - volumes[gone]
                peak = max(peak, volume)
                if volume < _LOW * peak:
                    low = True
                    break
                out[at] = flow / volume if volume > 0.0 else 0.0
                at += 1
            state[_UP], state[_DOWN], state[_DOWN_PEAK] = flow, volume, peak
            state[_AGE] += at - row
            if low or state[_AGE] >= _ANEW * period:
                state[_AGE] = 0.0
            row = at
        if row >= stop:
            break
        # One row, whatever it is, with sums taken anew.
        comes = close_flow(highs[row], lows[row], closes[row], volumes[row])
        state[_RUN] = min(state[_RUN] + 1.0, period) if abs(comes) <= _LARGEST else 0.0
        out[row] = np.nan
        state[_AGE] = 0.0
        if state[_RUN] == period:
            flow = 0.0
            volume = 0.0
            for at in range(row - period + 1, row + 1):
                flow += close_flow(highs[at], lows[at], closes[at], volumes[at])
                volume += volumes[at]
            out[row] = flow / volume if volume > 0.0 else 0.0
            state[_UP], state[_DOWN], state[_DOWN_PEAK] = flow, volume, volume
            state[_AGE] = 1.0
        row += 1


@dataclass(frozen=True, slots=True)
class CMF(Primitive):
    """Chaikin money flow (M. Chaikin), -1 to 1: `sum(place * volume) / sum(volume)` of the last `period` rows.

    `place` is where in its range a bar has closed, `((close - low) - (high - close)) / (high - low)`: 1 at the high, -1 at the low.

    The sums are taken anew after every 8 windows, and when a large volume has left the window: errors stay below 1e-10.

    Warm-up: `period` rows. Zero range: `place` is 0. Zero volume in the whole window: 0. NaN and infinity (and beyond 1e140):
    NaN while one is in the window.

    Attributes:
        period: number of bars.
    """

    operation = cmf

    period: int = 20

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period))

    @property
    def sources(self) -> tuple[Source, ...]:
        return ("high", "low", "close", "volume")

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
