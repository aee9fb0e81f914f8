"""Scope: the container of one strategy, from what was loaded for it. The same for every kind of session."""

from __future__ import annotations

from typing import Any

from stratd.core.bus import EventBus
from stratd.core.container import ScopedContainer, SharedServices
from stratd.data.event_log import EventLog
from stratd.data.session_data import SessionData
from stratd.execution.account import Account
from stratd.strategy.base import Strategy
from stratd.strategy.context import Market, StrategyContext
from stratd.strategy.plugin import unload
from stratd.strategy.thread import StrategyThread, ThreadPolicy, Trading


def open_scope(
    strategy: Strategy[Any],
    context: StrategyContext,
    shared: SharedServices,
    data: SessionData,
    log: EventLog,
    policy: ThreadPolicy,
    trading: Trading,
    market: Market,
) -> ScopedContainer:
    """Build what one strategy owns, in the order of needs: its context, event bus, the strategy, its thread, its account.

    The account is portfolio, risk and broker side in one: they are views of the same tables, which one kernel moves (ADR 0007).

    Args:
        shared: what all strategies may read and none may write.

    Returns:
        The container, open. Closing it lets go of indicators and unloads the strategy's module, whatever fails on the way.
    """
    scope = ScopedContainer(context.name, shared)
    scope.provide(StrategyContext, lambda: context, close=_release)
    scope.provide(EventBus, _bus_of, needs=(StrategyContext,))
    scope.provide(Strategy, lambda _: strategy, needs=(StrategyContext,), close=_unload)

    def make_thread(strategy: Strategy[Any], context: StrategyContext, _: EventBus) -> StrategyThread:
        # The market itself, not its view: the thread reads it at every slice.
        return StrategyThread(strategy, context, market, data, log, policy, trading)

    scope.provide(StrategyThread, make_thread, needs=(Strategy, StrategyContext, EventBus))
    scope.provide(Account, _account_of, needs=(StrategyThread,))
    scope.open()
    return scope


def _release(context: StrategyContext) -> None:
    context.handles.close()


def _unload(strategy: Strategy[Any]) -> None:
    unload(type(strategy))


def _bus_of(context: StrategyContext) -> EventBus:
    return context.events


def _account_of(thread: StrategyThread) -> Account | None:
    return thread.account
