"""Book: several strategies, one account at the venue. What strategies do to each other in a step is settled at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from stratd.core.clock import utc_text
from stratd.data.event_log import Segment
from stratd.data.session_data import SessionData
from stratd.execution import book_orders as b
from stratd.execution.account import Account
from stratd.execution.records import RISK_REASONS, TRADING_STATES
from stratd.execution.terms import TradingTerms
from stratd.model import MONEY, Refusal, TradingState
from stratd.portfolio import cells as c
from stratd.portfolio.aggregator import PositionAggregator
from stratd.risk.checks import REASONS
from stratd.risk.limits import RiskLimits
from stratd.risk.system_monitor import SystemRiskMonitor

GATED: Final = "the session has a book: it was gated step by step, whatever window says"


class Netting(StrEnum):
    """Whether strategies' market orders that cross are settled between them."""

    NONE = "none"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class BookRules:
    """What strategies share.

    Attributes:
        shared_buying_power: whether they draw on one buying power, in the session's order, and not each on its own.
        capital: money of the book; None: the sum of what strategies were given.
        limits: of the whole book. `refuse_duplicates` is each strategy's own matter: two may want the same.
    """

    netting: Netting = Netting.NONE
    shared_buying_power: bool = False
    capital: float | None = None
    limits: RiskLimits = field(default_factory=RiskLimits)


class Reader(Protocol):
    """The part of a strategy's subscription that the book needs."""

    detached: bool
    """Whether nobody waits for the strategy any more: what is its own must be left alone."""


@dataclass(frozen=True, slots=True)
class Member:
    """A strategy of the book."""

    name: str
    account: Account
    reader: Reader


