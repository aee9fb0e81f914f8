"""stratd: a live multi-strategy trading daemon.

    model/       immutable values: interval, stream, instrument, bar, signal, order, fill
    core/        mechanisms without trading: kernels, clock, parking, containers
    journal/     the durable record
    data/        the market side: SessionData, event log, DataProcessor (LOOP ONE: data/processor.py)
    indicators/  indicators computed on blocks
    portfolio/   positions and money, sizing, performance
    risk/        what may not be done
    execution/   orders, matching, accounts, the book
    strategy/    what users write, and the thread that runs it (LOOP TWO: strategy/thread.py)
    feeds/       where bars come from
    telemetry/   metrics and logs
    system/      configuration, wiring, SystemManager
    cli/         the stratd command
    testing/     kit for authors: contract tests, bar builders

A strategy author imports from here: `from stratd import Strategy, StrategyParams, Signal, Side, Interval`.
Names are resolved at first use, so that `stratd --help` need not load what it does not use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from stratd.indicators import EMA, RSI, SMA, Highest, Lowest
    from stratd.model import Bar, BarFlags, Fill, Instrument, Interval, RiskRefused, Side, Signal, Stream
    from stratd.strategy.base import Strategy
    from stratd.strategy.context import StrategyContext
    from stratd.strategy.params import StrategyParams

_HOMES = {
    "Bar": "stratd.model",
    "BarFlags": "stratd.model",
    "Fill": "stratd.model",
    "RiskRefused": "stratd.model",
    "Instrument": "stratd.model",
    "Interval": "stratd.model",
    "Side": "stratd.model",
    "Signal": "stratd.model",
    "Stream": "stratd.model",
    "Strategy": "stratd.strategy.base",
    "StrategyContext": "stratd.strategy.context",
    "StrategyParams": "stratd.strategy.params",
    "SMA": "stratd.indicators",
    "EMA": "stratd.indicators",
    "RSI": "stratd.indicators",
    "Highest": "stratd.indicators",
    "Lowest": "stratd.indicators",
}

__all__ = [
    "EMA",
    "RSI",
    "SMA",
    "Bar",
    "BarFlags",
    "Fill",
    "Highest",
    "Instrument",
    "Interval",
    "Lowest",
    "RiskRefused",
    "Side",
    "Signal",
    "Strategy",
    "StrategyContext",
    "StrategyParams",
    "Stream",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'stratd' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
