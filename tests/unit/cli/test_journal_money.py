from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stratd.cli.journal_money import StrategyMoney, check_money
from stratd.cli.plain_ledger import PlainLedger, money
from stratd.execution.account_journal import CHECKPOINT, POINTS, RECORDS, RESET, SESSION
from stratd.execution.resets import Reset
from stratd.execution.rules import AccountRules, AtEnd, Commission, LotRule, Slippage
from stratd.journal.entry import Entry, Record
from stratd.journal.reader import read_journal
from stratd.journal.verify import verify
from stratd.model import MONEY
from stratd.portfolio import cells as c
from tests.unit.cli.journals import RULES, played, rewritten, with_checkpoints, with_records

EVERYTHING = 10**9
COSTS = Commission(per_share=0.013, minimum=0.35, taker_bps=1.5, maker_bps=0.3, per_order=0.07)


def checked(path: Path) -> tuple[StrategyMoney, list[str]]:
    (account,), differences = check_money(path, EVERYTHING)
    return account, differences


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("journal") / "journal.sqlite3"
    played(path, seed=4, rules=replace(RULES, leverage=1.0, commission=COSTS, borrow_rate=0.05, financing_rate=0.08))
    return path


# The plain ledger, by hand.


def test_money_rounds_halves_to_even() -> None:
    assert [money(price / 512, 1.0) for price in (1.0, 3.0)] == [195_312, 585_938]  # 195,312.5 and 585,937.5 units
    assert money(100.01, 3.0) == 30_003_000_000


def test_plain_ledger_averages_costs_or_takes_the_oldest_first() -> None:
    averaged, oldest = PlainLedger(False, [1.0]), PlainLedger(True, [1.0])
    for ledger in (averaged, oldest):
        assert ledger.fill(0, 1, 10, 100.0, 0, 1) is None
        assert ledger.fill(0, 1, 10, 110.0, 0, 2) is None
        assert ledger.fill(0, -1, 10, 120.0, 0, 3) is None
    assert averaged.realised == (120 - 105) * 10 * MONEY
    assert oldest.realised == (120 - 100) * 10 * MONEY
    trips = [ledger.fill(0, -1, 10, 90.0, 0, 4) for ledger in (averaged, oldest)]
    assert trips[0] == trips[1]
    assert trips[0] is not None
    assert (trips[0].pnl, trips[0].lots, trips[0].direction) == ((120 + 90 - 100 - 110) * 10 * MONEY, 20, 1)
    assert averaged.cash == oldest.cash == averaged.realised == oldest.realised == 0


def test_plain_ledger_flips_from_long_to_short_with_the_fee_in_proportion() -> None:
    ledger = PlainLedger(False, [0.5])
    ledger.fill(0, 1, 4, 10.0, 8, 1)  # 2 units for 20.00
    trip = ledger.fill(0, -1, 10, 12.0, 10, 2)  # sells 2 units for 24.00, then 3 units short at 12.00
    assert trip is not None
    assert (trip.pnl, trip.fees, trip.entry_time, trip.exit_time) == (4 * MONEY, 8 + 4, 1, 2)
    position = ledger.positions[0]
    assert (position.lots, position.cost, position.trip_fees) == (-6, -36 * MONEY, 6)
    assert (ledger.cash, ledger.fees, ledger.turnover) == ((60 - 20) * MONEY - 18, 18, (20 + 60) * MONEY)


# Against the kernels.


