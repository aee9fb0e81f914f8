"""Whether a journal's money adds up: every fill and charge is booked again, in plain integers, and compared with what the account said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from stratd.cli.journal_lines import Terms, not_understood, table_of, terms_of
from stratd.cli.plain_ledger import UNITS, PlainLedger, PlainPosition, RoundTrip, money
from stratd.core.clock import utc_text
from stratd.execution import account_journal as aj
from stratd.execution.records import TRADING_STATES, units
from stratd.journal.entry import Record
from stratd.journal.reader import read_journal
from stratd.portfolio import cells as c

Say = Callable[[str], None]

_STATE: Final = "trading state"

# Numbers of a checkpoint that are money.
_MONEY: Final = ("cash", "realised PnL", "fees", "financing", "value of fills", "value of positions")


@dataclass(slots=True)
class _Open:
    """An order that was let through and has not ended."""

    symbol: int
    side: int
    filled: int = 0
    fills: int = 0


@dataclass(slots=True)
class StrategyMoney:
    """One strategy's account, booked again from its records.

    Attributes:
        orders, fills, trades, refused: how many were recorded.
        checkpoints: with how many it was compared.
        behind: records since the last checkpoint.
        capital: units of money that it began with; None where the journal does not say, until the first checkpoint.
        state: trading state that its records have led to, as a code.
        resets: how often a person has reset it, less how often it has become active again.
    """

    name: str
    terms: Terms
    orders: int = 0
    fills: int = 0
    trades: int = 0
    refused: int = 0
    checkpoints: int = 0
    behind: int = 0
    capital: int | None = None
    state: int = c.ACTIVE
    resets: int = 0
    averaged: PlainLedger = field(init=False)
    oldest_first: PlainLedger = field(init=False)
    _open: dict[int, _Open] = field(default_factory=dict)
    _trips: list[RoundTrip] = field(default_factory=list)
    _first_point: tuple[int, int] | None = None
    _last_point: tuple[int, int, int] | None = None
    _last_fill: int = -1
    _compared: int = 0
    _said: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # A journal does not say how costs are taken off. Both are kept; a checkpoint with open positions shows which it is.
        lots = [one.lot for one in self.terms.instruments]
        if self.name in self.terms.capital:
            self.capital = round(self.terms.capital[self.name] * UNITS)
        self.averaged, self.oldest_first = PlainLedger(False, lots), PlainLedger(True, lots)

    @property
    def cash(self) -> int:
        """Units of money that the records come to. Without a checkpoint it begins with the first equity point."""
        began = self.capital if self.capital is not None else self._first_point[1] if self._first_point is not None else 0
        return began + self.averaged.cash

    @property
    def realised(self) -> int:
        """Units of money; where positions are open, as if costs are averaged."""
        return self.averaged.realised

    @property
    def fees(self) -> int:
        """Units of money."""
        return self.averaged.fees

    @property
    def held(self) -> dict[str, float]:
        """Units of each symbol that is held."""
        return {
            self.terms.symbols[symbol]: units(position.lots, self.terms.instruments[symbol].lot)
            for symbol, position in self.averaged.positions.items()
            if position.lots
        }

    def document(self) -> dict[str, Any]:
        """The same as plain values; money in the account's currency."""
        counts = {name: getattr(self, name) for name in ("orders", "fills", "trades", "refused", "checkpoints", "behind")}
        sums = {name: getattr(self, name) / UNITS for name in ("cash", "realised", "fees")}
        return {**counts, **sums, "financing": self.averaged.financing / UNITS, "positions": self.held}

    # Records.

    def take_records(self, record: Record, path: Path, say: Say) -> None:
        """Book an entry of records."""
        rows = table_of(record, c.R_COLUMNS, path)
        for whole, real in zip(rows.tolist(), rows.view("f8").tolist(), strict=True):
            self.behind += 1
            self._take(whole, real, record, say)

    def _take(self, whole: list[int], real: list[float], record: Record, say: Say) -> None:
        kind, order, time = whole[c.R_KIND], whole[c.R_ORDER], whole[c.R_TIME]

        def wrong(text: str) -> None:
            say(f"{self.name}, entry {record.sequence}, {utc_text(time)}: {text}")

        if self._trips and kind != c.TRADE:
            self._say_missing(wrong)
        if kind == c.INTENT:
            self.orders += 1
            if order != self.orders:
                wrong(f"order #{order} was let through as number {self.orders}: one is missing, or is there twice")
                self.orders = order
            self._open[order] = _Open(whole[c.R_SYMBOL], whole[c.R_SIDE])
        elif kind == c.FILL:
            self._fill(whole, real, wrong)
        elif kind == c.TRADE:
            self._trade(whole, wrong)
        elif kind == c.CHARGE:
            for ledger in (self.averaged, self.oldest_first):
                ledger.charge(whole[c.R_MONEY])
        elif kind == c.ENDED:
            found = self._open.pop(order, None)
            if found is None:
                wrong(f"order #{order} ended, and was not open")
            elif found.filled != whole[c.R_LOTS]:
                wrong(f"order #{order} ended with {whole[c.R_LOTS]} lots filled, and its fills come to {found.filled}")
        elif kind == c.REFUSED:
            self.refused += 1
        elif kind == c.RISK:
            self._risk(whole[c.R_A], wrong)
        elif kind in (c.CANCEL, c.AMEND) and order not in self._open:
            wrong(f"order #{order} was to be {'cancelled' if kind == c.CANCEL else 'amended'}, and was not open")

    def _fill(self, whole: list[int], real: list[float], wrong: Say) -> None:
        order, symbol, side, lots = whole[c.R_ORDER], whole[c.R_SYMBOL], whole[c.R_SIDE], whole[c.R_LOTS]
        price, time = real[c.R_PRICE], whole[c.R_TIME]
        self.fills += 1
        self._last_fill = time
        found = self._open.get(order)
        if found is None:
            wrong(f"order #{order} filled, and was not open")
        else:
            found.filled += lots
            found.fills += 1
            if (found.symbol, found.side) != (symbol, side):
                wrong(f"order #{order} filled in another symbol or on another side than it was let through for")
            if found.fills != whole[c.R_A]:
                wrong(
                    f"fill {whole[c.R_A]} of order #{order} came as its number {found.fills}: one is missing, or is there twice"
                )
                found.fills = whole[c.R_A]
        notional = money(price, lots * self.averaged.lot[symbol])
        if notional != whole[c.R_C]:
            wrong(f"a fill of order #{order} is worth {_sum(whole[c.R_C])}, and its price times its lots is {_sum(notional)}")
        ended = self.averaged.fill(symbol, side, lots, price, whole[c.R_MONEY], time)
        self.oldest_first.fill(symbol, side, lots, price, whole[c.R_MONEY], time)
        held = self.averaged.positions[symbol].lots
        self._differs(f"lots of {self.terms.symbols[symbol]} after a fill", whole[c.R_D], held, wrong)
        if ended is not None:
            self._trips.append(ended)

    def _trade(self, whole: list[int], wrong: Say) -> None:
        self.trades += 1
        said = RoundTrip(
            whole[c.R_SYMBOL], whole[c.R_SIDE], whole[c.R_LOTS], whole[c.R_A], whole[c.R_TIME], whole[c.R_MONEY], whole[c.R_B]
        )
        expected = self._trips.pop(0) if self._trips else None
        symbol = self.terms.symbols[said.symbol]
        if expected is None:
            wrong(f"a trade of {symbol} was recorded, and no fill has ended one")
        elif expected != said:
            names = ("symbol", "direction", "lots", "entry_time", "exit_time", "pnl", "fees")
            parts = [
                f"{name} {getattr(said, name)} and not {getattr(expected, name)}"
                for name in names
                if getattr(said, name) != getattr(expected, name)
            ]
            wrong(f"a trade of {symbol} does not agree with its fills: {', '.join(parts)}")

    def _risk(self, state: int, wrong: Say) -> None:
        """The account went to another trading state: to a stricter one by itself, to active because a person has reset it."""
        if state == c.ACTIVE and self.resets > 0:
            self.resets -= 1
        elif state <= self.state:
            wrong(f"went from {TRADING_STATES[self.state]} to {TRADING_STATES[state]}, and nobody has reset it")
        self.state = state

    def _say_missing(self, wrong: Say) -> None:
        for trip in self._trips:
            wrong(f"a fill has ended a trade of {self.terms.symbols[trip.symbol]}, which was not recorded")
        self._trips.clear()

    # Points and checkpoints.

    def take_points(self, record: Record, path: Path) -> None:
        """Note the first equity point, with which the account began, and the last one, which the next checkpoint may be of."""
        rows = table_of(record, 2, path)
        if len(rows):
            if self._first_point is None:
                self._first_point = int(rows[0, 0]), int(rows[0, 1])
            self._last_point = int(rows[-1, 0]), int(rows[-1, 1]), record.sequence

    def compare(self, record: Record, say: Say) -> None:
        """Compare with a checkpoint."""
        values, tables = aj.unpack_state(record.entry.payload)
        cells, orders, _, positions, marks, held, untold = tables
        first_time = values["first_time"]
        self.checkpoints += 1
        self.behind = 0
        if len(untold):
            return  # it holds what is recorded only once the strategy has been told: the next one is compared

        first, self._compared = self._compared + 1, record.sequence

        def wrong(text: str) -> None:
            where = f"entry {record.sequence}, over what entries {first} to {record.sequence} say"
            say(f"{self.name}, checkpoint at {utc_text(record.entry.time)} ({where}): {text}")

        if self._trips:
            self._say_missing(wrong)
        ledger = self.oldest_first if len(held) else self.averaged
        cell = cells.tolist()
        at_first = self._first_point
        begun_with = at_first[1] if at_first is not None and at_first[0] == first_time else None
        if self.capital is None:
            self.capital = begun_with if begun_with is not None else cell[c.C_CASH] - ledger.cash
        elif begun_with is not None:
            self._differs("equity of the first point", begun_with, self.capital, wrong)
        compared = [
            ("cash", cell[c.C_CASH], self.capital + ledger.cash),
            ("realised PnL", cell[c.C_REALISED], ledger.realised),
            ("fees", cell[c.C_FEES], ledger.fees),
            ("financing", cell[c.C_FINANCING], ledger.financing),
            ("value of fills", cell[c.C_TURNOVER] + c.TURNOVER_CARRY * cell[c.C_TURNOVER_HIGH], ledger.turnover),
            ("orders", cell[c.C_ORDER_COUNT], self.orders),
            ("fills", cell[c.C_FILL_COUNT], self.fills),
            ("trades", cell[c.C_TRADE_COUNT], self.trades),
            ("refused orders", cell[c.C_REFUSED], self.refused),
            ("open positions", cell[c.C_OPEN], sum(position.lots != 0 for position in ledger.positions.values())),
        ]
        for name, said, found in compared:
            self._differs(name, said, found, wrong)
        self._compare_positions(ledger, positions.tolist(), wrong)
        self._compare_values(ledger, positions.tolist(), marks.view("f8").tolist(), cell, wrong)
        self._differs(_STATE, cell[c.C_STATE], self.state, wrong)
        self._compare_orders(orders.tolist(), wrong)
        if len(held):
            self._compare_parts(ledger, positions.tolist(), held.tolist(), wrong)

    def _compare_positions(self, ledger: PlainLedger, rows: Sequence[list[int]], wrong: Say) -> None:
        for row in rows:
            position = ledger.positions.get(row[c.P_SYMBOL], PlainPosition())
            symbol = self.terms.symbols[row[c.P_SYMBOL]]
            for name, column, found in (
                ("lots", c.P_LOTS, position.lots),
                ("cost", c.P_COST, position.cost),
                ("realised PnL", c.P_REALISED, position.realised),
                ("fees", c.P_FEES, position.fees),
            ):
                self._differs(f"{name} of {symbol}", row[column], found, wrong)
        for symbol_index in ledger.positions.keys() - {row[c.P_SYMBOL] for row in rows}:
            wrong(f"has no position in {self.terms.symbols[symbol_index]}, of which there are fills")

    def _compare_values(
        self, ledger: PlainLedger, rows: Sequence[list[int]], marks: Sequence[list[float]], cell: list[int], wrong: Say
    ) -> None:
        total = unrealised = 0
        for row, mark in zip(rows, marks, strict=True):
            lots, lot = row[c.P_LOTS], mark[c.P_LOT]
            value = money(mark[c.P_MARK], abs(lots) * lot) * (1 if lots >= 0 else -1)
            self._differs(f"value of {self.terms.symbols[row[c.P_SYMBOL]]}", row[c.P_VALUE], value, wrong)
            total += value
            position = ledger.positions.get(row[c.P_SYMBOL], PlainPosition())
            unrealised += money(mark[c.P_MARK], abs(position.lots) * lot) * (1 if position.lots >= 0 else -1) - position.cost
        self._differs("value of positions", cell[c.C_VALUE], total, wrong)
        # The records alone, but for the last closes, which no record has.
        assert self.capital is not None  # known by now
        equity = self.capital + ledger.realised + unrealised - ledger.fees - ledger.financing
        self._differs("equity", cell[c.C_CASH] + cell[c.C_VALUE], equity, wrong)
        # What fills at the close on which it was decided does so behind the point of that close.
        if self._last_point is not None and self._last_fill < self._last_point[0] == cell[c.C_TIME]:
            self._differs(f"equity point of entry {self._last_point[2]}", self._last_point[1], equity, wrong)

    def _compare_orders(self, rows: Sequence[list[int]], wrong: Say) -> None:
        working = {row[c.O_ID]: row[c.O_FILLED] for row in rows if row[c.O_STATE] <= c.PARTIAL}
        if missing := sorted(self._open.keys() - working.keys()):
            self._differs_in_orders("has not", missing, wrong)
        if unknown := sorted(working.keys() - self._open.keys()):
            self._differs_in_orders("has", unknown, wrong)
        for order in working.keys() & self._open.keys():
            self._differs(f"filled lots of order #{order}", working[order], self._open[order].filled, wrong)

    def _differs_in_orders(self, what: str, orders: list[int], wrong: Say) -> None:
        key = f"orders it {what}"
        if self._said.get(key) != hash(tuple(orders)):
            self._said[key] = hash(tuple(orders))
            which = ", ".join(f"#{order}" for order in orders)
            wrong(f"{what} {which} as open, which the records {'say is' if what == 'has not' else 'do not say are'} open")

    def _compare_parts(self, ledger: PlainLedger, rows: Sequence[list[int]], held: Sequence[list[int]], wrong: Say) -> None:
        for place, row in enumerate(rows):
            parts = [(part[c.L_LOTS], part[c.L_COST]) for part in held if part[c.L_PLACE] == place]
            found = ledger.positions.get(row[c.P_SYMBOL], PlainPosition()).parts
            if parts != found:
                wrong(f"the lots of {self.terms.symbols[row[c.P_SYMBOL]]} and their costs are {parts} and not {found}")

    def _differs(self, name: str, said: int, found: int, wrong: Say) -> None:
        """Say a difference, once for as long as it stays the same."""
        if said - found != self._said.get(name, 0):
            self._said[name] = said - found
            is_money = name in _MONEY or name.startswith(("cost", "realised", "fees of", "value", "equity"))
            show: Callable[[int], str] = _sum if is_money else str
            if name == _STATE:
                show = _state
            wrong(f"{name}: it says {show(said)}, its records come to {show(found)}")


