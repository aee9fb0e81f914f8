"""Book: several strategies, one account at the venue. What strategies do to each other in a step is settled at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import numpy as np
import structlog
from numpy.typing import NDArray

from stratd.core.clock import utc_text
from stratd.data.event_log import Segment
from stratd.data.session_data import SessionData
from stratd.errors import JournalError
from stratd.execution import book_orders as b
from stratd.execution.account import Account
from stratd.execution.book_journal import BookJournal, Reader
from stratd.execution.crossings import Crossings
from stratd.execution.records import RISK_REASONS, TRADING_STATES
from stratd.execution.session_past import pack_book
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


@dataclass(frozen=True, slots=True)
class Member:
    """A strategy of the book."""

    name: str
    account: Account
    reader: Reader
    """Once it is detached nobody waits for the strategy any more: what is its own must be left alone."""


@dataclass(frozen=True, slots=True)
class Strike:
    """A running limit has stopped the book: when (close time, ns UTC), which, to what state, and with what equity in units of money."""

    state: int
    reason: int
    time: int
    equity: int

    @property
    def words(self) -> str:
        """What happened."""
        return f"{TRADING_STATES[self.state]} since {utc_text(self.time)}: {RISK_REASONS[self.reason]}"


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
        crossings: what they have settled between them.
        strikes: the limits that were passed and not reset, in order.
        settled: close time of the last step that was settled, ns UTC; -1 before the first.
        journal: where the accounts and the book are recorded, if that is durable.
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
        self.crossings = Crossings()
        self.strikes: list[Strike] = []
        self.settled = -1
        self.journal: BookJournal | None = None
        self._accounts = tuple(member.account for member in members)
        self._until = -1  # steps up to here were settled before a restart
        self._other_money = False  # the book is of other strategies, or has other capital, than before the restart
        self._changes, self._add_open, self._decide_on = b.changes.load(), b.add_open.load(), b.decide.load()
        self._gather, self._match = b.gather.load(), b.cross.load()

    # The end of a step.

    def at_rest(self, segment: Segment, start: int, stop: int) -> None:
        """Every strategy has handled the step of log entries [start, stop): called by the gate."""
        assert self._data is not None  # given in a session
        self.positions.mark(segment, start, stop, self._data.frame)
        time = segment.close_time.item(stop - 1)
        strikes = len(self.strikes)
        if self.on_step(time) and self.journal is not None:
            failure = self.journal.commit(time, self.packed, changed=len(self.strikes) > strikes)
            if failure is not None:
                self._stop_trading(failure, time)

    def on_step(self, time: int) -> bool:
        """Settle the step that closes at `time`; its closes have been taken. What comes of it is visible from the next step on.

        Returns:
            False if it was settled before a restart.
        """
        if self._until >= 0 and not self._wake(time):
            return False
        changed = self._changes(self._table, self._seen, time)
        if changed == b.PAST:
            return False  # a strategy that goes on where a journal ended is not there yet: this was settled before the restart
        if changed & b.FILLS:
            self._take_fills()
            if self._crossing:
                self.crossings.count(self._accounts)
        if not self.monitor.begun:
            self.monitor.begin(self._state_before())
        passed = self.monitor.watch(time)
        if passed is not None:
            self._impose(*passed, time)
        if changed & b.ORDERS:
            self._decide(time)
        if self.rules.netting is Netting.INTERNAL and (self._crossing or changed & b.ORDERS):
            self._cross()
        self.settled = time
        return True

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
        self.strikes.append(Strike(state, reason, time, self.monitor.equity))
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
        rows = self._market[:count].tolist()
        for row in rows:
            self._members[row[b.M_MEMBER]].account.orders[row[b.M_ROW], c.O_CROSSED] = row[b.M_CROSSED]
        self.crossings.mark(rows, self._accounts, c.O_ID)

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

    def _stop_trading(self, failure: str, time: int) -> None:
        """What was decided cannot be recorded, so nothing more is."""
        stopped = [one for one in self._members if one.account.stopped_by is None and not one.reader.detached]
        if stopped:
            self._log.error("trading is halted: decisions cannot be recorded", reason=failure)
        for member in stopped:
            member.account.stopped_by = failure
            member.account.stop_trading(time, c.BY_HALT, Refusal.JOURNAL)

    # Across a restart.

    def packed(self) -> bytes:
        """What a restart needs to go on after the last step that was settled."""
        minute = [self._decisions.item(b.D_MINUTE), self._decisions.item(b.D_MINUTE_ORDERS)]
        return pack_book(
            {
                "version": 1,
                "monitor": self.monitor.save(),
                "reserve": self.monitor.reserve,
                "trades": {one.name: count for one, count in zip(self._members, self.monitor.trades, strict=True)},
                "minute": minute,
                "approved": self.approved,
                "refused": {str(reason): count for reason, count in self.refusals.items()},
                "crossed": self.crossed_lots(),
                "crossed_notional": self.crossings.notional,
                "strikes": [[one.state, one.reason, one.time, one.equity] for one in self.strikes],
            }
        )

    def restore(self, saved: Mapping[str, Any], time: int) -> None:
        """Go on where `packed` was called, after the step that closed at `time`. Steps up to there were settled, and are not again.

        Raises:
            JournalError: it was not saved by a book.
        """
        try:
            trades = saved["trades"]
            self.monitor.restore(saved["monitor"], [trades.get(one.name) for one in self._members])
            self._decisions[[b.D_MINUTE, b.D_MINUTE_ORDERS]] = saved["minute"]
            self._decisions[b.D_APPROVED] = saved["approved"]
            for reason, count in saved["refused"].items():
                self._refused[1 + REASONS.index(Refusal(reason))] = count
            self.crossings.lots = {self._symbols.index(symbol): lots for symbol, lots in saved["crossed"].items()}
            self.crossings.notional = saved["crossed_notional"]
            self.strikes = [Strike(*one) for one in saved["strikes"]]
            self._other_money = trades.keys() != {one.name for one in self._members} or saved["reserve"] != self.monitor.reserve
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise JournalError(
                f"what the book goes on with cannot be read ({type(error).__name__}: {error}); run: stratd journal verify"
            ) from error
        self._until = self.settled = time
        if self.rules.netting is Netting.INTERNAL:
            # Orders are as they were at that time, also of those who have no checkpoint of it: if one had ended they would. So what
            # crosses is the same; who has an older checkpoint has old marks.
            self._cross()

    def reset(self) -> None:
        """A person lets the book trade again. The accounts that it had stopped are reset by themselves."""
        self.monitor.reset()
        self.strikes.clear()

    def _wake(self, time: int) -> bool:
        """A step after a restart. Returns whether it is to be settled: False while it was settled before."""
        for strike in self.strikes:
            if strike.time == time:
                # Who had not traded has no checkpoint: nothing but this had happened to its account.
                for member in self._members:
                    if not member.account.active and not member.reader.detached:
                        member.account.impose(strike.state, time)
        if time < self._until:
            return False
        before, self._until = self._until, -1
        self._take_fills()
        if self._crossing:
            self.crossings.count(self._accounts)
        if self._other_money:
            # A strategy has come or gone with its money, or the book's capital is another. Nobody has gained or lost that.
            amount = self.monitor.measured() - self.monitor.equity
            self._log.warning("the book has other money than before the restart", difference=amount / MONEY)
            self.monitor.deposit(amount)
        return time > before

    def _state_before(self) -> int:
        """The state that the book had imposed before a restart, where the journal says nothing of the book."""
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

    def final_equity(self) -> int:
        """Money of the book when the session is over, in units: after what has filled or was closed at its end."""
        self._take_fills()
        if self._crossing:
            self.crossings.count(self._accounts)
        return self.monitor.measured()

    @property
    def approved(self) -> int:
        """How many orders it has let through."""
        return self._decisions.item(b.D_APPROVED)

    def crossed_lots(self) -> dict[str, int]:
        """Lots of each symbol that strategies have settled between them."""
        return {self._symbols[symbol]: lots for symbol, lots in sorted(self.crossings.lots.items())}

    def net_positions(self) -> dict[str, int]:
        """Lots held of each symbol, over all strategies; without those that come to nothing."""
        return {symbol: lots for symbol, lots in zip(self._symbols, self.positions.net.tolist(), strict=True) if lots}

    def notes(self) -> tuple[str, ...]:
        """What a person who reads a session's result should know."""
        notes = [GATED]
        if self.strikes:
            notes.append(f"the book is {self.strikes[-1].words}")
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
