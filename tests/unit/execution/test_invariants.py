"""What holds of every account, whatever the bars, rules and orders were. ADR 0007."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from math import floor

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stratd.data.calendars import session_at
from stratd.execution.records import OrderEnded
from stratd.execution.rules import AtEnd, FillRule, Slippage
from stratd.model import MINUTE_NS, MONEY, Fill, OrderKind, OrderState, TimeInForce, Trade
from stratd.portfolio.portfolio import Portfolio
from tests.support.plain_cases import cases
from tests.support.plain_numbers import exact, to_lots
from tests.support.plain_run import run_engine, table_of, units
from tests.support.plain_types import Amend, Case, Place
from tests.support.plain_watch import Watched, watch

pytestmark = pytest.mark.timeout(600)  # for the shrinking of a failure; without one they take a second each

few = settings(max_examples=25)
next_open = cases(fill=FillRule.NEXT_OPEN)
ENDS = {OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED}
LEGAL = {
    OrderState.HELD: {OrderState.HELD, OrderState.WORKING, OrderState.PARTIALLY_FILLED, *ENDS},
    OrderState.WORKING: {OrderState.WORKING, OrderState.PARTIALLY_FILLED, *ENDS},
    OrderState.PARTIALLY_FILLED: {OrderState.PARTIALLY_FILLED, *ENDS},
}


def with_minutes(case: Case) -> Case:
    """The case with a strategy that has every 1m bar, so that each fill is told in the step of its own bar."""
    return replace(case, minutes=(1,))


def assert_identity(capital: float, portfolio: Portfolio) -> None:
    value = sum(units(one.market_value) for one in portfolio.positions())
    cash, realised, unrealised = units(portfolio.cash), units(portfolio.realised_pnl), units(portfolio.unrealised_pnl)
    assert cash + value == units(portfolio.equity)
    assert cash + value == units(capital) + realised + unrealised - units(portfolio.fees) - units(portfolio.financing)


@few
@given(cases())
def test_account_at_every_event_satisfies_the_accounting_identity_to_the_unit(case: Case) -> None:
    seen = watch(case)
    for portfolio in [*(look.portfolio for look in seen.looks), seen.account.final]:
        assert_identity(case.rules.allocated_capital, portfolio)


@few
@given(cases())
def test_position_at_the_end_is_the_sum_of_the_fills(case: Case) -> None:
    seen = watch(case)
    held: dict[str, int] = defaultdict(int)
    for fill in seen.fills:
        held[fill.symbol] += seen.signed(fill)
    final = {one.symbol: seen.lots(one.symbol, one.quantity) for one in seen.account.final.positions() if one.quantity}
    assert final == {symbol: lots for symbol, lots in held.items() if lots}
    if case.rules.at_end is AtEnd.CLOSE:
        assert final == {}


@few
@given(cases())
def test_order_never_fills_more_than_it_was_asked_to(case: Case) -> None:
    seen = watch(case)
    for order_id, life in seen.lives.items():
        filled = seen.filled(order_id)
        assert filled <= (seen.filled(life.order.parent) if life.order.parent else life.largest)
        assert [fill.number for _, fill in life.fills] == list(range(1, len(life.fills) + 1))
        assert all(fill.quantity > 0 for _, fill in life.fills)


@few
@given(cases())
def test_order_that_has_ended_stays_ended(case: Case) -> None:
    seen = watch(case)
    for order_id, life in seen.lives.items():
        assert len(life.ended) <= 1
        for place, ended in life.ended:
            assert all(life.place <= at <= place for at, _ in life.fills)
            assert ended.state in ENDS
            assert seen.lots(life.order.symbol, ended.filled) == seen.filled(order_id)
            if ended.state is OrderState.FILLED:
                assert ended.filled > 0


@few
@given(cases())
def test_order_goes_through_legal_states_only_and_its_fills_only_grow(case: Case) -> None:
    seen = watch(case)
    before: dict[int, tuple[OrderState, float]] = {}
    for look in seen.looks:
        now = {order.id: (order.state, order.filled) for order in look.orders}
        for order_id, (state, filled) in now.items():
            assert state in LEGAL
            was, had = before.get(order_id, (state, 0.0))
            assert state in LEGAL[was]
            assert filled >= had
            assert (filled > 0) == (state is OrderState.PARTIALLY_FILLED)
        for order_id in set(before) - set(now):
            assert seen.lives[order_id].ended, f"order {order_id} works no more, and has not ended"
        before = now


@few
@given(next_open.map(with_minutes))
def test_fills_of_one_bar_stay_within_its_participation(case: Case) -> None:
    case = replace(case, rules=replace(case.rules, participation=case.rules.participation or 0.1, at_end=AtEnd.MARK))
    seen = watch(case)
    volumes = {(row.symbol, row.open_time): row.volume for row in case.rows}
    for (symbol, opened), fills in seen.told_in().items():
        lot = exact(seen.instrument(symbol).lot)
        most = floor(exact(case.rules.participation or 0.0) * exact(volumes[symbol, opened]) / lot)
        assert sum(abs(seen.signed(fill)) for fill in fills) <= most


@few
@given(cases())
def test_reduce_only_order_never_opens_enlarges_or_flips_a_position(case: Case) -> None:
    seen = watch(case)
    held: dict[str, int] = defaultdict(int)
    for fill in seen.fills:
        lots, before = seen.signed(fill), held[fill.symbol]
        held[fill.symbol] += lots
        if seen.reduces(seen.lives[fill.order_id].order):
            assert lots * before < 0
            assert abs(lots) <= abs(before)
    if not case.rules.allow_short:
        assert all(one.quantity >= 0 for look in seen.looks for one in look.portfolio.positions())


@few
@given(next_open.map(with_minutes))
def test_fill_is_in_a_minute_that_is_there_after_its_order_was_eligible(case: Case) -> None:
    case = replace(case, rules=replace(case.rules, at_end=AtEnd.MARK))
    seen = watch(case)
    there = {(row.symbol, row.open_time): row for row in case.rows}
    latency = round(case.rules.latency_seconds * 1_000_000_000)
    for (symbol, opened), fills in seen.told_in().items():
        assert (symbol, opened) in there
        for fill in fills:
            assert fill.time in (opened, opened + MINUTE_NS)
            assert opened >= seen.lives[fill.order_id].order.created_time + latency


@few
@given(next_open.map(with_minutes))
def test_day_order_never_fills_in_a_bar_that_opens_after_its_session(case: Case) -> None:
    seen = watch(replace(case, rules=replace(case.rules, at_end=AtEnd.MARK)))
    tables = {one.symbol: table_of(one) for one in case.listed}
    for (symbol, opened), fills in seen.told_in().items():
        for order in (seen.lives[fill.order_id].order for fill in fills):
            if order.time_in_force is TimeInForce.DAY:
                table = tables[symbol]
                at = session_at(table, order.created_time)
                if at < 0:
                    at = int(table.session_open.searchsorted(order.created_time))
                assert opened < table.session_close[at]


@few
@given(cases())
def test_group_never_fills_more_than_one_of_its_orders_in_full(case: Case) -> None:
    assume(not any(isinstance(one, Amend) for _, actions in (*case.script, *case.on_fill) for one in actions))
    seen = watch(case)
    for entry in [life.order.id for life in seen.lives.values()]:
        children = [life.order.id for life in seen.lives.values() if life.order.parent == entry]
        assert sum(map(seen.filled, children)) <= seen.filled(entry)
    # A group whose orders were given one after the other may fill more: those that join late owe nothing to earlier fills.
    asked = [(one.request, at) for at, actions in case.script for one in actions if isinstance(one, Place) and one.request.oco]
    moments: dict[str, set[int]] = defaultdict(set)
    for request, at in asked:
        moments[request.oco].add(at)
    assume(not case.on_fill)
    for name in (name for name, times in moments.items() if len(times) == 1):
        members = [request for request, _ in asked if request.oco == name]
        likely = [
            life
            for life in seen.lives.values()
            if any(_is(life.order, request, seen) for request in members) and not life.order.parent
        ]
        others = [life for life in seen.lives.values() if life not in likely]
        if len(likely) <= len(members) and not any(_is(life.order, request, seen) for life in others for request in members):
            most = max((life.largest for life in likely), default=0)
            assert sum(seen.filled(life.order.id) for life in likely) <= most


def _is(order: object, request: object, seen: Watched) -> bool:
    """Whether an order may have come of a request."""
    same = ("symbol", "side", "kind", "time_in_force")
    if any(getattr(order, name) != getattr(request, name) for name in same):
        return False
    symbol, quantity = order.symbol, request.quantity  # type: ignore[attr-defined]
    return seen.lots(symbol, order.quantity) == to_lots(quantity, seen.instrument(symbol))  # type: ignore[attr-defined]


@few
@given(cases(), st.sampled_from(((1, 1), (1, 7), (2, 3), (64, 2), (4096, 4096))))
def test_ledger_of_any_window_and_block_is_the_same(case: Case, size: tuple[int, int]) -> None:
    one, other = run_engine(case).account, run_engine(case, *size).account
    assert one.ledger_hash() == other.ledger_hash()
    assert one.kept == other.kept
    assert [points.tolist() for points in one.points] == [points.tolist() for points in other.points]


@few
@given(cases(), st.sampled_from(((1, 1), (8, 5), (4096, 4096))))
def test_ledger_of_a_strategy_that_looks_at_its_account_is_the_same(case: Case, size: tuple[int, int]) -> None:
    looking, other = watch(case, *size).account, run_engine(case, *size).account
    assert looking.ledger_hash() == other.ledger_hash()
    assert looking.kept == other.kept


@few
@given(cases())
def test_trade_has_its_worst_at_most_zero_and_its_best_at_least_zero(case: Case) -> None:
    seen = watch(case)
    trades = [one for one in seen.kept if isinstance(one, Trade)]
    for trade in trades:
        assert trade.mae <= 0.0 <= trade.mfe
        assert trade.entry_time <= trade.exit_time
        assert trade.quantity > 0
    final = seen.account.final
    if not any(one.quantity for one in final.positions()):
        assert sum(units(trade.pnl) for trade in trades) == units(final.realised_pnl)
        assert sum(units(trade.fees) for trade in trades) == units(final.fees)


@few
@given(cases())
def test_equity_points_come_strictly_later_one_after_the_other(case: Case) -> None:
    times = run_engine(case).account.points[0].tolist()
    assert all(one < other for one, other in pairwise(times))


@few
@given(next_open, st.integers(0, 5))
def test_random_slippage_lies_in_its_range_and_comes_again_with_its_seed(case: Case, seed: int) -> None:
    plain = replace(case.rules, slippage=Slippage(), seed=seed)
    slipped = replace(plain, slippage=Slippage(random_bps=40.0))
    placed = tuple((at, tuple(one for one in actions if isinstance(one, Place))[:1]) for at, actions in case.script[:1])
    case = replace(case, script=placed, on_fill=())
    without = [one for one in run_engine(replace(case, rules=plain)).account.kept if isinstance(one, Fill)]
    thread = run_engine(replace(case, rules=slipped))
    found = [one for one in thread.account.kept if isinstance(one, Fill)]
    again = run_engine(replace(case, rules=slipped))
    assert thread.account.ledger_hash() == again.account.ledger_hash()
    for one, other in zip(without[:1], found[:1], strict=True):
        sign = 1 if one.side == "buy" else -1
        tick = next(held.tick for held in case.instruments if held.symbol == one.symbol) or 0.0
        assert -1e-12 * one.price <= sign * (other.price - one.price) <= one.price * 40e-4 + tick + 1e-9


@few
@given(cases())
def test_limit_is_never_passed_and_grids_are_kept(case: Case) -> None:
    seen = watch(case)
    amended = {one.order_id for one in seen.kept if type(one).__name__ == "Amended"}
    for fill in seen.fills:
        order, instrument = seen.lives[fill.order_id].order, seen.instrument(fill.symbol)
        if order.limit_price is not None and fill.order_id not in amended:
            sign = 1 if fill.side == "buy" else -1
            assert sign * (order.limit_price - fill.price) >= -1e-9 * fill.price
        if instrument.tick is not None:
            ticks = fill.price / instrument.tick
            assert abs(ticks - round(ticks)) < 1e-6
        assert fill.is_maker is False or order.kind in (OrderKind.LIMIT, OrderKind.STOP_LIMIT)
        assert abs(fill.fee * MONEY - round(fill.fee * MONEY)) < 1e-3


@few
@given(cases())
def test_ends_of_orders_and_fills_are_told_in_time(case: Case) -> None:
    seen = watch(case)
    for now, fill in seen.told:
        assert fill.time <= now
    told = [fill for _, fill in seen.told]
    assert told == seen.fills
    for one in seen.kept:
        if isinstance(one, OrderEnded) and one.state is OrderState.EXPIRED:
            assert seen.lives[one.order_id].order.time_in_force is TimeInForce.DAY
