"""Ticks: prices as whole numbers of an instrument's smallest step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stratd.core.kernel import operation
from stratd.indicators.base import Primitive, Source, StreamInfo, set_checked

MOST_TICKS: Final = 2.0**40
MOST_ROWS: Final = 2**13  # so many of them can be summed exactly in a float64


@operation
def ticks(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """Whole ticks (a whole float64); NaN where a price is none to 1e-9 of a tick, or is too large to be summed exactly."""
    prices, out = inputs[0], outputs[0]
    tick = parameters[0]
    for row in range(start, stop):
        quotient = prices[row] / tick
        rounded = np.rint(quotient)
        # The quotient of two rounded numbers is itself uncertain by about 2**-51 of its size. What is further off than that is
        # a price between two ticks, however near to one: it was meant.
        tolerance = 1e-9 + abs(quotient) * 2.0**-50
        whole = abs(quotient - rounded) <= tolerance and abs(rounded) <= MOST_TICKS
        out[row] = rounded if whole else np.nan


@dataclass(frozen=True, slots=True)
class Ticks(Primitive):
    """A price in whole ticks, for sums that are exact. Other indicators use it; instruments without a tick have none."""

    source_fields = ("source",)

    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self)

    operation = ticks

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (stream.tick or 0.0,)

    @property
    def state_size(self) -> int:
        return 0


def has_ticks(source: Source, stream: StreamInfo, rows: int) -> bool:
    """Whether sums of so many rows of a source can be taken in whole ticks."""
    return stream.tick is not None and source in ("open", "high", "low", "close") and rows <= MOST_ROWS
