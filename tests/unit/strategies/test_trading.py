"""Shipped strategies on an account: stops, targets, sizes, and whether they know what they hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from stratd.execution.records import Intent, Refused
from stratd.execution.rules import AccountRules
from stratd.model import MINUTE_NS, Fill, Interval, OrderKind, Side, TradingState
from stratd.portfolio.sizing import FixedRiskSizing, UnitsSizing
from stratd.risk.limits import RiskLimits
from stratd.strategy.base import Strategy
from stratd.strategy.plugin import unload
from stratd.strategy.thread import StrategyThread
from stratd.testing.bars import BarRow

from .stage import FIRST_OPEN, PARAMS, ROUGH, SMOOTH, SYMBOLS, kind_of, perform, relay, walk

ROWS = walk()
ONE = UnitsSizing(units=1)


@pytest.fixture(scope="module")
def kinds() -> Iterator[dict[str, type[Strategy[Any]]]]:
    loaded = {name: kind_of(name) for name in PARAMS}
    yield loaded
    for kind in loaded.values():
        unload(kind)


def fives(*bars: tuple[float, float, float], first: int = 0) -> list[BarRow]:
    """1m bars of AAA, five for each (high, low, close): the first has the whole range, and all close where the last does."""
    rows = []
    for number, (high, low, close) in enumerate(bars, start=first):
        for minute in range(5):
            top, bottom = (high, low) if minute == 0 else (close, close)
            opened = FIRST_OPEN + (5 * number + minute) * MINUTE_NS
            rows.append(BarRow("AAA", opened, close, top, bottom, close, 1000.0))
    return rows


def flat(price: float) -> tuple[float, float, float]:
    return (price, price, price)


def signals(thread: StrategyThread) -> list[tuple[int, Side]]:
    """(number of the 5m bar that closed, side)."""
    return [((one.time - FIRST_OPEN) // (5 * MINUTE_NS) - 1, one.side) for one in thread.signals.kept]


def kept(thread: StrategyThread, kind: type) -> list[Any]:
    assert thread.account is not None
    return [event for event in thread.account.kept if isinstance(event, kind)]


def orders(thread: StrategyThread) -> list[tuple[Side, OrderKind, float | None]]:
    return [(one.order.side, one.order.kind, one.order.limit_price or one.order.stop_price) for one in kept(thread, Intent)]


def believes(name: str, state: dict[str, Any], symbol: str) -> bool:
    """Whether a strategy takes itself to be in a position."""
    if name == "donchian_breakout":
        return symbol in state["long"]
    if name == "ict_smc":
        return symbol in state.get("FixedRiskPlanner", {})
    found = state[symbol]
    return bool(found["long"] if "long" in found else found["age"] >= 0 if "age" in found else found["side"] != "flat")


@pytest.mark.parametrize("rules", [SMOOTH, ROUGH], ids=["smooth", "rough"])
@pytest.mark.parametrize(
    "name", ["simple_ma_cross", "donchian_breakout", "rsi_mean_reversion", "opening_range_breakout", "ict_smc"]
)
def test_strategy_with_stops_knows_at_every_bar_what_it_holds(
    kinds: dict[str, type[Strategy[Any]]], name: str, rules: AccountRules
) -> None:
    seen = []

    class Watched(relay(kinds[name], ())):  # type: ignore[misc]
        def on_bars(self, symbol: str, interval: Interval) -> None:
            # While an order works, what is held and what is wanted may differ.
            if not [one for one in self.ctx.orders(symbol) if one.parent == 0]:
                held = self.ctx.position(symbol).quantity != 0
                seen.append(held)
                assert believes(name, self.actor.save_state(), symbol) == held
            super().on_bars(symbol, interval)

    thread = perform(Watched, PARAMS[name], ROWS, rules)
    assert len(seen) > 300
    assert {True, False} == set(seen)
    stops = {one.order.id for one in kept(thread, Intent) if one.order.kind is OrderKind.STOP}
    assert stops & {fill.order_id for fill in kept(thread, Fill)}, "no stop was ever hit"


@pytest.mark.parametrize("name", PARAMS)
def test_strategy_without_sizing_signals_as_it_does_without_an_account(kinds: dict[str, type[Strategy[Any]]], name: str) -> None:
    thread = perform(kinds[name], PARAMS[name], ROWS, sizing=None)
    assert thread.account is not None
    assert thread.account.kept == ()
    assert thread.signals.kept == perform(kinds[name], PARAMS[name], ROWS, None).signals.kept  # type: ignore[arg-type]
    assert thread.signals.count >= 10


@pytest.mark.parametrize("name", PARAMS)
def test_strategy_on_an_account_that_is_halted_goes_on_without_errors(kinds: dict[str, type[Strategy[Any]]], name: str) -> None:
    thread = perform(kinds[name], PARAMS[name], ROWS, limits=RiskLimits(drawdown_fraction=1e-4))
    assert thread.account is not None
    assert thread.account.trading_state is TradingState.HALTED
    if name != "ict_smc":  # which may have nothing more to say
        assert kept(thread, Refused)


# --- simple_ma_cross -----------------------------------------------------------------------------------------------

RISE = [flat(100), flat(99), flat(98), flat(97), flat(101), flat(105)]


def cross(kinds: dict[str, type[Strategy[Any]]], rows: Sequence[BarRow], **params: Any) -> StrategyThread:
    return perform(
        kinds["simple_ma_cross"], {"symbols": ("AAA",), "fast_period": 2, "slow_period": 3, **params}, rows, sizing=ONE
    )


def test_ma_cross_without_a_stop_does_not_ask_to_hear_of_fills(kinds: dict[str, type[Strategy[Any]]]) -> None:
    thread = cross(kinds, fives(*RISE))
    assert thread.strategy.ctx.events.listened() == ()
    assert orders(thread) == [(Side.BUY, OrderKind.MARKET, None)]


def test_ma_cross_with_a_stop_that_was_hit_waits_for_the_next_cross(kinds: dict[str, type[Strategy[Any]]]) -> None:
    # Averages cross at bar 4, whose close is 101: the stop is at 99.99. Bar 6 falls through it and closes high.
    rows = fives(*RISE, (105, 99, 105), flat(106), flat(90), flat(80), flat(95), flat(110))
    thread = cross(kinds, rows, stop_fraction=0.01)
    assert orders(thread)[:2] == [(Side.BUY, OrderKind.MARKET, None), (Side.SELL, OrderKind.STOP, 99.99)]
    assert [fill.price for fill in kept(thread, Fill)][:2] == [105.0, 99.99]
    # No exit at bar 8, where they cross down: there is nothing to leave. Without the stop there is.
    assert signals(thread) == [(4, Side.BUY), (11, Side.BUY)]
    assert signals(cross(kinds, rows)) == [(4, Side.BUY), (8, Side.FLAT), (11, Side.BUY)]


# --- donchian_breakout ---------------------------------------------------------------------------------------------


def test_donchian_whose_stop_was_hit_buys_the_next_breakout(kinds: dict[str, type[Strategy[Any]]]) -> None:
    params = {"symbols": ("AAA",), "interval": "5m", "entry_period": 3, "exit_period": 3, "atr_period": 2, "stop_atr": 1.0}
    # Ranges of 1; the close of bar 4 is above 100.5. Its range is 2: by Wilder over 2 bars 1.5, so the stop is at 100.5.
    calm = [(100.5, 99.5, 100.0)] * 4
    rows = fives(*calm, (102, 100, 102.0), (102.2, 100.2, 101.5), (103, 101.5, 103))
    thread = perform(kinds["donchian_breakout"], params, rows, sizing=FixedRiskSizing(risk_fraction=0.01))
    assert next(one for one in orders(thread) if one[1] is OrderKind.STOP) == (Side.SELL, OrderKind.STOP, 100.5)
    assert kept(thread, Intent)[0].order.quantity == 666  # 1 % of 100,000 over a distance of 1.5
    assert signals(thread) == [(4, Side.BUY), (6, Side.BUY)]


# --- rsi_mean_reversion --------------------------------------------------------------------------------------------

FALL = [flat(close) for close in (9.0, 9.5, 10.0, 11.0, 12.0, 13.0, 14.0, 13.5, 13.0)]
RSI = {
    "interval": "5m",
    "rsi_period": 2,
    "oversold": 40,
    "recovered": 60,
    "trend_period": 8,
    "atr_period": 2,
    "symbols": ("AAA",),
}


def test_rsi_whose_stop_was_hit_has_nothing_to_leave(kinds: dict[str, type[Strategy[Any]]]) -> None:
    rows = fives(*FALL, (13, 10, 12.9), flat(14.5), flat(15))
    with_stop = perform(kinds["rsi_mean_reversion"], {**RSI, "stop_atr": 2.0}, rows, sizing=ONE)
    assert signals(with_stop) == [(8, Side.BUY)]
    (stop,) = (price for _, kind, price in orders(with_stop) if kind is OrderKind.STOP)
    assert stop is not None
    assert 10 < stop < 13
    without = perform(kinds["rsi_mean_reversion"], {**RSI, "stop_atr": 0.0}, rows, sizing=ONE)
    assert signals(without) == [(8, Side.BUY), (10, Side.FLAT)]
    assert [kind for _, kind, _ in orders(without)] == [OrderKind.MARKET] * 2


# --- opening_range_breakout ----------------------------------------------------------------------------------------


def test_opening_range_target_lies_heights_of_the_range_beyond_its_edge(kinds: dict[str, type[Strategy[Any]]]) -> None:
    params = {"symbols": ("AAA",), "range_minutes": 10, "target_ranges": 1.5}
    # The range is 99 to 101; the target 101 + 1.5 x 2. It is traded through in bar 4.
    rows = fives((101, 99, 100), (101, 99, 100), flat(101.5), flat(102), (104.5, 102, 104), *[flat(103)] * 44)
    thread = perform(kinds["opening_range_breakout"], params, rows, sizing=ONE)
    assert orders(thread) == [
        (Side.BUY, OrderKind.MARKET, None),
        (Side.SELL, OrderKind.STOP, 99.0),
        (Side.SELL, OrderKind.LIMIT, 104.0),
    ]
    assert [fill.price for fill in kept(thread, Fill)] == [102.0, 104.0]
    assert signals(thread) == [(2, Side.BUY)]  # and no exit before the close: it is out


def test_opening_range_close_beyond_the_target_asks_for_none(kinds: dict[str, type[Strategy[Any]]]) -> None:
    params = {"symbols": ("AAA",), "range_minutes": 10, "target_ranges": 0.1}
    rows = fives((101, 99, 100), (101, 99, 100), flat(98.5), flat(98.5))
    thread = perform(kinds["opening_range_breakout"], params, rows, sizing=ONE)
    assert orders(thread) == [(Side.SELL, OrderKind.MARKET, None), (Side.BUY, OrderKind.STOP, 101.0)]


def test_opening_range_exit_that_is_refused_is_tried_again(kinds: dict[str, type[Strategy[Any]]]) -> None:
    params = {"symbols": ("AAA",), "range_minutes": 10}
    rows = fives((101, 99, 100), (101, 99, 100), flat(101.5), flat(101.5), *[flat(99.5)] * 44)
    thread = perform(kinds["opening_range_breakout"], params, rows, sizing=ONE, limits=RiskLimits(drawdown_fraction=1e-5))
    # Halted by the fall: the exits at bars 45 and 46 are refused, and so is that of the session's last bar.
    assert signals(thread) == [(2, Side.BUY), (45, Side.FLAT), (46, Side.FLAT), (47, Side.FLAT)]


# --- cross_sectional_momentum --------------------------------------------------------------------------------------


def test_momentum_entry_that_is_refused_is_tried_again_at_the_next_ranking(kinds: dict[str, type[Strategy[Any]]]) -> None:
    params = {"interval": "5m", "lookback": 4, "rebalance_bars": 3, "top": 2, "invested": 3.0}
    thread = perform(kinds["cross_sectional_momentum"], params, ROWS, AccountRules(leverage=2.0))
    refused = kept(thread, Refused)
    assert refused
    first = refused[0]
    later = [one for one in thread.signals.kept if one.time > first.time and SYMBOLS[one.symbol] == first.symbol]
    assert later[0].side is Side.BUY, "what was refused is not held, so there is nothing to leave"


def test_momentum_weights_add_up_to_what_is_invested(kinds: dict[str, type[Strategy[Any]]]) -> None:
    params = {**PARAMS["cross_sectional_momentum"], "invested": 0.5}
    thread = perform(kinds["cross_sectional_momentum"], params, ROWS)
    assert {one.target_weight for one in thread.signals.kept if one.side is Side.BUY} == {0.25}
    for one in kept(thread, Intent)[:2]:
        assert one.order.quantity == pytest.approx(0.25 * 100_000 / 100, rel=0.05)


# --- smart_dca -----------------------------------------------------------------------------------------------------


def dca(**planner: Any) -> dict[str, Any]:
    force = {**PARAMS["smart_dca"]["workforce"]}
    force["planning_workers"] = [{"name": "DcaPlanner", "params": {"every_minutes": 15, "pause_above": 1.0, **planner}}]
    force["execution_workers"] = [{"name": "DcaExecution"}]
    return {"workforce": force, "symbols": ("AAA",)}


def test_dca_in_a_long_rise_never_sells_and_each_time_buys_what_it_says(kinds: dict[str, type[Strategy[Any]]]) -> None:
    # The price doubles: targets that add up what was planned would soon be below what is held, and sell.
    closes = [50.0 * 2 ** (k / 40) for k in range(41)]
    rows = fives(*[flat(50.0)] * 21, *[flat(round(close, 2)) for close in closes][: 48 - 21])
    params = dca(base_weight=0.05, cheap_factor=1.0, dear_factor=1.0, max_weight=1.0)
    thread = perform(kinds["smart_dca"], params, rows, AccountRules())
    placed = [one.order for one in kept(thread, Intent)]
    assert len(placed) == len(thread.signals.kept) == 10
    assert {order.side for order in placed} == {Side.BUY}
    price_at = {row.open_time + MINUTE_NS: row.close for row in rows}
    for order in placed:
        assert order.quantity * price_at[order.created_time] == pytest.approx(0.05 * 100_000, rel=0.15)


def test_dca_above_its_largest_weight_waits(kinds: dict[str, type[Strategy[Any]]]) -> None:
    rows = fives(*[flat(50.0)] * 24, *[flat(100.0)] * 24)
    thread = perform(kinds["smart_dca"], dca(base_weight=0.1, dear_factor=1.0, max_weight=0.15), rows, AccountRules())
    # Two purchases come to 15 %; at twice the price it is more, and nothing is bought or sold.
    assert [one.target_weight for one in thread.signals.kept][:1] == [0.1]
    assert all(one.order.side is Side.BUY for one in kept(thread, Intent))
    assert kept(thread, Intent)[-1].time < FIRST_OPEN + 26 * 5 * MINUTE_NS


def test_dca_counts_purchases_that_still_work(kinds: dict[str, type[Strategy[Any]]]) -> None:
    params = dca(base_weight=0.05, dear_factor=1.0, cheap_factor=1.0, max_weight=1.0)
    params["workforce"]["execution_workers"] = [{"name": "DcaExecution", "params": {"limit_entry": True}}]
    # The first limit, at 50, is met by a low of 49; then the price goes away, and the next ones rest.
    rows = fives(*[flat(50.0)] * 20, (50, 49, 50), (50, 49, 50), *[flat(51.0 + k) for k in range(26)])
    thread = perform(kinds["smart_dca"], params, rows, AccountRules())
    resting = [one.order for one in kept(thread, Intent)]
    assert len(resting) == len(thread.signals.kept) > 5
    for order in resting:
        assert order.limit_price is not None
        assert order.quantity * order.limit_price == pytest.approx(5_000, rel=0.05)


# --- ict_smc -------------------------------------------------------------------------------------------------------


def test_ict_entries_are_brackets_and_their_ends_need_no_signal(kinds: dict[str, type[Strategy[Any]]]) -> None:
    thread = perform(kinds["ict_smc"], {}, ROWS)
    entries = [one for one in thread.signals.kept if one.side is not Side.FLAT]
    exits = [one for one in thread.signals.kept if one.side is Side.FLAT]
    assert len(orders(thread)) == 3 * len(entries) + len(exits)
    assert all(one.reason.startswith(("change of character", "bars ")) for one in exits)
    assert len(exits) < len(entries)
