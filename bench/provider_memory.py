"""Memory of a TradingContextProvider, one per strategy: the claim is about 280 bytes, plus its cache.

Measured with tracemalloc over 10,000 providers: bytes allocated, divided by their number. What providers share (classes,
symbol names, workers) is made before measuring starts. The baseline of the empty one is a class of the same
fields without slots; that of the filled one is a bare dict of a dict that holds equal DTOs, with nothing around it.

    python bench/provider_memory.py
"""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, make_dataclass
from typing import Any

from stratd.model.dto import BaseContext
from stratd.strategy.context_provider import TradingContextProvider

COUNT = 10_000
CLAIMED_BYTES = 280
ASSET = "BTCUSD"
TIMESTAMP = 1_700_000_000_000_000_000
PRICE = 37_000.0
DTOS: tuple[Any, ...] = tuple(make_dataclass(f"Dto{i}", [("value", float)], frozen=True, slots=True) for i in range(5))


@dataclass
class StubWorker:
    """Makes all five DTOs."""

    name: str
    requires: tuple[type, ...]
    produces: tuple[type, ...]


WORKER = StubWorker("worker", (), DTOS)


class Unslotted:
    """The provider's fields in an ordinary object."""

    def __init__(self) -> None:
        self.timestamp = TIMESTAMP
        self.primary: str | None = None
        self.cache: dict[str, dict[type, Any]] = {}
        self.makers: tuple[Any, ...] = ()
        self.producers: dict[type, str] | None = None


def filled() -> TradingContextProvider:
    """A provider in a tick of one asset with five DTOs."""
    provider = TradingContextProvider()
    provider.start_new_tick(TIMESTAMP, PRICE, ASSET)
    for dto in DTOS:
        provider.set_result_dto(WORKER, dto(PRICE))
    return provider


def bare() -> dict[str, dict[type, Any]]:
    """The same DTOs in a dict of a dict."""
    held: dict[str, dict[type, Any]] = {ASSET: {BaseContext: BaseContext(TIMESTAMP, PRICE, ASSET)}}
    for dto in DTOS:
        held[ASSET][dto] = dto(PRICE)
    return held


def bytes_each(make: Callable[[], object]) -> float:
    """Bytes that one object of `make` takes, its share of nothing else included."""
    make()  # whatever the first one sets up for all
    kept: list[object] = [None] * COUNT
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for i in range(COUNT):
            kept[i] = make()
        return (tracemalloc.get_traced_memory()[0] - before) / COUNT
    finally:
        tracemalloc.stop()


def claim(name: str, value: float, target: float, baseline: float) -> dict[str, Any]:
    """One line of the report."""
    return {
        "claim": name,
        "value": round(value, 1),
        "unit": "bytes",
        "target": round(target, 1),
        "baseline": round(baseline, 1),
        "ratio": round(value / baseline, 3),
        "holds": value <= target,
    }


def main() -> None:
    """Measure, and print one JSON line per claim."""
    empty, unslotted = bytes_each(TradingContextProvider), bytes_each(Unslotted)
    print(json.dumps(claim("provider_bytes_empty", empty, CLAIMED_BYTES, unslotted)))
    full, bare_full = bytes_each(filled), bytes_each(bare)
    print(json.dumps(claim("provider_bytes_1_asset_5_dtos", full, CLAIMED_BYTES + bare_full, bare_full)))


if __name__ == "__main__":
    main()
