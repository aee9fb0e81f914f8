"""The metrics of strategies' accounts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client.core import Metric

from stratd.execution.account import Account
from stratd.execution.records import TRADING_STATES
from stratd.model import MONEY
from stratd.portfolio import cells as c
from stratd.strategy.thread import StrategyThread
from stratd.telemetry import metrics as m
from stratd.telemetry.families import family_of

_COUNTS: Final = {m.ORDERS: c.C_ORDER_COUNT, m.FILLS: c.C_FILL_COUNT, m.TRADES: c.C_TRADE_COUNT, m.OPEN_POSITIONS: c.C_OPEN}


def account_metrics(session: str, threads: Iterable[StrategyThread]) -> Iterator[Metric]:
    """All metric families of accounts. A strategy without an account has no samples."""
    families = {
        metric: family_of(metric) for metric in (*_COUNTS, m.REFUSED, m.EQUITY, m.CASH, m.REALISED, m.TRADING_STATE, m.CLOSED)
    }
    for thread in threads:
        account = thread.account
        if account is None:
            continue
        labels = [session, thread.name]
        cells = cells_of(account)
        for metric, cell in _COUNTS.items():
            families[metric].add_metric(labels, cells[cell])
        families[m.EQUITY].add_metric(labels, (cells[c.C_CASH] + cells[c.C_VALUE]) / MONEY)
        families[m.CASH].add_metric(labels, cells[c.C_CASH] / MONEY)
        families[m.REALISED].add_metric(labels, cells[c.C_REALISED] / MONEY)
        for code, state in enumerate(TRADING_STATES):
            families[m.TRADING_STATE].add_metric([*labels, str(state)], float(cells[c.C_STATE] == code))
        for reason, count in account.refusals.items():
            families[m.REFUSED].add_metric([*labels, str(reason)], count)
        if account.closed_by is not None:
            families[m.CLOSED].add_metric([*labels, str(account.closed_by)], 1.0)
    yield from families.values()


def cells_of(account: Account) -> list[int]:
    """An account's cells as of its strategy's event, all of one moment. Callable by any thread.

    One by one they would not belong together: a purchase that came between two of them would look like money that has gone. A kernel
    and the copy of so small an array both keep the interpreter's lock from beginning to end, so the copy is of before or after.
    """
    if not account.active:
        cells = [0] * c.C_CELLS
        cells[c.C_CASH] = round(account.rules.allocated_capital * MONEY)
        return cells
    both = account.cells.copy()
    start = c.C_CELLS if both[c.X_AHEAD] else 0
    found: list[int] = both[start : start + c.C_CELLS].tolist()
    return found
