"""KAMA, VIDYA, MAMA: averages that follow faster where prices move."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from stratd.core.kernel import kernel, operation
from stratd.indicators.base import Primitive, Source, StreamInfo, check_number, check_period, check_whole, set_checked

# State of KAMA and VIDYA.
_RUN: Final = 0  # usable rows without a gap, up to window + 1
_MOVES: Final = 1  # changes in the window that are not 0
_PATH: Final = 2  # sum of the changes' sizes, rounded
_REST: Final = 3  # what the rounding has lost
_AGE: Final = 4  # rows since the sum was taken anew; 0: it is not kept
_HAS: Final = 5  # 1 once there is an average
_AVERAGE: Final = 6
_SIZE: Final = 7

_LARGEST: Final = 1e300  # above it sums could overflow
_ANEW: Final = 32  # windows after which the sum is taken anew


@kernel("f8(f8, f8, f8, f8)", ieee=True)
def efficiency(change: float, path: float, moves: float, still: float) -> float:
    """Kaufman's efficiency ratio: how far a price got, of the way that it went; `still` where it did not move."""
    if moves == 0.0:
        return still
    return change / path if change < path else 1.0


@operation
def adaptive(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """KAMA and VIDYA. Parameters: window, gain, floor, 1 to square the weight, efficiency of prices that stand still."""
    values, out = inputs[0], outputs[0]
    window = int(parameters[0])
    gain, floor, squared, still = parameters[1], parameters[2], parameters[3], parameters[4]
    run, moves, path, rest = int(state[_RUN]), state[_MOVES], state[_PATH], state[_REST]
    age, has, average = int(state[_AGE]), state[_HAS], state[_AVERAGE]
    row = start
    while row < stop:
        # As long as the window has no gap, and the sum need not be taken anew.
        end = min(stop, row + _ANEW * window - age) if age > 0 else row
        while row < end and abs(values[row]) <= _LARGEST:
            value = values[row]
            comes, goes = abs(value - values[row - 1]), -abs(values[row - window] - values[row - window - 1])
            # TwoSum: Knuth, The Art of Computer Programming, vol. 2, 4.2.2, theorem B.
            change = comes + goes
            part = change - comes
            lost = (comes - (change - part)) + (goes - part)
            following = path + change
            part = following - path
            rest += ((path - (following - part)) + (change - part)) + lost
            path = following
            moves += (1.0 if comes != 0.0 else 0.0) - (1.0 if goes != 0.0 else 0.0)
            weight = efficiency(abs(value - values[row - window]), path + rest, moves, still) * gain + floor
            weight = weight * weight if squared != 0.0 else weight
            average = (value - average) * weight + average
            out[row] = average
            age += 1
            row += 1
        if row >= stop:
            break
        # One row, whatever it is.
        value = values[row]
        run = min(run + 1, window + 1) if abs(value) <= _LARGEST else 0
        age = 0
        out[row] = np.nan
        if run > window:
            path, rest, moves = 0.0, 0.0, 0.0
            for at in range(row - window + 1, row + 1):
                change = abs(values[at] - values[at - 1])
                following = path + change
                part = following - path
                rest += (path - (following - part)) + (change - part)
                path = following
                moves += 1.0 if change != 0.0 else 0.0
            age = 1
            if has == 0.0:
                has, average = 1.0, values[row - 1]
            weight = efficiency(abs(value - values[row - window]), path + rest, moves, still) * gain + floor
            weight = weight * weight if squared != 0.0 else weight
            average = (value - average) * weight + average
            out[row] = average
        row += 1
    state[_RUN], state[_MOVES], state[_PATH], state[_REST] = float(run), moves, path, rest
    state[_AGE], state[_HAS], state[_AVERAGE] = float(age), has, average


@dataclass(frozen=True, slots=True)
class KAMA(Primitive):
    """Kaufman's adaptive moving average: `kama += (efficiency * (f - s) + s) ** 2 * (value - kama)`, where `f = 2 / (fast + 1)`, `s = 2 / (slow + 1)`.

    `efficiency = abs(value - value[period rows ago]) / sum of abs(value - value[1 row ago])` over the last `period` rows, from 0
    (noise) to 1 (a straight line). It starts from the value before its first row. Source: P. J. Kaufman, Smarter Trading,
    1995; TA-Lib's KAMA, where fast is always 2 and slow 30.

    The sum does not drift: it carries what its rounding has lost, and is taken anew after every 32 windows.

    Warm-up: `period + 1` rows. Prices that stand still for the whole window have an efficiency of 1, as in TA-Lib. NaN and infinity (and beyond 1e300): NaN while one is among the last `period + 1` rows;
    then the average goes on from where it was.

    Attributes:
        period: number of bars of the efficiency; 2 or more.
        fast, slow: numbers of bars of the EMA that it is at an efficiency of 1, and of 0.
        source: field or indicator; the average is in its units.
    """

    source_fields = ("source",)
    operation = adaptive

    period: int = 10
    fast: int = 2
    slow: int = 30
    source: Source = "close"

    def __post_init__(self) -> None:
        fast, slow = check_whole("fast", self.fast, 1), check_whole("slow", self.slow, 1)
        if fast >= slow:
            raise ValueError(f"fast is below slow, not {fast} and {slow}")
        set_checked(self, period=check_period(self.period, 2), fast=fast, slow=slow)

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        fast, slow = 2.0 / (self.fast + 1.0), 2.0 / (self.slow + 1.0)
        return (self.period, fast - slow, slow, 1.0, 1.0)

    @property
    def state_size(self) -> int:
        return _SIZE

    @property
    def delay(self) -> int:
        return self.period

    @property
    def reach_back(self) -> int:
        return self.period + 1


@dataclass(frozen=True, slots=True)
class VIDYA(Primitive):
    """Chande's variable index dynamic average: `vidya += 2 / (period + 1) * abs(cmo) * (value - vidya)`.

    `cmo`, from -1 to 1, is Chande's momentum oscillator over the last `momentum` changes: `(sum of rises - sum of falls) / (sum of
    rises + sum of falls)`, plain sums, not smoothed as TA-Lib's CMO is. It starts from the value before its first row.
    Source: T. Chande, Stocks & Commodities 10:3, 1992 (with standard deviations), and T. Chande and S. Kroll, The New Technical
    Trader, 1994 (with the oscillator). TA-Lib has none.

    The sums do not drift: they carry what their rounding has lost, and are taken anew after every 32 windows.

    Warm-up: `momentum + 1` rows. Prices that stand still for the whole window have a `cmo` of 0: the average stays. NaN and infinity
    (and beyond 1e300): NaN while one is among the last `momentum + 1` rows; then the average goes on from where it was.

    Attributes:
        period: number of bars of the EMA that it is at a `cmo` of 1 or -1.
        momentum: number of changes in `cmo`; 2 or more.
        source: field or indicator; the average is in its units.
    """

    source_fields = ("source",)
    operation = adaptive

    period: int = 14
    momentum: int = 9
    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period), momentum=check_whole("momentum", self.momentum, 2))

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        # The rises less the falls are the change over the window, so abs(cmo) is the efficiency ratio.
        return (self.momentum, 2.0 / (self.period + 1.0), 0.0, 0.0, 0.0)

    @property
    def state_size(self) -> int:
        return _SIZE

    @property
    def delay(self) -> int:
        return self.momentum

    @property
    def reach_back(self) -> int:
        return self.momentum + 1


