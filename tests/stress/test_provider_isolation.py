"""Many strategies' threads, one asset, the same times: nobody sees another's DTOs."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import pytest

from stratd.errors import WorkforceError
from stratd.strategy.context_provider import TradingContextProvider
from stratd.strategy.tick_cache import TickCacheManager

THREADS = 16
TICKS = 150
ASSET = "BTCUSD"


@dataclass(frozen=True, slots=True)
class CommonDTO:
    """A type that all strategies use."""

    owner: int
    tick: int


def own_regime_type(number: int) -> Any:
    """A `MarketRegimeDTO` of one strategy's own: the same name, another class."""

    @dataclass(frozen=True, slots=True)
    class MarketRegimeDTO:
        owner: int
        tick: int

    MarketRegimeDTO.__module__ = f"strategy_{number}"
    return MarketRegimeDTO


@dataclass
class StubWorker:
    name: str
    requires: tuple[type, ...]
    produces: tuple[type, ...]


def faults_of(providers: list[TradingContextProvider]) -> list[str]:
    """Runs one thread per provider, in lock step; gives what any of them saw that it should not have seen."""
    regimes = [own_regime_type(number) for number in range(THREADS)]
    barrier = threading.Barrier(THREADS)
    faults: list[str] = []

    def run(number: int) -> None:
        provider = providers[number]
        ticks = TickCacheManager(provider)
        mine = (regimes[number], CommonDTO)
        worker = StubWorker(f"worker_{number}", mine, mine)
        for tick in range(TICKS):
            barrier.wait()
            try:
                ticks.on_bars(1_000 + tick, 100.0 + number, ASSET)
                for dto_type in mine:
                    provider.set_result_dto(worker, dto_type(number, tick))
            except WorkforceError as error:
                faults.append(f"{number}: {error}")
            # Everyone has written before anyone looks.
            barrier.wait()
            for other, regime in enumerate(regimes):
                if other != number and provider.has_dto(regime, ASSET):
                    faults.append(f"{number} sees the regime of {other}")
            try:
                found = provider.get_required_dtos(worker)
                price = provider.get_base_context().current_price
            except WorkforceError as error:
                faults.append(f"{number}: {error}")
                continue
            if any((dto.owner, dto.tick) != (number, tick) for dto in found.values()):
                faults.append(f"{number} reads {found}")
            if price != 100.0 + number:
                faults.append(f"{number} reads another's price")

    threads = [threading.Thread(target=run, args=(number,), name=f"strategy-{number}") for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    return faults


def test_providers_of_many_threads_never_show_another_strategys_dtos() -> None:
    assert faults_of([TradingContextProvider() for _ in range(THREADS)]) == []


@pytest.mark.parametrize("sharing", [2, THREADS])
def test_provider_that_is_shared_by_mistake_is_caught_by_the_same_check(sharing: int) -> None:
    shared = TradingContextProvider()
    providers = [shared if number < sharing else TradingContextProvider() for number in range(THREADS)]
    faults = faults_of(providers)
    assert any("sees the regime of" in fault for fault in faults)
    assert all(int(fault.split()[0].rstrip(":")) < sharing for fault in faults)
