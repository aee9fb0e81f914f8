"""Journals for tests: made by a session of random orders, and changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stratd.execution.account_journal import CHECKPOINT, ENDED, RECORDS, SESSION, AccountJournal, pack_state, unpack_state
from stratd.execution.rules import AccountRules
from stratd.journal.entry import Entry, Record
from stratd.journal.journal import Journal
from stratd.journal.reader import read_journal
from stratd.model import Interval, Side
from stratd.portfolio.cells import R_COLUMNS, R_KIND
from stratd.risk.limits import RiskLimits
from stratd.strategy.base import Strategy
from stratd.strategy.params import StrategyParams
from stratd.testing.bars import BarRow, series
from tests.support.spine import Spine, market

RULES = AccountRules(allocated_capital=20_000.0, allow_short=True, leverage=3.0)


class Seed(StrategyParams):
    seed: int = 0


class Gambler(Strategy[Seed]):
    """Trades at random, the same way for the same seed."""

    Params = Seed

    def setup(self, ctx: Any) -> None:
        self.random = Random(self.params.seed)
        self.bars = 0
        ctx.subscribe(("AAA", "BBB"), "1m")

    def on_bars(self, symbol: str, interval: Interval) -> None:
        chance, ctx = self.random, self.ctx
        self.bars += 1
        if self.bars == 7:
            ctx.order(symbol, Side.BUY, 1e5)  # more than it has money for
        if chance.random() < 0.35:
            side = chance.choice((Side.BUY, Side.SELL))
            price = 100.0 + (1.0 if side is Side.BUY else -1.0) * chance.randint(-3, 3)
            kind = chance.choice(("market", "market", "limit", "bracket"))
            quantity = float(chance.randint(1, 30))
            if kind == "limit":
                ctx.order(symbol, side, quantity, kind="limit", limit_price=price)
            elif kind == "bracket":
                away = 2.0 if side is Side.BUY else -2.0
                ctx.order(symbol, side, quantity, stop_loss_price=100.0 - away, take_profit_price=102.0 + away)
            else:
                ctx.order(symbol, side, quantity)
        if chance.random() < 0.1:
            for order in ctx.orders(symbol):
                ctx.cancel(order.id)


def rows(seed: int, minutes: int) -> list[BarRow]:
    """Prices that wander around 100, over two midnights."""
    chance = Random(seed)
    found = []
    for symbol in ("AAA", "BBB"):
        closes = [100.0]
        for _ in range(minutes - 1):
            closes.append(min(110.0, max(90.0, round(closes[-1] + chance.randint(-4, 4) * 0.25, 2))))
        found += series(closes, symbol=symbol, start="2024-01-02T23:30")
    return sorted(found, key=lambda row: (row.open_time, row.symbol))


def played(
    path: Path, seed: int = 1, rules: AccountRules = RULES, minutes: int = 120, names: Sequence[str] = ("one",),
    limits: RiskLimits | None = None, durable: bool = False,
) -> Spine:  # fmt: skip
    """A session of gamblers that has kept its journal at `path`. With `durable` it says of itself that it was a run."""
    spine = Spine(market(history=20, tick=0.01))
    threads = [spine.thread(Gambler, name, rules=rules, limits=limits, seed=seed + number) for number, name in enumerate(names)]
    terms = spine.terms
    about = {
        "symbols": list(terms.symbols),
        "ticks": [one.tick for one in terms.instruments],
        "lots": [one.lot for one in terms.instruments],
        "session": "tiny",
        "durable": durable,
    }
    with Journal(path, durable=False, session="tiny") as journal:
        journal.post([Entry("", SESSION, 0, json.dumps(about).encode())])
        for thread in threads:
            assert thread.account is not None
            thread.account.journal = AccountJournal(journal, thread.name, durable=False)
        spine.run(rows(seed, minutes))
        journal.post([Entry("", ENDED, 0, b"")])
    return spine


def rewritten(source: Path, target: Path, change: Callable[[Record], Iterator[Entry]]) -> Path:
    """A copy in which each entry has become others, with a chain of digests that fits."""
    with Journal(target, durable=False, session="tiny") as journal:
        for _, records in groupby(read_journal(source), key=lambda record: record.group):
            journal.post([entry for record in records for entry in change(record)])
    return target


def with_records(source: Path, target: Path, kind: int, change: Callable[[NDArray[np.int64], int], NDArray[np.int64]]) -> Path:
    """A copy in which the first record of a kind has been changed: `change` is given its table and its row."""
    left = [kind]

    def changed(record: Record) -> Iterator[Entry]:
        entry = record.entry
        if entry.kind == RECORDS and left:
            table = np.frombuffer(entry.payload, np.int64).reshape(-1, R_COLUMNS).copy()
            found = np.flatnonzero(table[:, R_KIND] == kind)
            if len(found):
                left.clear()
                entry = entry._replace(payload=change(table, int(found[0])).tobytes())
        yield entry

    rewritten(source, target, changed)
    assert not left, f"the journal has no record of kind {kind}"
    return target


def with_checkpoints(source: Path, target: Path, change: Callable[[list[NDArray[np.int64]]], None]) -> Path:
    """A copy whose checkpoints' tables have been changed."""

    def changed(record: Record) -> Iterator[Entry]:
        entry = record.entry
        if entry.kind == CHECKPOINT:
            values, tables = unpack_state(entry.payload)
            change(tables)
            entry = entry._replace(payload=pack_state(values, tables))
        yield entry

    return rewritten(source, target, changed)
