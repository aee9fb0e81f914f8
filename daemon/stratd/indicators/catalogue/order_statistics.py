"""Median and Quantile of the last rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stratd.core.kernel import operation
from stratd.indicators.base import (
    Composite,
    Indicator,
    Primitive,
    Source,
    StreamInfo,
    check_number,
    check_period,
    set_checked,
)

# State.
_SEEN: Final = 0  # rows seen, up to period
_HELD: Final = 1  # usable values of the window
_SORTED: Final = 2  # these, in order: `period` cells

_LARGEST: Final = 1e300  # above it differences could overflow


@operation
def quantile(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """Quantile. Parameters: period, place in the sorted window (from 0, may lie between two)."""
    values, out = inputs[0], outputs[0]
    period = int(parameters[0])
    below = int(parameters[1])
    above = min(below + 1, period - 1)
    part = parameters[1] - below
    seen, held = int(state[_SEEN]), int(state[_HELD])
    for row in range(start, stop):
        # `free` is the place of the value that leaves, or behind the last.
        free = _SORTED + held
        if seen == period:
            leaves = values[row - period]
            if abs(leaves) <= _LARGEST:
                # A search without branches, which would be mispredicted half of the time.
                free = _SORTED
                left = held
                while left > 1:
                    half = left >> 1
                    free += half if state[free + half - 1] < leaves else 0
                    left -= half
                held -= 1
        else:
            seen += 1
        comes = values[row]
        last = _SORTED + held  # the last place in use, the free one included
        if abs(comes) <= _LARGEST:
            # What is between the free place and where it belongs moves over by one: eight at a time, then one by one.
            while free - 8 >= _SORTED and state[free - 8] > comes:
                for step in range(8):
                    state[free - step] = state[free - step - 1]
                free -= 8
            while free > _SORTED and state[free - 1] > comes:
                state[free] = state[free - 1]
                free -= 1
            while free + 8 <= last and state[free + 8] < comes:
                for step in range(8):
                    state[free + step] = state[free + step + 1]
                free += 8
            while free < last and state[free + 1] < comes:
                state[free] = state[free + 1]
                free += 1
            state[free] = comes
            held += 1
        else:
            for place in range(free, last):
                state[place] = state[place + 1]
        if held == period:
            lower = state[_SORTED + below]
            out[row] = lower + (state[_SORTED + above] - lower) * part
        else:
            out[row] = np.nan
    state[_SEEN], state[_HELD] = seen, held


@dataclass(frozen=True, slots=True)
class Quantile(Primitive):
    """Quantile of the last `period` values: 0 is the lowest, 0.5 the median, 1 the highest.

    Between two values it is interpolated in a straight line: method 7 of R. Hyndman and Y. Fan, Sample quantiles in statistical
    packages, 1996; as in pandas and numpy. The window is kept in order, so a row costs time in proportion to how far values
    move in it.

    Warm-up: `period` rows. NaN and infinity (and beyond 1e300): NaN while one is in the window.

    Attributes:
        period: number of bars.
        quantile: from 0 to 1.
        source: field or indicator.
    """

    source_fields = ("source",)
    operation = quantile

    period: int
    quantile: float = 0.5
    source: Source = "close"

    def __post_init__(self) -> None:
        part = check_number("quantile", self.quantile, at_least=0.0)
        if part > 1.0:
            raise ValueError(f"quantile is a number from 0 to 1, not {self.quantile!r}")
        set_checked(self, period=check_period(self.period), quantile=part)

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.period, self.quantile * (self.period - 1))

    @property
    def state_size(self) -> int:
        return _SORTED + self.period

    @property
    def delay(self) -> int:
        return self.period - 1

    @property
    def reach_back(self) -> int:
        return self.period


@dataclass(frozen=True, slots=True)
class Median(Composite):
    """Median of the last `period` values; of an even number of them, the mean of the two in the middle.

    Warm-up: `period` rows. NaN and infinity (and beyond 1e300): NaN while one is in the window.

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
        return {"value": Quantile(self.period, 0.5, self.source)}
