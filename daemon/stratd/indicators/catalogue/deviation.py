"""StdDev, Variance, ZScore, Bollinger: how far values lie from their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from stratd.core.kernel import operation
from stratd.indicators.arithmetic import Ratio
from stratd.indicators.base import Composite, Indicator, Primitive, Source, StreamInfo, check_number, check_period, set_checked
from stratd.indicators.catalogue.moments import Moments


@dataclass(frozen=True, slots=True)
class StdDev(Composite):
    """Standard deviation of the last `period` values, of the population: `sqrt(sum((value - mean)**2) / period)`.

    TA-Lib's STDDEV. See `Moments` for how it is summed; equal values give exactly 0.

    Warm-up: `period` rows. NaN and infinity: NaN while one is in the window.

    Attributes:
        period: number of bars.
        source: field or indicator.
    """

    source_fields = ("source",)

    period: int
    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period, 2))

    def parts(self) -> Mapping[str, Indicator]:
        return {"value": Moments(self.period, self.source).output("deviation")}


@operation
def square(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """Square of a value."""
    values, out = inputs[0], outputs[0]
    for row in range(start, stop):
        out[row] = values[row] * values[row]


@dataclass(frozen=True, slots=True)
class Square(Primitive):
    """Square of a value. NaN where it is NaN."""

    source_fields = ("source",)
    operation = square

    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self)

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return ()

    @property
    def state_size(self) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class Variance(Composite):
    """Variance of the last `period` values, of the population: `sum((value - mean)**2) / period`, the square of StdDev.

    TA-Lib's VAR. Warm-up: `period` rows. NaN and infinity: NaN while one is in the window.

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
        return {"value": Square(Moments(self.period, self.source).output("deviation"))}


@operation
def distance(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """`scale * (value - mean) / deviation + constant`; the constant where the deviation is zero."""
    values, mean, deviation, out = inputs[0], inputs[1], inputs[2], outputs[0]
    scale, constant = parameters[0], parameters[1]
    for row in range(start, stop):
        below = deviation[row]
        # Without a branch: many rows at once.
        quotient = scale * (values[row] - mean[row]) / (below if below != 0.0 else 1.0) + constant
        out[row] = quotient if below != 0.0 else constant


@dataclass(frozen=True, slots=True)
class Distance(Primitive):
    """`scale * (value - mean) / deviation + constant`; the constant where the deviation is zero. NaN where any is NaN."""

    source_fields = ("source", "mean", "deviation")
    operation = distance

    source: Source
    mean: Source
    deviation: Source
    scale: float = 1.0
    constant: float = 0.0

    def __post_init__(self) -> None:
        set_checked(self)

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.scale, self.constant)

    @property
    def state_size(self) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class ZScore(Composite):
    """How many standard deviations a value lies above the mean of the last `period`: `(value - SMA) / StdDev`.

    0 where all values in the window are equal. Warm-up: `period` rows. NaN and infinity: NaN while one is in the window.

    Attributes:
        period: number of bars.
        source: field or indicator.
    """

    source_fields = ("source",)

    period: int
    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period, 2))

    def parts(self) -> Mapping[str, Indicator]:
        both = Moments(self.period, self.source)
        return {"value": Distance(self.source, both.output("mean"), both.output("deviation"))}


@operation
def bands(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """Mean and deviation to `mean + width * deviation` and `mean - width * deviation`."""
    mean, deviation, upper, lower = inputs[0], inputs[1], outputs[0], outputs[1]
    width = parameters[0]
    for row in range(start, stop):
        half = width * deviation[row]
        upper[row] = mean[row] + half
        lower[row] = mean[row] - half


@dataclass(frozen=True, slots=True)
class Bands(Primitive):
    """`mean + width * deviation` and `mean - width * deviation`. NaN where either is NaN."""

    outputs: ClassVar[tuple[str, ...]] = ("upper", "lower")
    source_fields = ("mean", "deviation")
    operation = bands

    mean: Source
    deviation: Source
    width: float = 2.0

    def __post_init__(self) -> None:
        set_checked(self)

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.width,)

    @property
    def state_size(self) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class Bollinger(Composite):
    """Bollinger bands (J. Bollinger, 1983): `middle = SMA`, `upper` and `lower = middle +- width * StdDev`. TA-Lib's BBANDS.

    Also `percent_b = (value - lower) / (upper - lower)`, which is 0 at the lower band and 1 at the upper one, and
    `width = (upper - lower) / middle`. Where all values in the window are equal, percent_b is 0.5; where the middle is
    zero, width is NaN. See `Moments` for how sums are taken; bands of other widths share them.

    Warm-up: `period` rows. NaN and infinity: NaN while one is in the window.

    Attributes:
        period: number of bars.
        width: standard deviations from the middle to a band.
        source: field or indicator.
    """

    outputs: ClassVar[tuple[str, ...]] = ("middle", "upper", "lower", "percent_b", "width")
    source_fields = ("source",)

    period: int = 20
    width: float = 2.0
    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period, 2), width=check_number("width", self.width, above=0.0))

    def parts(self) -> Mapping[str, Indicator]:
        both = Moments(self.period, self.source)
        middle, deviation = both.output("mean"), both.output("deviation")
        outer = Bands(middle, deviation, self.width)
        return {
            "middle": middle,
            "upper": outer.output("upper"),
            "lower": outer.output("lower"),
            "percent_b": Distance(self.source, middle, deviation, 0.5 / self.width, 0.5),
            "width": Ratio(deviation, middle, 2.0 * self.width),
        }