# State of MAMA.
_SEEN: Final = 0  # usable rows seen, up to 33
_PLACE: Final = 1  # where in the lines the oldest value is
_MAMA: Final = 2
_FAMA: Final = 3
_PERIOD: Final = 4  # of the dominant cycle, bars
_PHASE: Final = 5  # degrees
_I2: Final = 6
_Q2: Final = 7
_RE: Final = 8
_IM: Final = 9
_SUM: Final = 10  # of the last 4 values
_WEIGHTED: Final = 11  # of the last 3, the newest counted three times, the oldest once
_RECENT: Final = 12  # the last 4 values, newest first
# Delay lines of 6 values each, written around.
_LINE: Final = 6
_SMOOTH: Final = _RECENT + 4
_DETREND: Final = _SMOOTH + _LINE
_Q1: Final = _DETREND + _LINE
_I1: Final = _Q1 + _LINE
_MAMA_SIZE: Final = _I1 + _LINE

_BEGIN: Final = 12  # rows before the first that is transformed
_WARMUP: Final = 32  # rows before the first value
_DEGREES: Final = 180.0 / math.pi
_SPIKE: Final = 1e6  # a value so many times the newest has taken digits from the sums that it leaves
_MAMA_LARGEST: Final = 1e100  # above it squares could overflow


