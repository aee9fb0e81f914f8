from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratd.execution.book import GATED, BookRules, Netting
from stratd.execution.rules import AccountRules, Commission, FillRule, Slippage
from stratd.model import MINUTE_NS, MONEY, Fill, Instrument, Side
from stratd.risk.limits import Policy, RiskLimits
from stratd.strategy.context import StrategyContext
from stratd.testing.bars import BarRow

from ...support.books import Played, play_book
from ...support.ledgers import Actor, clock, ns, order

START = ns("2024-01-02T23:54")  # six minutes before a day ends, and DAY orders with it
MINUTES = 12
SYMBOLS = (Instrument("AAA", tick=0.01), Instrument("BBB", tick=0.01, lot=0.1))
NAMES = ("one", "two", "three")


def _act(kind: str, symbol: str, side: str, quantity: int, price: float, ctx: StrategyContext) -> object:
    """One random thing that a strategy does."""
    if kind == "cancel":
        return [ctx.cancel(one.id) for one in ctx.orders(symbol)[:1]]
    if kind == "shrink":
        return [ctx.amend(one.id, quantity=1) for one in ctx.orders(symbol) if not one.parent and one.quantity > 1]
    terms: dict[str, Any] = {
        "market": {},
        "day": {"time_in_force": "day"},
        "ioc": {"time_in_force": "ioc"},
        "exit": {"reduce_only": True},
        "group": {"oco": "group"},
        "bracket": {"stop_loss_price": price - 2 if side == "buy" else price + 2},
        "limit": {"kind": "limit", "limit_price": price},
        "stop": {"kind": "stop", "stop_price": price},
    }[kind]
    return ctx.order(symbol, side, quantity, **terms)


_KINDS = ("market", "market", "market", "exit", "day", "ioc", "group", "bracket", "limit", "stop", "cancel", "shrink")
_ACTS = st.tuples(
    st.sampled_from(_KINDS),
    st.sampled_from([one.symbol for one in SYMBOLS]),
    st.sampled_from(["buy", "sell"]),
    st.integers(1, 6),
    st.integers(9_700, 10_300).map(lambda ticks: ticks / 100),
)
_PLANS = st.dictionaries(
    st.integers(1, MINUTES).map(lambda minute: clock(START + minute * MINUTE_NS)), st.lists(_ACTS, min_size=1, max_size=3)
)
_TICKS = st.integers(9_800, 10_200)
_BARS = st.lists(
    st.one_of(st.none(), st.tuples(_TICKS, _TICKS, st.integers(0, 200), st.integers(0, 200))), min_size=MINUTES, max_size=MINUTES
)
_RULES = st.builds(
    AccountRules,
    allocated_capital=st.sampled_from([2_000.0, 100_000.0]),
    fill=st.sampled_from([FillRule.NEXT_OPEN, FillRule.NEXT_OPEN, FillRule.CLOSE]),
    latency_seconds=st.sampled_from([0.0, 0.0, 30.0]),
    participation=st.sampled_from([None, None, 0.01]),
    allow_short=st.booleans(),
    slippage=st.just(Slippage(bps=20)),
    commission=st.just(Commission(taker_bps=10, maker_bps=10)),
)
_LIMITS = st.builds(
    RiskLimits,
    max_position_quantity=st.sampled_from([None, 10.0]),
    max_orders_per_minute=st.sampled_from([None, 4]),
    drawdown_fraction=st.sampled_from([None, 0.002]),
    exposure_fraction=st.sampled_from([None, 0.05]),
    drawdown_policy=st.sampled_from(Policy),
)
_BOOKS = st.builds(
    BookRules,
    netting=st.sampled_from([Netting.INTERNAL, Netting.INTERNAL, Netting.NONE]),
    shared_buying_power=st.booleans(),
    limits=_LIMITS,
)


def rows_from(bars: Sequence[Sequence[tuple[int, int, int, int] | None]]) -> list[BarRow]:
    """Bars in feed order; a minute may be missing."""
    rows = []
    for minute in range(MINUTES):
        for instrument, column in zip(SYMBOLS, bars, strict=True):
            if (bar := column[minute]) is not None:
                open_, close, up, down = bar
                prices = (open_ / 100, (max(open_, close) + up) / 100, (min(open_, close) - down) / 100, close / 100)
                rows.append(BarRow(instrument.symbol, START + minute * MINUTE_NS, *prices, 1_000.0))
    return rows


class Loose(Actor):
    """Does not mind that a minute of its plan never came."""

    def teardown(self) -> None:
        self.left.clear()


