"""PPO: percentage price oscillator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from stratd.indicators.arithmetic import Ratio, WeightedSum
from stratd.indicators.base import Composite, Indicator, Source, check_whole, set_checked
from stratd.indicators.catalogue.ema import EMA


@dataclass(frozen=True, slots=True)
class PPO(Composite):
    """Percentage price oscillator: `ppo = (EMA(fast) - EMA(slow)) / EMA(slow) * 100`, `signal` = EMA of it, `histogram = ppo - signal`.

    MACD in percent, so that instruments of different prices compare. 0 where EMA(slow) is 0. Its averages, and their
    difference, are the same columns as those of EMA and MACD. `ppo` is TA-Lib's PPO with `matype=1`, which begins each average as
    early as it can, unlike its MACD; TA-Lib has no signal of it.

    Warm-up: `slow` rows for ppo, `slow + signal - 1` for signal and histogram. NaN: as for EMA.

    Attributes:
        fast, slow, signal: numbers of bars.
        source: field or indicator; the three outputs are in percent of its average.
    """

    outputs: ClassVar[tuple[str, ...]] = ("ppo", "signal", "histogram")
    source_fields = ("source",)

    fast: int = 12
    slow: int = 26
    signal: int = 9
    source: Source = "close"

    def __post_init__(self) -> None:
        fast, slow, signal = (check_whole(name, getattr(self, name), 1) for name in ("fast", "slow", "signal"))
        if fast >= slow:
            raise ValueError(f"fast is below slow, not {fast} and {slow}")
        set_checked(self, fast=fast, slow=slow, signal=signal)

    def parts(self) -> Mapping[str, Indicator]:
        slow = EMA(self.slow, self.source)
        macd = WeightedSum(EMA(self.fast, self.source), slow, 1.0, -1.0)
        ppo = Ratio(macd, slow, 100.0, undefined=0.0)
        signal = EMA(self.signal, ppo)
        return {"ppo": ppo, "signal": signal, "histogram": WeightedSum(ppo, signal, 1.0, -1.0)}
