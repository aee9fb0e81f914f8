"""Highest, Lowest, Donchian, Aroon, WilliamsR: extremes of the last rows, and where a value lies between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from stratd.core.kernel import operation
from stratd.indicators.arithmetic import WeightedSum
from stratd.indicators.base import Composite, Indicator, Primitive, Source, StreamInfo, check_period, set_checked

# State.
_FINITE: Final = 0  # rows since the last that is not finite, up to period
_BEST: Final = 1  # the extreme of these, of the last `period`, times sign
_AGE: Final = 2  # rows since it came, the last time if it came more than once
_SIZE: Final = 3


@operation
def extreme(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """Extreme of a window. Parameters: period, sign (1: highest, -1: lowest), whether to give 100 * (1 - its age / (period - 1))."""
    values, out = inputs[0], outputs[0]
    period, sign, aged = int(parameters[0]), parameters[1], parameters[2] != 0.0
    finite, best, age = int(state[_FINITE]), state[_BEST], int(state[_AGE])
    scale = 100.0 / (period - 1.0)
    for row in range(start, stop):
        value = sign * values[row]
        if not abs(value) < np.inf:
            finite = 0
            out[row] = np.nan
            continue
        if value >= best or finite == 0:
            best = value
            age = 0
        else:
            age += 1
            if age >= period:
                # It has left the window. Four at a time, as each comparison waits for the one before.
                first = row - period + 1
                one = two = three = four = value
                while first + 3 < row:
                    one = max(one, sign * values[first])
                    two = max(two, sign * values[first + 1])
                    three = max(three, sign * values[first + 2])
                    four = max(four, sign * values[first + 3])
                    first += 4
                while first < row:
                    one = max(one, sign * values[first])
                    first += 1
                best = max(max(one, two), max(three, four))
                age = 0
                while sign * values[row - age] != best:
                    age += 1
        if finite < period:
            finite += 1
        if finite < period:
            out[row] = np.nan
        elif aged:
            out[row] = scale * (period - 1 - age)
        else:
            out[row] = sign * best
    state[_FINITE], state[_BEST], state[_AGE] = finite, best, age


@dataclass(frozen=True, slots=True)
class Highest(Primitive):
    """The highest of the last `period` values, this row's included; of `high` unless `source` says otherwise. TA-Lib's MAX.

    The channel that a bar breaks out of does not hold the bar itself: compare with the value of the row before, `handle[-2]`.

    Only the extreme and its age are kept; when it leaves, the window is looked through anew. So a row of a market that moves
    up and down costs little, and one of a long fall costs time in proportion to `period`.

    Warm-up: `period` rows. NaN and infinity: NaN while one is in the window.

    Attributes:
        period: number of bars.
        source: field or indicator.
    """

    source_fields = ("source",)
    operation = extreme

    period: int
    source: Source = "high"

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period))

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.period, 1.0, 0.0)

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
class Lowest(Primitive):
    """The lowest of the last `period` values, this row's included; of `low` unless `source` says otherwise. TA-Lib's MIN.

    Everything else as for `Highest`.

    Attributes:
        period: number of bars.
        source: field or indicator.
    """

    source_fields = ("source",)
    operation = extreme

    period: int
    source: Source = "low"

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period))

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.period, -1.0, 0.0)

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
class Donchian(Composite):
    """Donchian channel (R. Donchian): `upper` = highest high, `lower` = lowest low, `middle` half way between them.

    A channel holds its own bar: a breakout is a close beyond the bands of the row before, `handle.upper[-2]`.

    Warm-up: `period` rows. NaN and infinity: NaN while one is in the window.

    Attributes:
        period: number of bars.
    """

    outputs: ClassVar[tuple[str, ...]] = ("middle", "upper", "lower")

    period: int = 20

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period))

    def parts(self) -> Mapping[str, Indicator]:
        upper, lower = Highest(self.period), Lowest(self.period)
        return {"middle": WeightedSum(upper, lower, 0.5, 0.5), "upper": upper, "lower": lower}


@dataclass(frozen=True, slots=True)
class SinceExtreme(Primitive):
    """100 where the extreme of the last `period + 1` values has just come, 0 where it came `period` rows ago: a line of Aroon.

    Attributes:
        period: rows after which it is 0.
        source: field or indicator.
        highest: the highest; else the lowest.
    """

    source_fields = ("source",)
    operation = extreme

    period: int
    source: Source
    highest: bool

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period))

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.period + 1.0, 1.0 if self.highest else -1.0, 1.0)

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
class Aroon(Composite):
    """Aroon (T. Chande, 1995): `up = 100 * (period - rows since the highest high) / period`, `down` of the lowest low,
    `oscillator = up - down`. TA-Lib's AROON and AROONOSC.

    The window has `period + 1` rows; of equal extremes the newest counts. So in a market without range both lines are 100.

    Warm-up: `period + 1` rows. NaN and infinity: NaN while one is in the window.

    Attributes:
        period: number of bars.
    """

    outputs: ClassVar[tuple[str, ...]] = ("up", "down", "oscillator")

    period: int = 14

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period, 2))

    def parts(self) -> Mapping[str, Indicator]:
        up, down = SinceExtreme(self.period, "high", True), SinceExtreme(self.period, "low", False)
        return {"up": up, "down": down, "oscillator": WeightedSum(up, down, 1.0, -1.0)}


@operation
def place_in_range(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """100 times the distance of a value from one end of a range, in parts of the range; 0 where it is up to `least`."""
    values, end, highest, lowest, out = inputs[0], inputs[1], inputs[2], inputs[3], outputs[0]
    least = parameters[0]
    for row in range(start, stop):
        # Without a branch: many rows at once.
        whole = highest[row] - lowest[row]
        distance = values[row] - end[row]
        nothing = 0.0 * distance  # NaN where the distance is not finite
        out[row] = (nothing if whole <= least else distance + nothing) / (1.0 if whole <= least else whole / 100.0) + 0.0


@dataclass(frozen=True, slots=True)
class PlaceInRange(Primitive):
    """`100 * (source - end) / (highest - lowest)`; 0 where the range is. NaN where any is NaN or infinite.

    Attributes:
        source: field or indicator.
        end: from where distances are taken: the highest or the lowest.
        highest, lowest: the range.
        least: ranges up to it are rounding errors of zero.
    """

    source_fields = ("source", "end", "highest", "lowest")
    operation = place_in_range

    source: Source
    end: Source
    highest: Source
    lowest: Source
    least: float = 0.0

    def __post_init__(self) -> None:
        set_checked(self)

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.least,)

    @property
    def state_size(self) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class WilliamsR(Composite):
    """Williams %R (L. Williams, 1973): `100 * (close - highest high) / (highest high - lowest low)`, from -100 to 0. TA-Lib's WILLR.

    0 where the range is zero, as in TA-Lib. Warm-up: `period` rows. NaN and infinity: NaN while one is in the window.

    Attributes:
        period: number of bars.
    """

    period: int = 14

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period, 2))

    def parts(self) -> Mapping[str, Indicator]:
        highest, lowest = Highest(self.period), Lowest(self.period)
        return {"value": PlaceInRange("close", highest, highest, lowest)}
