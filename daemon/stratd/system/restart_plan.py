"""What becomes of strategies that a journal knows: who goes on, what is left to nobody, and both in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from stratd.core.clock import utc_text
from stratd.execution.account_journal import Past, unpack_state
from stratd.execution.records import TRADING_STATES
from stratd.execution.session_past import SessionPast
from stratd.execution.terms import TradingTerms
from stratd.model import MONEY
from stratd.portfolio.cells import C_CASH, C_STATE, C_VALUE, O_PLACE, O_STATE, P_LOTS, P_SYMBOL, PARTIAL
from stratd.system.config import SessionConfig


def open_symbols(past: Past) -> set[int]:
    """Indices of the symbols in which a strategy had a position or an order at its last checkpoint."""
    if past.time < 0:
        return set()
    _, (_, orders, _, positions, *_) = unpack_state(past.state)
    held = positions[positions[:, P_LOTS] != 0, P_SYMBOL]
    # What has ended in the last step may still be among the orders, and amendments under way are.
    working = orders[orders[:, O_STATE] <= PARTIAL]
    return {*held.tolist(), *positions[working[:, O_PLACE], P_SYMBOL].tolist()}


def orphans(pasts: Mapping[str, Past], terms: TradingTerms, names: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Strategies that have left something open and are not among `names`; each with the symbols in which it has."""
    found = {name: open_symbols(past) for name, past in pasts.items() if name not in names}
    return {name: tuple(terms.symbols[number] for number in sorted(numbers)) for name, numbers in found.items() if numbers}


def restart_plan(
    past: SessionPast, terms: TradingTerms, config: SessionConfig, changed: Sequence[str], loaded: Collection[str]
) -> list[str]:
    """What becomes of each strategy that a journal knows, and of the book, in words.

    Args:
        changed: rules that are not what they were, in words.
        loaded: names of the session's strategies that can be run. What others have left open is an orphan's.
    """
    lines = [
        _plan_line(name, one, terms, config.journal.on_restart)
        + (f"; it is active again: reset by {past.resets[name].words}" if name in past.resets else "")
        for name, one in past.pasts.items()
        if one.time >= 0 and name in loaded
    ]
    if past.book is not None and config.book is not None:
        lines.append(_book_line(past))
    does = {"alert": "it is left as it is", "close": "it is closed", "adopt": "it is kept, and marked"}[config.journal.on_orphan]
    known = {entry.name for _, entry in config.enabled_strategies}
    lines += [
        f"{name} {'could not be loaded' if name in known else 'is not in the session any more'} and has left something open in "
        f"{', '.join(symbols)}: {does}"
        for name, symbols in orphans(past.pasts, terms, loaded).items()
    ]
    return lines + [f"changed: {line}" for line in changed]


def _plan_line(name: str, past: Past, terms: TradingTerms, on_restart: str) -> str:
    values, (cells, orders, _, positions, *_) = unpack_state(past.state)
    working = int((orders[:, O_STATE] <= PARTIAL).sum())
    held = [f"{int(row[P_LOTS])} lots of {terms.symbols[int(row[P_SYMBOL])]}" for row in positions if row[P_LOTS]]
    equity = (int(cells[C_CASH]) + int(cells[C_VALUE])) / MONEY
    does = {"resume": "goes on", "flatten": "closes everything and goes on", "hold": "keeps everything and takes no new order"}[
        on_restart
    ]
    state = int(cells[C_STATE])
    return (
        f"{name} {does} after {utc_text(past.time)} with {', '.join(held) or 'no position'}, {working} working orders "
        f"and equity {equity:,.2f}"
        + (f", {TRADING_STATES[state]}" if state else "")
        + (f"; it was {values['gave_up']}, and trades again" if values.get("gave_up") else "")
    )


def _book_line(past: SessionPast) -> str:
    assert past.book is not None  # asked before
    numbers = past.book["monitor"]
    state = TRADING_STATES[numbers["state"]]
    text = (
        f"the book goes on after {utc_text(past.book_time)} with equity {numbers['equity'] / MONEY:,.2f} of at most "
        f"{numbers['peak'] / MONEY:,.2f}, {state}"
    )
    return text + (f"; it is active again: reset by {past.resets[''].words}" if "" in past.resets else "")
