"""Prices of a bar as one number: typical, median, weighted, OHLC4."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from stratd.core.kernel import operation
from stratd.indicators.base import Primitive, Source, StreamInfo


@operation
def typical_price(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """`(high + low + close) / 3`. Inputs: high, low, close."""
    high, low, close, out = inputs[0], inputs[1], inputs[2], outputs[0]
    for row in range(start, stop):
        price = (high[row] + low[row] + close[row]) / 3.0
        out[row] = price if np.isfinite(price) else np.nan


@operation
def median_price(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """`(high + low) / 2`. Inputs: high, low."""
    high, low, out = inputs[0], inputs[1], outputs[0]
    for row in range(start, stop):
        price = (high[row] + low[row]) / 2.0
        out[row] = price if np.isfinite(price) else np.nan


@operation
def weighted_price(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """`(high + low + 2 * close) / 4`. Inputs: high, low, close."""
    high, low, close, out = inputs[0], inputs[1], inputs[2], outputs[0]
    for row in range(start, stop):
        price = (high[row] + low[row] + close[row] * 2.0) / 4.0
        out[row] = price if np.isfinite(price) else np.nan


@operation
def ohlc4(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """`(open + high + low + close) / 4`. Inputs: high, low, close, open: the order in which TA-Lib adds."""
    high, low, close, first, out = inputs[0], inputs[1], inputs[2], inputs[3], outputs[0]
    for row in range(start, stop):
        price = (high[row] + low[row] + close[row] + first[row]) / 4.0
        out[row] = price if np.isfinite(price) else np.nan


@dataclass(frozen=True, slots=True)
class BarPrice(Primitive):
    """What the prices of this file share: computed from whole bars, each row by itself."""

    fields: ClassVar[tuple[Source, ...]]

    @property
    def sources(self) -> tuple[Source, ...]:
        return self.fields

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return ()

    @property
    def state_size(self) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class TypicalPrice(BarPrice):
    """Typical price: `(high + low + close) / 3`, in the units of the price.

    Warm-up: 1 row. NaN and infinity: NaN where one of the three is not finite. Source: TA-Lib's TYPPRICE.
    """

    fields = ("high", "low", "close")
    operation = typical_price


@dataclass(frozen=True, slots=True)
class MedianPrice(BarPrice):
    """Middle of the bar: `(high + low) / 2`, in the units of the price.

    Warm-up: 1 row. NaN and infinity: NaN where one of the two is not finite. Source: TA-Lib's MEDPRICE.
    """

    fields = ("high", "low")
    operation = median_price


@dataclass(frozen=True, slots=True)
class WeightedPrice(BarPrice):
    """Price with a double weight of the close: `(high + low + 2 * close) / 4`, in the units of the price.

    Warm-up: 1 row. NaN and infinity: NaN where one of the three is not finite. Source: TA-Lib's WCLPRICE.
    """

    fields = ("high", "low", "close")
    operation = weighted_price


@dataclass(frozen=True, slots=True)
class OHLC4(BarPrice):
    """Average of a bar's four prices: `(open + high + low + close) / 4`, in the units of the price.

    Warm-up: 1 row. NaN and infinity: NaN where one of the four is not finite. Source: TA-Lib's AVGPRICE.
    """

    fields = ("high", "low", "close", "open")
    operation = ohlc4