class Book:
    """Decides on strategies' orders at the end of every step, crosses them, and watches the whole.

    Thread safety: belongs to the data-processor. The gate calls it when every strategy that is not detached waits for the next
    step with its window closed, so that nobody else is at an account (see `Gate`). Of a detached one only numbers are read: its
    thread may still be in a callback. Others read `state`, `notes` and the parts when the session is over.

    Args:
        members: in the session's order of strategies, which is the order of all that happens here.
        data: where closes are read.

    Attributes:
        positions: what strategies hold together.
        monitor: watches the running limits.
    """

    def __init__(
        self, members: Sequence[Member], terms: TradingTerms, rules: BookRules, data: SessionData | None = None, log: Any = None
    ) -> None:
        self.rules = rules
        self._members = tuple(members)
        self._data = data
        self._symbols = terms.symbols
        self._log = structlog.get_logger("stratd.book") if log is None else log
        self._table = np.zeros((len(members), c.CELLS), np.int64)
        for row, member in zip(self._table, members, strict=True):
            member.account.join_book(row, rules.shared_buying_power)
        allocated = [round(member.account.rules.allocated_capital * MONEY) for member in members]
        capital = sum(allocated) if rules.capital is None else round(rules.capital * MONEY)
        self.positions = PositionAggregator([entry.lot for entry in terms.instruments], len(members))
        self.monitor = SystemRiskMonitor(
            rules.limits, self._table, self.positions, capital, sum(allocated), terms.day_starts([0])
        )
        self._seen = np.full((len(members), 2), -1, np.int64)  # fills and orders of each
        self._limits = np.zeros(c.K_CELLS)
        rules.limits.fill_cells(self._limits)
        allowed = rules.limits.allowed_symbols
        self._allowed = np.array([allowed is None or symbol in allowed for symbol in terms.symbols], np.uint8)
        self._open_lots = np.zeros((2, len(terms.symbols)), np.int64)
        self._decisions = np.zeros(b.D_CELLS, np.int64)
        self._decisions[b.D_MINUTE] = -1
        self._refused = np.zeros(len(REASONS) + 1, np.int64)
        self._crossing = False  # there are orders that cross and have not filled
        self._market = np.zeros((64, b.M_COLUMNS), np.int64)
        self._prices = np.zeros(64)
        self._changed_at: str | None = None
        self._changes, self._add_open, self._decide_on = b.changes.load(), b.add_open.load(), b.decide.load()
        self._gather, self._match = b.gather.load(), b.cross.load()

    # The end of a step.

    def at_rest(self, segment: Segment, start: int, stop: int) -> None:
        """Every strategy has handled the step of log entries [start, stop): called by the gate."""
        assert self._data is not None  # given in a session
        self.positions.mark(segment, start, stop, self._data.frame)
        self.on_step(segment.close_time.item(stop - 1))

    def on_step(self, time: int) -> None:
        """Settle the step that closes at `time`; its closes have been taken. What comes of it is visible from the next step on."""
        changed = self._changes(self._table, self._seen, time)
        if changed == b.PAST:
            return  # a strategy that goes on where a journal ended is not there yet: this was settled before the restart
        if changed & b.FILLS:
            self._take_fills()
        if not self.monitor.begun:
            self.monitor.begin(self._state_before())
        passed = self.monitor.watch(time)
        if passed is not None:
            self._impose(*passed, time)
        if changed & b.ORDERS:
            self._decide(time)
        if self.rules.netting is Netting.INTERNAL and (self._crossing or changed & b.ORDERS):
            self._cross()

    def _take_fills(self) -> None:
        for number, member in enumerate(self._members):
            at = self._place(number)
            fills = self._table.item(number, at + c.C_FILL_COUNT)
            if fills == self._seen.item(number, 0):
                continue
            self._seen[number, 0] = fills
            account = member.account
            if account.active:
                count = self._table.item(number, at + c.C_POSITIONS)
                first = len(account.positions) // 2 if at else 0
                self.positions.take(number, account.positions, account.position_floats, first, count)

    def _impose(self, state: int, reason: int, time: int) -> None:
        """The book has passed a limit: so have all of its accounts."""
        self._changed_at = f"{TRADING_STATES[state]} since {utc_text(time)}: {RISK_REASONS[reason]}"
        self._log.error(
            "the book has passed a limit",
            limit=RISK_REASONS[reason],
            state=str(TRADING_STATES[state]),
            at=utc_text(time),
            equity=self.monitor.equity / MONEY,
        )
        for member in self._members:
            if member.reader.detached:
                member.account.closed_by = Refusal.HALTED
            else:
                member.account.impose(state, time)

    def _decide(self, time: int) -> None:
        decisions, refusals = self._decisions, 0
        decisions[b.D_STATE] = self.monitor.state
        decisions[b.D_USED] = self.positions.gross_exposure
        decisions[b.D_POWER] = self._buying_power() if self.rules.shared_buying_power else c.NEVER
        self._open_lots[:] = 0
        waiting = []
        for number, member in enumerate(self._members):
            account = member.account
            if not account.active or member.reader.detached:
                continue
            orders = self._table.item(number, c.C_ORDER_COUNT)
            if self._table.item(number, c.C_ORDERS):
                tables = account.tables()
                cells, rows, _, positions, position_floats, _, rules = tables
                self._add_open(cells, rows, positions, position_floats, rules, self.positions.closes, self._open_lots, decisions)
                if orders != self._seen.item(number, 1):
                    waiting.append((account, tables))
            self._seen[number, 1] = orders
        for account, tables in waiting:
            refused = self._decide_on(
                *tables, self.positions.net, self._open_lots, self.positions.closes, self._allowed, self._limits, decisions,
                self._refused, time,
            )  # fmt: skip
            if refused:
                account.count_refused(refused)
                refusals += refused

    def _cross(self) -> None:
        """Of the market orders of one step, mark what crosses. Anew at every step until it has filled: one side may have ended."""
        count = 0
        for number, member in enumerate(self._members):
            if member.reader.detached or not (orders := self._table.item(number, c.C_ORDERS)):
                continue
            if count + orders > len(self._market):
                room = 2 * (count + orders)
                self._market, self._prices = _longer(self._market, room), _longer(self._prices, room)
            cells, rows, floats, positions, _, _, rules = member.account.tables()
            count = self._gather(number, cells, rows, floats, positions, rules, self._market, self._prices, count)
        self._crossing = self._match(self._market, self._prices, count) > 0
        for row in self._market[:count].tolist():
            self._members[row[b.M_MEMBER]].account.orders[row[b.M_ROW], c.O_CROSSED] = row[b.M_CROSSED]

    def _buying_power(self) -> int:
        """Equity of all strategies, each times its leverage, and what nobody was given, at the lowest of these."""
        leverages = [member.account.rules.leverage for member in self._members]
        total = self.monitor.reserve * min(leverages, default=1.0)
        for number, leverage in enumerate(leverages):
            at = self._place(number)
            total += (self._table.item(number, at + c.C_CASH) + self._table.item(number, at + c.C_VALUE)) * leverage
        return min(int(total), c.NEVER)

    def _place(self, number: int) -> int:
        """Where an account's cells are: it may have run ahead of a strategy that was let go."""
        return c.C_CELLS if self._table.item(number, c.X_AHEAD) else 0

    def _state_before(self) -> int:
        """The state that the book had imposed before a restart."""
        imposed = (self._table[:, c.C_SOLD_OUT] == c.BY_BOOK_RISK) & (self._table[:, c.C_STATE] > c.ACTIVE)
        return max(self._table[imposed, c.C_STATE].tolist(), default=c.ACTIVE)

    # Looking at it.

    @property
    def state(self) -> TradingState:
        """What the book may still do."""
        return TRADING_STATES[self.monitor.state]

    @property
    def refusals(self) -> Mapping[Refusal, int]:
        """How many orders it has refused, by reason."""
        return {reason: count for reason, count in zip(REASONS, self._refused[1:].tolist(), strict=True) if count}

    def net_positions(self) -> dict[str, int]:
        """Lots held of each symbol, over all strategies; without those that come to nothing."""
        return {symbol: lots for symbol, lots in zip(self._symbols, self.positions.net.tolist(), strict=True) if lots}

    def notes(self) -> tuple[str, ...]:
        """What a person who reads a session's result should know."""
        notes = [GATED]
        if self._changed_at is not None:
            notes.append(f"the book is {self._changed_at}")
        refused = Counter(self.refusals)
        if refused:
            by_reason = ", ".join(f"{reason} {count}" for reason, count in refused.most_common())
            notes.append(f"the book refused {refused.total():,} orders: {by_reason}")
        return tuple(notes)


def _longer(table: NDArray[Any], rows: int) -> NDArray[Any]:
    """A table with room for more rows."""
    more = np.zeros((rows, *table.shape[1:]), table.dtype)
    more[: len(table)] = table
    return more
