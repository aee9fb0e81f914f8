"""Caretaker: stands in for a strategy that has left something open and is not in the session any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stratd.model import Interval
from stratd.strategy.base import Strategy
from stratd.strategy.context import StrategyContext
from stratd.strategy.params import StrategyParams


class Caretaker(Strategy[StrategyParams]):
    """Holds an account and decides nothing: its orders work on, its positions are marked.

    What the strategy saved is kept, so that it can go on when it is put back into the session.
    """

    def __init__(self, symbols: Sequence[str]) -> None:
        self.params = StrategyParams(symbols=tuple(symbols))
        self._state: dict[str, Any] = {}

    def setup(self, ctx: StrategyContext) -> None:
        """Subscribe to the symbols in which something is open."""
        ctx.subscribe(self.params.symbols, Interval("1m"))

    def on_bars(self, symbol: str, interval: Interval) -> None:
        """Nothing: the account is matched and marked without it."""

    def save_state(self) -> dict[str, Any]:
        """What the strategy had saved."""
        return self._state

    def restore_state(self, state: dict[str, Any]) -> None:
        """Keep what the strategy had saved."""
        self._state = state
