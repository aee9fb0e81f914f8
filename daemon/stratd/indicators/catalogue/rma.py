"""RMA: Wilder's moving average."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stratd.indicators.base import Primitive, Source, StreamInfo, check_period, set_checked
from stratd.indicators.catalogue.ema import EMA, ema


@dataclass(frozen=True, slots=True)
class RMA(Primitive):
    """Wilder's moving average: `rma = (rma * (period - 1) + value) / period`. It is what smooths RSI, ATR and ADX.

    The same recurrence as EMA's with a weight of `1 / period`, so it forgets as slowly as an EMA of `2 * period - 1` bars. The
    first value is the simple average of the first `period` values. Source: J. W. Wilder, New Concepts in Technical
    Trading Systems, 1978; TA-Lib's RMA.

    Warm-up: `period` rows. NaN and infinity: the row's value is NaN, and the average goes on at the next row as if it
    had not been.

    Attributes:
        period: number of bars.
        source: field or indicator; the average is in its units.
    """

    source_fields = ("source",)
    operation = ema

    period: int
    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period))

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.period, 1.0 / self.period, 0.0)

    @property
    def state_size(self) -> int:
        return EMA(self.period).state_size

    @property
    def delay(self) -> int:
        return self.period - 1
