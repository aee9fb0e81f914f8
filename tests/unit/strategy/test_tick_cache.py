"""TickCacheManager."""

from __future__ import annotations

import pytest

from stratd.errors import WorkforceError
from stratd.model.dto import BaseContext
from stratd.strategy.context_provider import TradingContextProvider
from stratd.strategy.tick_cache import TickCacheManager


class RecordingProvider(TradingContextProvider):
    """Notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def start_new_tick(self, timestamp: int, current_price: float, asset: str) -> None:
        self.told.append(f"start {timestamp} {asset}")
        self._timestamp = max(timestamp, self._timestamp)  # keeps its own hands off clearing
        super().start_new_tick(timestamp, current_price, asset)

    def clear(self) -> None:
        self.told.append("clear")
        super().clear()


def test_tick_cache_ends_a_tick_when_event_time_advances() -> None:
    provider = RecordingProvider()
    ticks = TickCacheManager(provider)
    for now, symbol in ((10, "AAA"), (10, "BBB"), (20, "AAA"), (30, "BBB")):
        ticks.on_bars(now, 1.0, symbol)
    ticks.end()
    assert provider.told == ["start 10 AAA", "start 10 BBB", "clear", "start 20 AAA", "clear", "start 30 BBB", "clear"]
    assert ticks.ticks == 3


def test_on_bars_gives_the_base_context_of_its_own_asset() -> None:
    ticks = TickCacheManager(TradingContextProvider())
    assert ticks.on_bars(10, 1.0, "AAA") == BaseContext(10, 1.0, "AAA")
    assert ticks.on_bars(10, 2.0, "BBB") == BaseContext(10, 2.0, "BBB")
    assert ticks.now == 10


def test_on_bars_with_earlier_time_is_refused_and_leaves_the_tick() -> None:
    provider = TradingContextProvider()
    ticks = TickCacheManager(provider)
    ticks.on_bars(10, 1.0, "AAA")
    with pytest.raises(WorkforceError, match="does not go back"):
        ticks.on_bars(9, 1.0, "AAA")
    assert ticks.now == 10
    assert provider.has_dto(BaseContext, "AAA")


def test_end_without_tick_does_nothing_and_twice_is_once() -> None:
    provider = RecordingProvider()
    ticks = TickCacheManager(provider)
    ticks.end()
    ticks.on_bars(10, 1.0, "AAA")
    ticks.end()
    ticks.end()
    assert provider.told == ["start 10 AAA", "clear"]
    assert ticks.now is None
