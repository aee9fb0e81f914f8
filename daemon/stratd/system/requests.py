"""What the strategies of a session ask for, without running it: for `stratd list indicators` and `stratd warm`."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from stratd.core.clock import SystemClock
from stratd.core.kernel import Operation
from stratd.errors import ConfigError
from stratd.indicators.base import Indicator, StreamInfo
from stratd.indicators.graph import Part, Plan, Planner
from stratd.indicators.python_part import PythonPart
from stratd.indicators.user import PythonIndicator
from stratd.strategy.context import Market
from stratd.strategy.handles import Request
from stratd.strategy.plugin import unload
from stratd.system.builder import build_market
from stratd.system.config import SessionConfig
from stratd.system.loading import Loaded, LoadFailure, load_all


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of one strategy, and what has to be computed for it.

    Attributes:
        parts: what has a compiled operation (or is TA-Lib's), inputs first.
        computations: what would be computed if nobody else had asked. Equal ones are computed once in a session.
    """

    strategy: str
    request: Request
    parts: tuple[Part, ...]
    computations: frozenset[Hashable]


@contextmanager
def loaded_strategies(config: SessionConfig) -> Iterator[tuple[Market, list[Loaded], list[LoadFailure]]]:
    """The strategies of a session, set up without data. Nothing is started, nothing is compiled.

    Raises:
        ConfigError: a strategy cannot be loaded and `on_load_error` is "abort", or none can.
        CalendarError: a calendar is unknown.
    """
    market = build_market(config, SystemClock())
    loaded, failures = load_all(config, market)
    try:
        if failures and (config.on_load_error == "abort" or not loaded):
            raise ConfigError([problem for failure in failures for problem in failure.problems])
        yield market, loaded, failures
    finally:
        for entry in loaded:
            unload(type(entry.strategy))


def requests_of(market: Market, loaded: list[Loaded]) -> list[Asked]:
    """All requests of all strategies, in order."""
    planner = Planner(lambda symbol, interval: market.streams[symbol, interval])
    return [
        _asked(planner, entry.config.name, request, market.streams[request.symbol, request.interval])
        for entry in loaded
        for request in entry.context.handles.requests()
    ]


def operations_of(market: Market, loaded: list[Loaded]) -> list[Operation]:
    """What has to be compiled for all requests, each once. Parts that are computed by a library need nothing."""
    specs = [part.spec for asked in requests_of(market, loaded) for part in asked.parts]
    return list(dict.fromkeys(spec.operation for spec in specs if not isinstance(spec, PythonPart)))


def _asked(planner: Planner, strategy: str, request: Request, stream: StreamInfo) -> Asked:
    indicator = request.indicator
    owner = strategy if request.private else ""
    if not isinstance(indicator, PythonIndicator):
        plan = planner.plan(indicator, stream)
        return Asked(strategy, request, plan.parts, frozenset(_keys(plan, owner, request.dtype == "float32")))
    # It is computed row by row for its handle alone; what it reads of others is shared.
    read = [
        _asked(planner, strategy, replace(request, indicator=source, name=""), stream)
        for source in indicator.inputs
        if isinstance(source, Indicator)
    ]
    own: Hashable = (strategy, request)
    parts = tuple(part for one in read for part in one.parts)
    return Asked(strategy, request, parts, frozenset({own}.union(*(one.computations for one in read))))


def _keys(plan: Plan, owner: str, narrow: bool) -> Iterator[Hashable]:
    """What tells computations apart: the part, whose it is, and whether it is kept as float32 (inputs of others never are)."""
    outputs = {part.key for part, _ in plan.outputs.values()}
    inner = {one.key for part in plan.parts for one, _ in part.inputs if isinstance(one, Part)}
    for part in plan.parts:
        yield owner, part.key, narrow and part.key in outputs - inner
