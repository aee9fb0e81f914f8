"""DEMA, TEMA, T3, TRIX: averages of averages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stratd.core.kernel import operation
from stratd.indicators.arithmetic import WeightedSum
from stratd.indicators.base import Composite, Indicator, Primitive, Source, StreamInfo, check_number, check_period, set_checked
from stratd.indicators.catalogue.ema import EMA


@dataclass(frozen=True, slots=True)
class DEMA(Composite):
    """Double exponential moving average: `2 * ema1 - ema2`, where `ema1 = EMA(source)` and `ema2 = EMA(ema1)`.

    Less lag than an EMA of the same period. Source: P. Mulloy, Stocks & Commodities 12:1, 1994; TA-Lib's DEMA. Its averages are
    the same columns as those of EMA, TEMA and TRIX.

    Warm-up: `2 * (period - 1) + 1` rows. NaN: as for EMA.

    Attributes:
        period: number of bars.
        source: field or indicator; the average is in its units.
    """

    source_fields = ("source",)

    period: int
    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period))

    def parts(self) -> Mapping[str, Indicator]:
        first, second, _ = _chain(self.period, self.source)
        return {"value": WeightedSum(first, second, 2.0, -1.0)}


@dataclass(frozen=True, slots=True)
class TEMA(Composite):
    """Triple exponential moving average: `3 * ema1 - 3 * ema2 + ema3`, each `ema` the EMA of the one before.

    Source: P. Mulloy, Stocks & Commodities 12:1, 1994; TA-Lib's TEMA. Not to be confused with T3, nor with the `ema3` that TRIX
    is of.

    Warm-up: `3 * (period - 1) + 1` rows. NaN: as for EMA.

    Attributes:
        period: number of bars.
        source: field or indicator; the average is in its units.
    """

    source_fields = ("source",)

    period: int
    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period))

    def parts(self) -> Mapping[str, Indicator]:
        first, second, third = _chain(self.period, self.source)
        return {"value": WeightedSum(WeightedSum(first, second, 3.0, -3.0), third)}


@dataclass(frozen=True, slots=True)
class TRIX(Composite):
    """Percent change from row to row of a triple EMA: `(ema3 / ema3[1 row ago] - 1) * 100`. 0 where the earlier one is 0.

    Source: J. Hutson, Stocks & Commodities 1:5, 1983; TA-Lib's TRIX.

    Warm-up: `3 * (period - 1) + 2` rows. NaN and infinity: the row's value is NaN; the next row's is the change from the last row
    that had an average.

    Attributes:
        period: number of bars of each EMA.
        source: field or indicator.
    """

    source_fields = ("source",)

    period: int = 30
    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period))

    def parts(self) -> Mapping[str, Indicator]:
        return {"value": PercentStep(_chain(self.period, self.source)[2])}


def _chain(period: int, source: Source) -> tuple[EMA, EMA, EMA]:
    first = EMA(period, source)
    second = EMA(period, first)
    return first, second, EMA(period, second)


# State of PercentStep.
_HAS: Final = 0  # 1 once there was a finite row
_LAST: Final = 1  # the last one's value


@operation
def percent_step(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """Percent change from the last finite row."""
    values, out = inputs[0], outputs[0]
    has, last = state[_HAS], state[_LAST]
    for row in range(start, stop):
        value = values[row]
        out[row] = np.nan
        if np.isfinite(value):
            if has != 0.0:
                out[row] = (value / last - 1.0) * 100.0 if last != 0.0 else 0.0
            has, last = 1.0, value
    state[_HAS], state[_LAST] = has, last


@dataclass(frozen=True, slots=True)
class PercentStep(Primitive):
    """Percent change from the last finite row, of which TRIX is made. NaN in rows that are not finite; 0 where the earlier is 0."""

    source_fields = ("source",)
    operation = percent_step

    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self)

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return ()

    @property
    def state_size(self) -> int:
        return 2

    @property
    def delay(self) -> int:
        return 1


_STAGES: Final = 6
# State of T3: values that each stage has seen, up to period, then each stage's average; before its warm-up the sum.
_AVERAGE: Final = _STAGES


@operation
def t3(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """T3. Parameters: period, weight of the newest value, factors of the third to the sixth average."""
    values, out = inputs[0], outputs[0]
    period, weight = parameters[0], parameters[1]
    c3, c4, c5, c6 = parameters[2], parameters[3], parameters[4], parameters[5]
    row = start
    while row < stop and state[_STAGES - 1] < period:
        value = values[row]
        out[row] = np.nan
        stage = 0 if np.isfinite(value) else _STAGES
        while stage < _STAGES:
            at = _AVERAGE + stage
            if state[stage] < period:
                state[stage] += 1.0
                state[at] += value
                if state[stage] < period:
                    break
                state[at] /= period
            else:
                state[at] = (value - state[at]) * weight + state[at]
            value = state[at]
            stage += 1
            if stage == _STAGES:
                out[row] = c3 * state[at - 3] + c4 * state[at - 2] + c5 * state[at - 1] + c6 * state[at]
        row += 1
    e1, e2, e3 = state[_AVERAGE], state[_AVERAGE + 1], state[_AVERAGE + 2]
    e4, e5, e6 = state[_AVERAGE + 3], state[_AVERAGE + 4], state[_AVERAGE + 5]
    for at in range(row, stop):
        value = values[at]
        if np.isfinite(value):
            e1 = (value - e1) * weight + e1
            e2 = (e1 - e2) * weight + e2
            e3 = (e2 - e3) * weight + e3
            e4 = (e3 - e4) * weight + e4
            e5 = (e4 - e5) * weight + e5
            e6 = (e5 - e6) * weight + e6
            out[at] = c3 * e3 + c4 * e4 + c5 * e5 + c6 * e6
        else:
            out[at] = np.nan
    state[_AVERAGE], state[_AVERAGE + 1], state[_AVERAGE + 2] = e1, e2, e3
    state[_AVERAGE + 3], state[_AVERAGE + 4], state[_AVERAGE + 5] = e4, e5, e6


@dataclass(frozen=True, slots=True)
class T3(Primitive):
    """Tillson's T3: a smoothed DEMA, three times over.

    With `gd(x) = (1 + v) * EMA(x) - v * EMA(EMA(x))`, it is `gd(gd(gd(source)))`; `v` is `volume_factor`. Multiplied out it is a
    weighted sum of the third to sixth of six EMAs in a row: `c3 * e3 + c4 * e4 + c5 * e5 + c6 * e6`. A factor of 0 gives the
    triple EMA. Source: T. Tillson, Stocks & Commodities 16:1, 1998; TA-Lib's T3.

    Warm-up: `6 * (period - 1) + 1` rows. NaN and infinity: the row's value is NaN, and the average goes on at the next row as if
    it had not been.

    Attributes:
        period: number of bars of each EMA.
        volume_factor: how far it leans against its lag, from 0 to 1.
        source: field or indicator; the average is in its units.
    """

    source_fields = ("source",)
    operation = t3

    period: int = 5
    volume_factor: float = 0.7
    source: Source = "close"

    def __post_init__(self) -> None:
        factor = check_number("volume_factor", self.volume_factor, at_least=0.0)
        if factor > 1.0:
            raise ValueError(f"volume_factor is a number from 0 to 1, not {self.volume_factor!r}")
        set_checked(self, period=check_period(self.period), volume_factor=factor)

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        v = self.volume_factor
        c3 = (1.0 + v) ** 3
        c4 = -3.0 * v * (1.0 + v) ** 2
        c5 = 3.0 * v * v * (1.0 + v)
        return (self.period, 2.0 / (self.period + 1.0), c3, c4, c5, -(v**3))

    @property
    def state_size(self) -> int:
        return 2 * _STAGES

    @property
    def delay(self) -> int:
        return _STAGES * (self.period - 1)
