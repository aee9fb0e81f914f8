"""CCI: commodity channel index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stratd.core.kernel import operation
from stratd.indicators.base import Primitive, Source, StreamInfo, check_period, set_checked
from stratd.indicators.catalogue.prices import TypicalPrice

# State.
_USABLE: Final = 0  # rows since the last that cannot be used, up to period
_SIZE: Final = 1

_LARGEST: Final = 1e300  # above it sums could overflow


@operation
def cci(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """CCI. Parameters: period."""
    values, out = inputs[0], outputs[0]
    period = int(parameters[0])
    usable = int(state[_USABLE])
    for row in range(start, stop):
        value = values[row]
        if not abs(value) <= _LARGEST:
            usable = 0
            out[row] = np.nan
            continue
        if usable < period:
            usable += 1
            if usable < period:
                out[row] = np.nan
                continue
        # Sums are of distances from this row's value, so that equal values give exactly zero; four at a time, as each
        # addition waits for the one before.
        first = row - period + 1
        one, two, three, four = 0.0, 0.0, 0.0, 0.0
        at = first
        while at + 3 <= row:
            one += value - values[at]
            two += value - values[at + 1]
            three += value - values[at + 2]
            four += value - values[at + 3]
            at += 4
        while at <= row:
            one += value - values[at]
            at += 1
        above = ((one + two) + (three + four)) / period  # the value above the mean
        one, two, three, four = 0.0, 0.0, 0.0, 0.0
        at = first
        while at + 3 <= row:
            one += abs((values[at] - value) + above)
            two += abs((values[at + 1] - value) + above)
            three += abs((values[at + 2] - value) + above)
            four += abs((values[at + 3] - value) + above)
            at += 4
        while at <= row:
            one += abs((values[at] - value) + above)
            at += 1
        spread = ((one + two) + (three + four)) / period
        out[row] = above / (0.015 * spread) if spread > 0.0 else 0.0
    state[_USABLE] = usable


@dataclass(frozen=True, slots=True)
class CCI(Primitive):
    """Commodity channel index: `(price - mean) / (0.015 * mean absolute deviation)`, both of the last `period` typical prices.

    0 where all prices in the window are equal. Each window is summed anew, so a row costs time in proportion to `period`.

    Source: D. Lambert, 1980; TA-Lib's CCI.

    Warm-up: `period` rows. NaN and infinity: NaN while one is in the window.

    Attributes:
        period: number of bars.
        source: field or indicator; the typical price unless given.
    """

    source_fields = ("source",)
    operation = cci

    period: int = 14
    source: Source = TypicalPrice()  # noqa: RUF009  # immutable

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period, 2))

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
