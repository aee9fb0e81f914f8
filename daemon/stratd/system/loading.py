"""Loading the strategies of a session: import, parameters, setup."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from stratd.data.calendars import intervals_can_coincide
from stratd.data.subscription import NOTIFY
from stratd.errors import ConfigError, Problem, StratdError, StrategySetupError
from stratd.strategy.base import Strategy
from stratd.strategy.context import Market, StrategyContext
from stratd.strategy.params import StrategyParams
from stratd.strategy.plugin import load_strategy, unload
from stratd.system.config import SessionConfig, StrategyConfig
from stratd.system.config_errors import validate_params

log = structlog.get_logger("stratd.session")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A strategy that has been set up and can be run."""

    config: StrategyConfig
    strategy: Strategy[Any]
    context: StrategyContext


@dataclass(frozen=True, slots=True)
class LoadFailure:
    """A strategy that could not be used, and why."""

    name: str
    problems: tuple[Problem, ...]


def strategies_root(config: SessionConfig) -> Path:
    """The directory that `strategies/` lies in: the session file's, its parent, or the current one."""
    here = Path.cwd()
    for candidate in (config.base_dir, config.base_dir.resolve().parent, here):
        if (candidate / "strategies").is_dir():
            return candidate
    return here


def load_all(config: SessionConfig, market: Market) -> tuple[list[Loaded], list[LoadFailure]]:
    """Load every enabled strategy of a session, in its order. A strategy that fails harms no other."""
    root = strategies_root(config)
    loaded: list[Loaded] = []
    failures: list[LoadFailure] = []
    for index, entry in config.enabled_strategies:
        key = f"strategies[{index}]"
        try:
            loaded.append(load_one(config, entry, key, root, market))
        except ConfigError as error:
            failures.append(LoadFailure(entry.name, tuple(error.problems)))
        except StratdError as error:
            problem = Problem(str(config.file), f"{key}.module", str(error))
            failures.append(LoadFailure(entry.name, (problem,)))
    return loaded, failures


def refuse(entry: Loaded, config: SessionConfig, error: Exception) -> LoadFailure:
    """A strategy that has been loaded cannot be used after all: let go of it."""
    entry.context.handles.close()
    unload(type(entry.strategy))
    index = next(number for number, one in config.enabled_strategies if one is entry.config)
    problem = Problem(str(config.file), f"strategies[{index}].module", str(error))
    return LoadFailure(entry.config.name, (problem,))


def load_one(config: SessionConfig, entry: StrategyConfig, key: str, root: Path, market: Market) -> Loaded:
    """Import a strategy, check its parameters, and run its setup on a context without bars.

    Raises:
        ConfigError: its parameters are wrong.
        StrategyLoadError: it cannot be imported.
        StrategySetupError: its setup raised, or it would never be called.
    """
    kind = load_strategy(entry.module, entry.class_name, root=root, unique_name=entry.name)
    params = validate_params(kind.Params, entry.config, str(config.file), f"{key}.config")
    context = StrategyContext(entry.name, market)
    try:
        strategy = _set_up(kind, params, context)
        _check_callable(strategy, context, market)
    except StratdError:
        unload(kind)
        raise
    return Loaded(entry, strategy, context)


def _set_up(kind: type[Strategy[Any]], params: StrategyParams, context: StrategyContext) -> Strategy[Any]:
    """Make a strategy and run its setup on a context without bars.

    Raises:
        StrategySetupError: whatever its own code raised, or what setup asked for cannot be had.
    """
    try:
        strategy = kind()
        strategy.params = params
        strategy.ctx = context
        strategy.setup(context)
    except StrategySetupError:
        raise
    except BaseException as error:
        # Whatever a strategy's own code raises here, SystemExit included, is that strategy's failure and nobody else's.
        if isinstance(error, KeyboardInterrupt):
            raise
        at = traceback.extract_tb(error.__traceback__)[-1]
        text = "".join(traceback.format_exception_only(error)).strip()
        raise StrategySetupError(context.name, f"setup raised {text} ({at.filename}, line {at.lineno})") from error
    context.seal()
    return strategy


def _check_callable(strategy: Strategy[Any], context: StrategyContext, market: Market) -> None:
    """Refuse a strategy that would never be called.

    Raises:
        StrategySetupError: it has no callback for bars, no subscription, or slices that can never be complete.
    """
    kind = type(strategy)
    name = context.name
    slices = kind.on_slice is not Strategy.on_slice
    if kind.on_bars is Strategy.on_bars and not slices:
        raise StrategySetupError(name, f"{kind.__name__} defines neither on_bars nor on_slice")
    subscribed = [(series, slot) for series, slot in context.slots() if slot.kind == NOTIFY]
    if not subscribed:
        raise StrategySetupError(name, "setup subscribed to nothing; call ctx.subscribe(symbols, interval)")
    if not slices:
        return
    by_interval: dict[int, dict[int, str]] = {}
    for series, slot in subscribed:
        by_interval.setdefault(slot.interval_index, {}).setdefault(market.calendar_of[series.symbol], series.symbol)
    for k, calendars in by_interval.items():
        interval = market.intervals[k]
        first, *others = calendars.items()
        for number, symbol in others:
            if not intervals_can_coincide(market.calendars[first[0]], market.calendars[number], interval):
                raise StrategySetupError(
                    name,
                    f"on_slice at {interval} can never hold both {first[1]} and {symbol}: their sessions open at times "
                    "whose buckets never close together; use a shorter interval, or one strategy for each",
                )