@settings(max_examples=40)
@given(
    bars=st.tuples(_BARS, _BARS),
    plans=st.tuples(*[_PLANS] * len(NAMES)),
    rules=st.tuples(*[_RULES] * len(NAMES)),
    book=_BOOKS,
    block=st.sampled_from([1, 5]),
)
def test_book_whatever_strategies_do_its_sums_are_theirs_and_what_crosses_has_two_sides(
    bars: Any, plans: Any, rules: Any, book: BookRules, block: int
) -> None:
    rows = rows_from(bars)
    if not rows:
        return
    kinds: dict[str, Any] = {
        name: type("Random", (Loose,), {"plan": {time: [partial(_act, *act) for act in acts] for time, acts in plan.items()}})
        for name, plan in zip(NAMES, plans, strict=True)
    }

    def play(block: int) -> Played:
        return play_book(
            rows, kinds, book, rules=dict(zip(NAMES, rules, strict=True)), instruments=SYMBOLS, block=block, max_errors=99
        )

    played = play(block)
    assert played.hashes == play(4096).hashes
    assert [thread.last_error for thread in played.threads.values()] == [None] * len(NAMES)
    assert played.differs == []
    # The book's money is its accounts'.
    assert played.book.final_equity() == sum(ledger.final_equity for ledger in played.ledgers.values())
    assert played.book.positions.gross_exposure >= played.book.positions.net_exposure
    # Only what crosses is free: as much is bought as is sold, at one price, at one time.
    crossed: Counter[tuple[int, str, float]] = Counter()
    for ledger in played.ledgers.values():
        for one in ledger.kept:
            if isinstance(one, Fill) and one.fee == 0:
                crossed[one.time, one.symbol, one.price] += round(one.quantity * 10) * (1 if one.side is Side.BUY else -1)
    assert not any(crossed.values()), crossed
    assert book.netting is Netting.INTERNAL or not crossed
    free = [
        one
        for ledger in played.ledgers.values()
        for one in ledger.kept
        if isinstance(one, Fill) and one.fee == 0 and one.side is Side.BUY
    ]
    assert played.book.crossings.notional == pytest.approx(sum(one.price * one.quantity for one in free) * MONEY, abs=len(free))
    assert sum(played.book.crossed_lots().values()) >= len(free)


def test_crosses_do_happen_in_the_sessions_of_the_property() -> None:
    bars = [[(10_000, 10_010, 5, 5)] * MINUTES] * 2
    minute = clock(START + MINUTE_NS)
    rules = AccountRules(commission=Commission(taker_bps=10))
    plans = {"one": {minute: order("buy", 3)}, "two": {minute: order("sell", 2)}}
    played = play_book(rows_from(bars), plans, BookRules(netting=Netting.INTERNAL), rules=rules, instruments=SYMBOLS)
    assert [one.fee == 0 for one in played.ledgers["one"].fills] == [True, False]


@pytest.mark.parametrize("netting", Netting)
def test_netting_saves_the_costs_of_what_crosses_and_nothing_else(netting: Netting) -> None:
    bars = [[(10_000, 10_000, 5, 5)] * MINUTES] * 2
    minute, later = clock(START + MINUTE_NS), clock(START + 3 * MINUTE_NS)
    plans = {
        "one": {minute: order("buy", 30), later: order("sell", 10)},
        "two": {minute: order("sell", 20), later: order("buy", 20)},
    }
    rules = AccountRules(slippage=Slippage(ticks=10), commission=Commission(taker_bps=10))
    played = play_book(rows_from(bars), plans, BookRules(netting=netting), rules=rules, instruments=SYMBOLS)
    lost = sum(round(100_000 * MONEY) - ledger.final_equity for ledger in played.ledgers.values())
    buys, sells = 100.1 * 0.001 + 0.1, 99.9 * 0.001 + 0.1  # what a unit costs at the venue
    every = (30 + 20) * buys + (20 + 10) * sells
    crossed = 20 * (buys + sells) + 10 * (buys + sells)
    assert lost == round((every - (crossed if netting is Netting.INTERNAL else 0)) * MONEY)


def test_book_restart_a_past_that_is_played_again_is_left_alone_and_the_state_is_known_again() -> None:
    halted = BookRules(limits=RiskLimits(drawdown_fraction=0.01))
    text = "12:00 100\n12:01 100\n12:02 50\n12:03 50\n12:04 50"
    first = play_book(text, {"one": {"12:01": order("buy", 50)}, "two": {}}, halted)
    other = play_book(text, {"one": {}, "two": {}}, BookRules())
    # As `resume` does: the account's cells are those of a journal.
    table, past = other.book._table, first.book._table
    table[:] = past
    other.book.monitor._book[7] = 0
    assert other.book._changes(table, other.book._seen, ns("12:03")) == -1
    other.book.on_step(ns("12:03"))
    assert str(other.book.state) == "active"
    other.book.on_step(ns("12:05"))
    assert str(other.book.state) == "halted"


def test_notes_say_that_the_session_is_gated_and_what_was_refused() -> None:
    plans = {"one": {"12:01": [order("buy", 5), order("buy", 6)]}, "two": {"12:01": order("buy", 7, "AAA")}}
    limits = RiskLimits(max_order_quantity=5.5)
    played = play_book("12:00 100\n12:01 100", plans, BookRules(limits=limits))
    assert played.book.notes() == (GATED, "the book refused 2 orders: order_quantity 2")