def _state(code: int) -> str:
    return str(TRADING_STATES[code]) if code in range(len(TRADING_STATES)) else str(code)


def _sum(amount: int) -> str:
    """Units of money, all of them."""
    sign = "-" if amount < 0 else ""
    return f"{sign}{abs(amount) // UNITS:,}.{abs(amount) % UNITS:08d}"


def check_money(path: Path, entries: int) -> tuple[list[StrategyMoney], list[str]]:
    """Book a journal's first entries again.

    Args:
        entries: how many; those before the first that is damaged.

    Returns:
        Every strategy's account, and all differences in words.

    Raises:
        JournalError: it cannot be read, or another version has written it.
    """
    found: dict[str, StrategyMoney] = {}
    differences: list[str] = []
    terms: Terms | None = None
    for record in islice(read_journal(path), entries):
        entry = record.entry
        if entry.kind == aj.SESSION:
            terms = terms_of(record, path)
        elif entry.kind == aj.RESET and entry.owner in found:
            found[entry.owner].resets += 1
        elif entry.kind in (aj.RECORDS, aj.POINTS, aj.CHECKPOINT):
            if terms is None:
                raise not_understood(record, path, "no entry before it says what its symbols are")
            account = found.setdefault(entry.owner, StrategyMoney(entry.owner, terms))
            try:
                if entry.kind == aj.RECORDS:
                    account.take_records(record, path, differences.append)
                elif entry.kind == aj.POINTS:
                    account.take_points(record, path)
                else:
                    account.compare(record, differences.append)
            except (IndexError, KeyError, ValueError) as error:  # a symbol, a table or a key that this version does not know
                raise not_understood(record, path, f"{type(error).__name__}: {error}") from error
    return list(found.values()), differences