@kernel("f8(f8, f8, f8, f8, f8)", ieee=True)
def hilbert(now: float, two: float, four: float, six: float, scale: float) -> float:
    """Ehlers' Hilbert transformer: of a value and those 2, 4 and 6 rows ago."""
    return (0.0962 * now - 0.0962 * six - 0.5769 * four + 0.5769 * two) * scale


@operation
def mesa(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """MAMA and FAMA. Parameters: fast limit, slow limit."""
    values, out_mama, out_fama = inputs[0], outputs[0], outputs[1]
    fast, slow = parameters[0], parameters[1]
    seen, place = int(state[_SEEN]), int(state[_PLACE])
    mama, fama, period, phase = state[_MAMA], state[_FAMA], state[_PERIOD], state[_PHASE]
    i2, q2, real, imaginary = state[_I2], state[_Q2], state[_RE], state[_IM]
    total, weighted = state[_SUM], state[_WEIGHTED]
    one, two, three, four = state[_RECENT], state[_RECENT + 1], state[_RECENT + 2], state[_RECENT + 3]
    for row in range(start, stop):
        value = values[row]
        out_mama[row] = np.nan
        out_fama[row] = np.nan
        if not abs(value) <= _MAMA_LARGEST:
            continue
        # The weighted mean of 4 values in TA-Lib's order of operations: where prices stand still, only its rounding is left
        # to take a phase from.
        goes = four
        total = total + value - goes
        if seen < 3:
            seen += 1
            weighted += seen * value
            one, two, three, four = value, one, two, three
            continue
        weighted += value * 4.0
        if abs(goes) > _SPIKE * abs(value):
            total = value + one + two + three
            weighted = 4.0 * value + 3.0 * one + 2.0 * two + three
        smooth = weighted * 0.1
        weighted -= total
        one, two, three, four = value, one, two, three
        if seen < _BEGIN:
            seen += 1
            continue
        # In-phase and quadrature components, each advanced by a quarter of a cycle.
        at2, at4, at3 = (place + 4) % _LINE, (place + 2) % _LINE, (place + 3) % _LINE
        scale = 0.075 * period + 0.54
        detrended = hilbert(smooth, state[_SMOOTH + at2], state[_SMOOTH + at4], state[_SMOOTH + place], scale)
        q1 = hilbert(detrended, state[_DETREND + at2], state[_DETREND + at4], state[_DETREND + place], scale)
        i1 = state[_DETREND + at3]
        ahead_i = hilbert(i1, state[_I1 + at2], state[_I1 + at4], state[_I1 + place], scale)
        ahead_q = hilbert(q1, state[_Q1 + at2], state[_Q1 + at4], state[_Q1 + place], scale)
        state[_SMOOTH + place] = smooth
        state[_DETREND + place] = detrended
        state[_Q1 + place] = q1
        state[_I1 + place] = i1
        place = place + 1 if place + 1 < _LINE else 0
        # The faster the phase falls, the slower the average.
        earlier = phase
        phase = math.atan(q1 / i1) * _DEGREES if i1 != 0.0 else 0.0
        weight = max(fast / max(earlier - phase, 1.0), slow)
        mama = weight * value + (1.0 - weight) * mama
        fama = 0.5 * weight * mama + (1.0 - 0.5 * weight) * fama
        if seen < _WARMUP:
            seen += 1
        else:
            out_mama[row] = mama
            out_fama[row] = fama
        # The period of the next row, from how far the phasor turned since the last.
        i2_before, q2_before = i2, q2
        i2 = 0.2 * (i1 - ahead_q) + 0.8 * i2
        q2 = 0.2 * (q1 + ahead_i) + 0.8 * q2
        real = 0.2 * (i2 * i2_before + q2 * q2_before) + 0.8 * real
        imaginary = 0.2 * (i2 * q2_before - q2 * i2_before) + 0.8 * imaginary
        turned = period
        if imaginary != 0.0 and real != 0.0:
            turned = 360.0 / (math.atan(imaginary / real) * _DEGREES)
        turned = max(min(turned, 1.5 * period), 0.67 * period)
        period = 0.2 * min(max(turned, 6.0), 50.0) + 0.8 * period
    state[_SEEN], state[_PLACE] = float(seen), float(place)
    state[_MAMA], state[_FAMA], state[_PERIOD], state[_PHASE] = mama, fama, period, phase
    state[_I2], state[_Q2], state[_RE], state[_IM] = i2, q2, real, imaginary
    state[_SUM], state[_WEIGHTED] = total, weighted
    state[_RECENT], state[_RECENT + 1], state[_RECENT + 2], state[_RECENT + 3] = one, two, three, four


@dataclass(frozen=True, slots=True)
class MAMA(Primitive):
    """MESA adaptive moving average, and the one that follows it: `mama += alpha * (value - mama)`, `fama += alpha / 2 * (mama - fama)`.

    `alpha = fast_limit / d`, not below `slow_limit`, where `d` is by how many degrees (1 or more) the phase of the dominant cycle fell
    since the row before. The phase is the arc tangent of quadrature over in-phase component of the values, smoothed over 4
    rows with weights 4 3 2 1; Hilbert transformers (0.0962 and 0.5769) give both, tuned to the period of the cycle, from 6 to 50
    rows, measured at the row before. Source: J. F. Ehlers, MESA and Trading Market Cycles, 2002; TA-Lib's MAMA.

    As in TA-Lib both averages begin at 0, 20 rows before the first value: fama starts far below, and is of no use for some
    100 rows. Where the source stands still the phase is that of rounding errors, the same ones as TA-Lib's; only where a value
    is 1e6 times a later one are the sums taken anew.

    Warm-up: 33 rows. NaN and infinity (and beyond 1e100): the row's values are NaN, and the averages go on at the next row as if it
    had not been.

    Attributes:
        fast_limit: largest alpha; above 0, at most 1.
        slow_limit: smallest alpha; above 0, at most fast_limit.
        source: field or indicator; both averages are in its units.
    """

    outputs: ClassVar[tuple[str, ...]] = ("mama", "fama")
    source_fields = ("source",)
    operation = mesa

    fast_limit: float = 0.5
    slow_limit: float = 0.05
    source: Source = "close"

    def __post_init__(self) -> None:
        fast = check_number("fast_limit", self.fast_limit, above=0.0)
        slow = check_number("slow_limit", self.slow_limit, above=0.0)
        if not slow <= fast <= 1.0:
            raise ValueError(f"slow_limit is at most fast_limit, and that at most 1, not {slow:g} and {fast:g}")
        set_checked(self, fast_limit=fast, slow_limit=slow)

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.fast_limit, self.slow_limit)

    @property
    def state_size(self) -> int:
        return _MAMA_SIZE

    @property
    def delay(self) -> int:
        return _WARMUP