RULE_SETS = st.builds(
    AccountRules,
    allocated_capital=st.just(20_000.0),
    allow_short=st.booleans(),
    leverage=st.sampled_from([1.0, 3.0]),
    lots=st.sampled_from(list(LotRule)),
    at_end=st.sampled_from(list(AtEnd)),
    commission=st.sampled_from([Commission(), COSTS]),
    slippage=st.sampled_from([Slippage(), Slippage(bps=3.0, ticks=1.0)]),
    borrow_rate=st.sampled_from([0.0, 0.07]),
    financing_rate=st.sampled_from([0.0, 0.09]),
    participation=st.just(None),
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(rules=RULE_SETS, seed=st.integers(0, 10_000))
def test_money_of_random_sessions_adds_up(rules: AccountRules, seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("random") / "journal.sqlite3"
    spine = played(path, seed, rules, minutes=90)
    account, differences = checked(path)
    assert differences == []
    real = spine.threads[0].account
    assert real is not None
    assert (account.orders, account.fills, account.trades, account.refused) == tuple(
        real.count(cell) for cell in (c.C_ORDER_COUNT, c.C_FILL_COUNT, c.C_TRADE_COUNT, c.C_REFUSED)
    )
    assert (account.cash, account.fees) == (real.count(c.C_CASH), real.count(c.C_FEES))
    assert account.capital == 20_000 * MONEY
    assert account.held == {position.symbol: position.quantity for position in real.final.positions()}
    assert account.fills > 0


def test_check_money_stops_where_it_is_told(journal: Path) -> None:
    assert check_money(journal, 1) == ([], [])


# What has been changed is found.


Table = NDArray[np.int64]


def add(column: int, amount: int) -> Callable[[Table, int], Table]:
    def change(table: Table, at: int) -> Table:
        table[at, column] += amount
        return table

    return change


def other_price(table: Table, at: int) -> Table:
    table.view(np.float64)[at, c.R_PRICE] += 0.01
    return table


def without(table: Table, at: int) -> Table:
    return np.delete(table, at, axis=0)


def twice(table: Table, at: int) -> Table:
    return np.insert(table, at, table[at], axis=0)


CHANGES: dict[str, tuple[int, Callable[[Table, int], Table], list[str]]] = {
    "fee": (c.FILL, add(c.R_MONEY, 1), ["fees: it says", "cash: it says"]),
    "price": (c.FILL, other_price, ["is worth", "cash: it says"]),
    "side": (c.FILL, add(c.R_SIDE, -2), ["on another side than it was let through for"]),
    "no fill": (c.FILL, without, ["lots of", "cash: it says", "fills: it says"]),
    "fill twice": (c.FILL, twice, ["came as its number 2", "cash: it says", "fills: it says"]),
    "no intent": (c.INTENT, without, ["order #2 was let through as number 1", "order #1 filled, and was not open"]),
    "intent twice": (c.INTENT, twice, ["order #1 was let through as number 2"]),
    "no end": (c.ENDED, without, [" as open, which the records say is open"]),
    "end": (c.ENDED, add(c.R_LOTS, 1), ["lots filled, and its fills come to"]),
    "end twice": (c.ENDED, twice, ["ended, and was not open"]),
    "no trade": (c.TRADE, without, ["has ended a trade", "trades: it says"]),
    "trade twice": (c.TRADE, twice, ["no fill has ended one", "trades: it says"]),
    "pnl": (c.TRADE, add(c.R_MONEY, -1), ["does not agree with its fills: pnl"]),
    "charge": (c.CHARGE, add(c.R_MONEY, 7), ["financing: it says", "cash: it says"]),
    "refused": (c.REFUSED, without, ["refused orders: it says"]),
    "cancel": (c.CANCEL, add(c.R_ORDER, 1_000), ["was to be cancelled, and was not open"]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_record_that_was_changed_is_found(journal: Path, tmp_path: Path, name: str) -> None:
    kind, change, said = CHANGES[name]
    _, differences = checked(with_records(journal, tmp_path / "changed", kind, change))
    for text in said:
        assert any(text in line for line in differences), (text, differences)
    assert all(line.startswith("one, ") for line in differences)


def test_every_cell_of_money_that_was_changed_is_found(journal: Path, tmp_path: Path) -> None:
    compared = {
        c.C_CASH: "cash", c.C_REALISED: "realised PnL", c.C_FEES: "fees", c.C_FINANCING: "financing", c.C_TURNOVER: "value of fills",
        c.C_VALUE: "value of positions", c.C_ORDER_COUNT: "orders", c.C_FILL_COUNT: "fills", c.C_TRADE_COUNT: "trades",
        c.C_REFUSED: "refused orders", c.C_OPEN: "open positions",
    }  # fmt: skip
    for cell, name in compared.items():

        def change(tables: list[NDArray[np.int64]], cell: int = cell) -> None:
            tables[0][cell] += 3

        _, differences = checked(with_checkpoints(journal, tmp_path / name.replace(" ", "_"), change))
        # Cash and the value of what is held are equity.
        expected = [name, "equity"] if cell in (c.C_CASH, c.C_VALUE) else [name]
        assert len(differences) == len(expected), (name, differences)
        assert all(f": {one}: it says" in line for one, line in zip(expected, differences, strict=True))


@pytest.mark.parametrize("column", [c.P_LOTS, c.P_COST, c.P_REALISED, c.P_FEES, c.P_VALUE])
def test_every_number_of_a_position_that_was_changed_is_found(journal: Path, tmp_path: Path, column: int) -> None:
    def change(tables: list[NDArray[np.int64]]) -> None:
        tables[3][0, column] += 1

    _, differences = checked(with_checkpoints(journal, tmp_path / "changed", change))
    assert any(" of AAA: it says" in line or " of BBB: it says" in line for line in differences)


def test_lots_held_that_were_changed_are_found(tmp_path: Path) -> None:
    source = tmp_path / "fifo"
    played(source, seed=5, rules=replace(RULES, lots=LotRule.FIFO))
    assert checked(source)[1] == []

    def change(tables: list[NDArray[np.int64]]) -> None:
        assert len(tables[5])
        tables[5][0, c.L_COST] += 1

    _, differences = checked(with_checkpoints(source, tmp_path / "changed", change))
    assert any("the lots of" in line for line in differences)


def test_difference_that_stays_the_same_is_said_once(journal: Path, tmp_path: Path) -> None:
    target = rewritten(
        journal, tmp_path / "changed", lambda record: iter([record.entry] * (3 if record.entry.kind == CHECKPOINT else 1))
    )
    account, differences = checked(target)
    assert (account.checkpoints, differences) == (3, [])

    def change(tables: list[NDArray[np.int64]]) -> None:
        tables[0][c.C_CASH] += 3

    _, differences = checked(with_checkpoints(target, tmp_path / "again", change))
    assert [line.split(": ")[1] for line in differences] == ["cash", "equity"]


# Capital, equity, and states: from the description and the records alone.


def with_description(source: Path, target: Path, **more: Any) -> Path:
    """A copy whose session entry says more."""

    def changed(record: Record) -> Iterator[Entry]:
        entry = record.entry
        if entry.kind == SESSION:
            entry = entry._replace(payload=json.dumps({**json.loads(entry.payload), **more}).encode())
        yield entry

    return rewritten(source, target, changed)


def test_equity_is_what_capital_and_records_come_to(journal: Path, tmp_path: Path) -> None:
    account, differences = checked(with_description(journal, tmp_path / "right", capital={"one": 20_000.0}))
    assert (account.capital, differences) == (20_000 * MONEY, [])
    _, differences = checked(with_description(journal, tmp_path / "wrong", capital={"one": 20_000.01}))
    said = [line.split(": ")[1] for line in differences]
    assert said[:2] == ["equity of the first point", "cash"]
    assert "equity" in said


@pytest.mark.parametrize("kind", [c.FILL, c.CHARGE])
def test_one_amount_that_was_changed_with_the_chain_made_right_is_seen_by_the_money_alone(
    journal: Path, tmp_path: Path, kind: int
) -> None:
    source = with_description(journal, tmp_path / "described", capital={"one": 20_000.0})
    target = with_records(source, tmp_path / "changed", kind, add(c.R_MONEY, 1))
    report = verify(target)
    assert report.ok
    (_,), differences = check_money(target, report.entries)
    (line,) = [line for line in differences if ": equity: it says" in line]
    amounts = [int(part.replace(",", "").replace(".", "")) for part in re.findall(r"[\d,]+\.\d{8}", line)]
    assert amounts[0] - amounts[1] == 1, line  # units of 1e-8: a fill that costs one more, and nothing else has changed
    assert line.startswith("one, checkpoint at 2024-01-03T01:30:00Z (entry ")


def test_last_equity_point_that_was_changed_is_found(journal: Path, tmp_path: Path) -> None:
    left = [True]
    last = max(record.sequence for record in read_journal(journal) if record.entry.kind == POINTS)

    def change(record: Record) -> Iterator[Entry]:
        entry = record.entry
        if record.sequence == last:
            left.clear()
            table = np.frombuffer(entry.payload, np.int64).reshape(-1, 2).copy()
            table[-1, 1] += 1
            entry = entry._replace(payload=table.tobytes())
        yield entry

    _, differences = checked(rewritten(journal, tmp_path / "changed", change))
    assert left == []
    assert [f"equity point of entry {last}: it says" in line for line in differences] == [True]


def with_states(source: Path, target: Path, *states: int, resets: int = 0) -> Path:
    """A copy with records of these states before the first of its fills, and a checkpoint that says the last of them."""

    def change(table: Table, at: int) -> Table:
        rows = np.zeros((len(states), c.R_COLUMNS), np.int64)
        rows[:, c.R_KIND], rows[:, c.R_TIME], rows[:, c.R_A] = c.RISK, table[at, c.R_TIME], states
        return np.insert(table, [at] * len(states), rows, axis=0)

    def of_checkpoints(tables: list[Table]) -> None:
        tables[0][c.C_STATE] = states[-1]

    def with_resets(record: Record) -> Iterator[Entry]:
        yield record.entry
        if record.entry.kind == RECORDS and asked:
            asked.clear()
            for number in range(resets):
                yield Entry("one", RESET, 0, Reset(by="me", at=number).pack())

    # The account is known from its first entry on.
    asked = [True]
    early = rewritten(source, target.with_suffix(".1"), lambda record: _first_records_apart(record))
    noted = rewritten(early, target.with_suffix(".2"), with_resets)
    return with_checkpoints(with_records(noted, target.with_suffix(".3"), c.FILL, change), target, of_checkpoints)


def _first_records_apart(record: Record) -> Iterator[Entry]:
    """The first record of each entry of records as an entry of its own."""
    entry = record.entry
    if entry.kind == RECORDS:
        row = c.R_COLUMNS * 8
        yield entry._replace(payload=entry.payload[:row])
        entry = entry._replace(payload=entry.payload[row:])
    if entry.payload or entry.kind != RECORDS:
        yield entry


def test_state_that_gets_stricter_is_right_and_back_to_active_only_with_a_reset(journal: Path, tmp_path: Path) -> None:
    assert checked(with_states(journal, tmp_path / "stricter", c.REDUCING, c.STATE_HALTED))[1] == []
    _, differences = checked(with_states(journal, tmp_path / "back", c.STATE_HALTED, c.ACTIVE))
    assert ["went from halted to active, and nobody has reset it" in line for line in differences] == [True]
    assert checked(with_states(journal, tmp_path / "reset", c.STATE_HALTED, c.ACTIVE, resets=1))[1] == []
    _, differences = checked(with_states(journal, tmp_path / "looser", c.STATE_HALTED, c.REDUCING, resets=1))
    assert ["went from halted to reducing, and nobody has reset it" in line for line in differences] == [True]


def test_state_of_a_checkpoint_that_no_record_has_led_to_is_found(journal: Path, tmp_path: Path) -> None:
    def change(tables: list[NDArray[np.int64]]) -> None:
        tables[0][c.C_STATE] = c.STATE_HALTED

    _, differences = checked(with_checkpoints(journal, tmp_path / "changed", change))
    assert [": trading state: it says halted, its records come to active" in line for line in differences] == [True]
