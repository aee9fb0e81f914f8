"""MACD: moving average convergence/divergence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from stratd.indicators.arithmetic import WeightedSum
from stratd.indicators.base import Composite, Indicator, Source, check_whole, set_checked
from stratd.indicators.catalogue.ema import EMA


@dataclass(frozen=True, slots=True)
class MACD(Composite):
    """Moving average convergence/divergence (G. Appel, 1979): `macd = EMA(fast) - EMA(slow)`, `signal` = EMA of it, `histogram = macd - signal`.

    Its averages are the same columns as EMAs that somebody else uses, each beginning as early as it can. In TA-Lib's MACD the
    fast average begins only where the slow one does: `aligned=True` gives that; the two differ by less than 1e-9 after
    some 10 times `fast` rows.

    Warm-up: `slow` rows for macd, `slow + signal - 1` for signal and histogram. NaN: as for EMA.

    Attributes:
        fast, slow, signal: numbers of bars.
        source: field or indicator.
        aligned: begin both averages at the same row, as TA-Lib does.
    """

    outputs: ClassVar[tuple[str, ...]] = ("macd", "signal", "histogram")
    source_fields = ("source",)

    fast: int = 12
    slow: int = 26
    signal: int = 9
    source: Source = "close"
    aligned: bool = False

    def __post_init__(self) -> None:
        fast, slow, signal = (check_whole(name, getattr(self, name), 1) for name in ("fast", "slow", "signal"))
        if fast >= slow:
            raise ValueError(f"fast is below slow, not {fast} and {slow}")
        set_checked(self, fast=fast, slow=slow, signal=signal)

    def parts(self) -> Mapping[str, Indicator]:
        fast = EMA(self.fast, self.source, self.slow - self.fast if self.aligned else 0)
        macd = WeightedSum(fast, EMA(self.slow, self.source), 1.0, -1.0)
        signal = EMA(self.signal, macd)
        return {"macd": macd, "signal": signal, "histogram": WeightedSum(macd, signal, 1.0, -1.0)}
