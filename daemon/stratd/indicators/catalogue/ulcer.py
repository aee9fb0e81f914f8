"""UlcerIndex: how deep and how long a price stays below its high."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stratd.core.kernel import operation
from stratd.indicators.base import Composite, Indicator, Primitive, Source, StreamInfo, check_period, set_checked
from stratd.indicators.catalogue.extremes import Highest
from stratd.indicators.catalogue.sma import SMA


@operation
def squared_drawdown(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """Squared distance from the highest value, in percent of it; NaN where that is not above zero."""
    values, highest, out = inputs[0], inputs[1], outputs[0]
    for row in range(start, stop):
        percent = 100.0 * (values[row] - highest[row]) / highest[row]
        out[row] = percent * percent if highest[row] > 0.0 else np.nan


@dataclass(frozen=True, slots=True)
class SquaredDrawdown(Primitive):
    """`(100 * (source - highest) / highest)**2`. NaN where either is NaN, and where the highest is not above zero."""

    source_fields = ("source", "highest")
    operation = squared_drawdown

    source: Source
    highest: Source

    def __post_init__(self) -> None:
        set_checked(self)

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return ()

    @property
    def state_size(self) -> int:
        return 0


@operation
def root(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """Square root; 0 of a negative value, which is what rounding can leave of a sum that was zero."""
    values, out = inputs[0], outputs[0]
    for row in range(start, stop):
        value = values[row]
        out[row] = math.sqrt(0.0 if value < 0.0 else value)


@dataclass(frozen=True, slots=True)
class Root(Primitive):
    """Square root of a value; 0 where it is negative. NaN where it is NaN."""

    source_fields = ("source",)
    operation = root

    source: Source

    def __post_init__(self) -> None:
        set_checked(self)

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return ()

    @property
    def state_size(self) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class UlcerIndex(Composite):
    """Ulcer index: the root of the mean of the last `period` squared drawdowns, in percent.

    The drawdown of a row is its distance from the highest close of the last `period` rows, in percent of that:
    `100 * (close - highest) / highest`. A market that only rises has an index of 0.

    Source: P. Martin and B. McCann, The Investor's Guide to Fidelity Funds, 1989 (P. Martin, 1987), for a window of `period` rows.

    Warm-up: `2 * period - 1` rows: `period` for the first drawdown, and `period` drawdowns. NaN and infinity: NaN while one is
    among these rows. Prices that are not above zero have no drawdown: NaN as well.

    Attributes:
        period: number of bars.
        source: field or indicator.
    """

    source_fields = ("source",)

    period: int = 14
    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period))

    def parts(self) -> Mapping[str, Indicator]:
        drawdown = SquaredDrawdown(self.source, Highest(self.period, self.source))
        return {"value": Root(SMA(self.period, drawdown))}
