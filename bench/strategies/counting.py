"""Counts its notifications, and does nothing else.

Hypothesis: none. Risks: none; it emits no signals.
"""

from __future__ import annotations

from typing import ClassVar

from stratd import Interval, Strategy, StrategyContext, StrategyParams


class CountingParams(StrategyParams):
    """No parameters of its own."""


class Counting(Strategy[CountingParams]):
    """Counts."""

    Params: ClassVar[type[StrategyParams]] = CountingParams

    def setup(self, ctx: StrategyContext) -> None:
        self.count = 0
        ctx.subscribe(self.params.symbols, self.params.interval)

    def on_bars(self, symbol: str, interval: Interval) -> None:
        self.count += 1
