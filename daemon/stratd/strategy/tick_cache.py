"""TickCacheManager: begins and ends ticks."""

from __future__ import annotations

from stratd.model.dto import BaseContext
from stratd.strategy.context_provider import ITradingContextProvider


class TickCacheManager:
    """Turns a strategy's notifications into ticks of its context provider.

    A tick is one event time. It begins with the first notification of that time, is joined by further assets, and ends
    when event time advances or the strategy is torn down. Every conforming provider can be managed, also one that
    does not clear itself.

    Thread safety: owned by the strategy's thread, like the provider.

    Attributes:
        ticks: ticks begun so far.
    """

    __slots__ = ("_now", "_provider", "ticks")

    def __init__(self, provider: ITradingContextProvider) -> None:
        self._provider = provider
        self._now: int | None = None
        self.ticks = 0

    @property
    def now(self) -> int | None:
        """Event time of the current tick, int64 ns UTC; None between ticks."""
        return self._now

    def on_bars(self, now: int, close: float, symbol: str) -> BaseContext:
        """A bar of `symbol` has closed at `now` (int64 ns UTC). Call first in every `on_bars`.

        Raises:
            WorkforceError: event time went back.
        """
        if self._now is not None and now > self._now:
            self.end()
        self._provider.start_new_tick(now, close, symbol)
        if self._now is None:
            self._now = now
            self.ticks += 1
        return self._provider.get_base_context(symbol)

    def end(self) -> None:
        """End the current tick, if there is one."""
        if self._now is not None:
            self._now = None
            self._provider.clear()
