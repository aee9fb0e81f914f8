"""Several strategies in one book: what they do to each other is settled at the end of the step, in the session's order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from stratd.execution.book import BookRules, Netting
from stratd.execution.records import OrderEnded
from stratd.execution.rules import AccountRules, AtEnd, Commission, FillRule, Slippage
from stratd.model import MONEY, Instrument, OrderState, Refusal, RiskRefused, TradingState
from stratd.risk.kill_switch import KillSwitch
from stratd.risk.limits import Policy, RiskLimits
from stratd.strategy.context import StrategyContext
from tests.support.books import CAPITAL, play_book
from tests.support.ledgers import AAA, BBB, amend, cancel, fill, nothing, ns, order, state, units
from tests.support.spine import Lines

FLAT = "12:00 100\n12:01 100\n12:02 100\n12:03 100\n12:04 100"
COSTLY = AccountRules(allocated_capital=CAPITAL, slippage=Slippage(bps=100), commission=Commission(taker_bps=10))
INTERNAL = BookRules(netting=Netting.INTERNAL)


def working(ctx: StrategyContext) -> object:
    return [(one.id, str(one.state)) for one in ctx.orders()]


# Crossing.


def test_cross_common_lots_fill_at_the_open_without_costs_and_the_rest_goes_to_the_venue() -> None:
    played = play_book(FLAT, {"one": {"12:01": order("buy", 10)}, "two": {"12:01": order("sell", 4)}}, INTERNAL, rules=COSTLY)
    rest = 100 * 1.01
    assert played.ledgers["one"].fills == [
        fill(1, "12:01", "buy", 4, 100),
        fill(1, "12:01", "buy", 6, rest, fee=6 * rest * 0.001),
    ]
    assert played.ledgers["two"].fills == [fill(1, "12:01", "sell", 4, 100)]
    assert played.ledgers["one"].cash == units(CAPITAL - 4 * 100 - 6 * rest * 1.001)
    assert played.ledgers["two"].cash == units(CAPITAL + 4 * 100)
    assert played.net_lots["12:02"] == [6]


def test_cross_without_netting_everybody_pays_the_venue() -> None:
    plans = {"one": {"12:01": order("buy", 10)}, "two": {"12:01": order("sell", 4)}}
    played = play_book(FLAT, plans, BookRules(), rules=COSTLY)
    assert played.ledgers["one"].fills == [fill(1, "12:01", "buy", 10, 101, fee=10 * 101 * 0.001)]
    assert played.ledgers["two"].fills == [fill(1, "12:01", "sell", 4, 99, fee=4 * 99 * 0.001)]


def test_cross_lots_go_to_the_first_strategies_and_orders_of_the_session() -> None:
    plans = {
        "one": {"12:01": [order("buy", 3), order("buy", 4)]},
        "two": {"12:01": order("sell", 5)},
        "three": {"12:01": order("buy", 5)},
        "four": {"12:01": order("sell", 4)},
    }
    played = play_book(FLAT, plans, INTERNAL, rules=COSTLY)
    free = {name: [(one.order, one.quantity) for one in ledger.fills if not one.fee] for name, ledger in played.ledgers.items()}
    # Nine lots are sold: one's seven come first, then two of three's.
    assert free == {"one": [(1, 3), (2, 4)], "two": [(1, 5)], "three": [(1, 2)], "four": [(1, 4)]}


def test_cross_of_another_symbol_or_another_step_does_not_happen() -> None:
    plans = {"one": {"12:01": order("buy", 5)}, "two": {"12:01": order("sell", 5, "BBB"), "12:02": order("sell", 5)}}
    text = "\n".join(f"{symbol} {minute} 100" for minute in ("12:00", "12:01", "12:02", "12:03") for symbol in ("AAA", "BBB"))
    played = play_book(text, plans, INTERNAL, rules=COSTLY, instruments=(AAA, BBB))
    assert all(one.fee for ledger in played.ledgers.values() for one in ledger.fills)


def test_cross_limit_orders_do_not() -> None:
    plans = {"one": {"12:01": order("buy", 5, kind="limit", limit_price=100)}, "two": {"12:01": order("sell", 5)}}
    played = play_book(FLAT, plans, INTERNAL, rules=COSTLY)
    assert [one.price for one in played.ledgers["two"].fills] == [99]


def test_cross_with_different_latency_does_not_happen() -> None:
    late = AccountRules(allocated_capital=CAPITAL, latency_seconds=30, commission=Commission(taker_bps=10))
    plans = {"one": {"12:01": order("buy", 5)}, "two": {"12:01": order("sell", 5)}}
    played = play_book(FLAT, plans, INTERNAL, rules={"one": COSTLY, "two": late})
    assert [one.time for one in played.ledgers["one"].fills + played.ledgers["two"].fills] == ["12:01", "12:02"]
    assert all(one.fee for ledger in played.ledgers.values() for one in ledger.fills)


def test_cross_side_that_is_cancelled_before_a_bar_comes_leaves_the_other_to_the_venue() -> None:
    text = "AAA 12:00 100\nBBB 12:00 50\nBBB 12:01 50\nBBB 12:02 50\nAAA 12:03 100\nBBB 12:03 50"  # AAA is silent for two minutes
    plans = {"one": {"12:01": order("buy", 5)}, "two": {"12:01": order("sell", 5), "12:02": cancel(1)}}
    played = play_book(text, plans, INTERNAL, rules=COSTLY, instruments=(AAA, BBB))
    assert played.ledgers["two"].ended == {1: ("cancelled", 0)}
    assert played.ledgers["one"].fills == [fill(1, "12:03", "buy", 5, 101, fee=5 * 101 * 0.001)]


def test_cross_waits_for_the_bar_that_both_fill_in() -> None:
    text = "AAA 12:00 100\nBBB 12:00 50\nBBB 12:01 50\nAAA 12:02 104\nBBB 12:02 50"
    plans = {"one": {"12:01": order("buy", 5)}, "two": {"12:01": order("sell", 5)}}
    played = play_book(text, plans, INTERNAL, rules=COSTLY, instruments=(AAA, BBB))
    assert played.ledgers["one"].fills == [fill(1, "12:02", "buy", 5, 104)]
    assert played.ledgers["two"].fills == [fill(1, "12:02", "sell", 5, 104)]


def test_cross_exit_takes_part_with_what_is_held() -> None:
    plans = {
        "one": {"12:01": order("buy", 5), "12:03": order("sell", 50, reduce_only=True)},
        "two": {"12:03": order("buy", 20)},
    }
    played = play_book(FLAT, plans, INTERNAL, rules=COSTLY)
    assert played.ledgers["one"].fills[1] == fill(2, "12:03", "sell", 5, 100)
    assert [(one.quantity, one.price) for one in played.ledgers["two"].fills] == [(5, 100), (15, 101)]


def test_cross_exit_that_an_older_order_may_come_before_does_not() -> None:
    text = "12:00 100\n12:01 100\n12:02 100\n12:03 90\n12:04 90"
    stop = order("sell", 5, kind="stop", stop_price=95, reduce_only=True)
    plans = {
        "one": {"12:01": order("buy", 5), "12:02": stop, "12:03": order("sell", 5, reduce_only=True)},
        "two": {"12:03": order("buy", 5)},
    }
    played = play_book(text, plans, INTERNAL, rules=COSTLY)
    assert played.ledgers["one"].ended[3] == ("cancelled", 0)  # the stop has sold everything at the same open
    assert played.ledgers["two"].fills == [fill(1, "12:03", "buy", 5, 90.9, fee=5 * 90.9 * 0.001)]


def test_cross_order_of_a_group_does_not_as_the_groups_other_may_fill_first() -> None:
    first = order("buy", 5, kind="limit", limit_price=101, oco="entry")
    plans = {"one": {"12:01": [first, order("buy", 5, oco="entry")]}, "two": {"12:01": order("sell", 5)}}
    played = play_book(FLAT, plans, INTERNAL, rules=COSTLY)
    assert played.ledgers["one"].ended == {1: ("filled", 5), 2: ("cancelled", 0)}
    assert played.ledgers["two"].fills == [fill(1, "12:01", "sell", 5, 99, fee=5 * 99 * 0.001)]


def test_cross_with_an_order_that_ends_with_its_day_does_not_happen_unless_both_do() -> None:
    text = "AAA 2024-01-02T23:58 100\nBBB 2024-01-02T23:58 50\nBBB 2024-01-02T23:59 50\nAAA 2024-01-03T00:00 100\nBBB 2024-01-03T00:00 50"
    at = "23:59"
    plans = {
        "one": {at: order("buy", 5, time_in_force="day")},
        "two": {at: order("sell", 5)},
        "three": {at: order("sell", 5, time_in_force="day")},
    }
    played = play_book(text, plans, INTERNAL, rules=COSTLY, instruments=(AAA, BBB))
    assert played.ledgers["one"].ended == played.ledgers["three"].ended == {1: ("expired", 0)}
    assert played.ledgers["two"].fills == [fill(1, "2024-01-03T00:00", "sell", 5, 99, fee=5 * 99 * 0.001)]


@pytest.mark.parametrize("bound", [None, 0.5])
def test_cross_where_participation_bounds_fills_does_not_happen(bound: float | None) -> None:
    rules = replace(COSTLY, participation=bound)
    text = "12:00 100 100 100 100 10\n12:01 100 100 100 100 10\n12:02 90 90 90 90 10\n12:03 90 90 90 90 10"
    plans = {"one": {"12:01": order("buy", 8)}, "two": {"12:01": order("sell", 8)}}
    played = play_book(text, plans, INTERNAL, rules={"one": rules, "two": COSTLY})
    assert [bool(one.fee) for one in played.ledgers["one"].fills] == ([False] if bound is None else [True, True])
    assert [bool(one.fee) for one in played.ledgers["two"].fills] == [bound is not None]


def test_cross_at_the_close_that_both_decided_on() -> None:
    close = AccountRules(allocated_capital=CAPITAL, fill=FillRule.CLOSE, commission=Commission(taker_bps=10))
    text = "12:00 100 103 99 102\n12:01 110\n12:02 110"
    plans = {"one": {"12:01": order("buy", 5)}, "two": {"12:01": order("sell", 3)}}
    played = play_book(text, plans, INTERNAL, rules=close)
    assert played.ledgers["one"].fills == [fill(1, "12:01", "buy", 3, 102), fill(1, "12:01", "buy", 2, 102, fee=2 * 102 * 0.001)]
    assert played.ledgers["two"].fills == [fill(1, "12:01", "sell", 3, 102)]


# Shared buying power.

SHARED = BookRules(shared_buying_power=True)


def test_shared_buying_power_goes_to_the_first_strategies_of_the_session() -> None:
    small = AccountRules(allocated_capital=1_000)
    plans = {
        "one": {"12:01": order("buy", 15)},  # 1,500 of 3,000
        "two": {"12:01": order("buy", 16)},  # 3,100 together: refused
        "three": {"12:01": order("buy", 15)},  # 3,000 together
    }
    played = play_book(FLAT, plans, SHARED, rules=small)
    assert [len(ledger.fills) for ledger in played.ledgers.values()] == [1, 0, 1]
    assert played.refused == {"one": {}, "two": {"book": 1}, "three": {}}
    assert played.book.refusals == {Refusal.BUYING_POWER: 1}


def test_shared_buying_power_is_in_use_by_positions_open_orders_and_not_by_exits() -> None:
    small = AccountRules(allocated_capital=1_000)
    plans = {
        "one": {"12:01": order("buy", 10), "12:02": order("buy", 5, kind="limit", limit_price=90)},  # 1,000, then 500 open
        "two": {"12:03": [order("sell", 6), order("sell", 5)]},  # 2,100; 2,000
        "three": {"12:04": order("buy", 1)},
    }
    played = play_book(
        FLAT + "\n12:05 100", {**plans, "one": {**plans["one"], "12:04": order("sell", 10)}}, SHARED,
        rules={"one": small, "two": small, "three": AccountRules(allocated_capital=0.01)},
    )  # fmt: skip
    assert played.ledgers["two"].ended == {1: ("refused", 0), 2: ("filled", 5)}
    assert played.ledgers["one"].ended[3] == ("filled", 10)
    assert played.ledgers["three"].ended == {1: ("refused", 0)}  # what one's exit sets free is there from the next step on


def test_shared_buying_power_has_what_no_strategy_was_given_and_leverage() -> None:
    small = AccountRules(allocated_capital=1_000, leverage=2)
    plans = {"one": {"12:01": [order("buy", 61), order("buy", 60)]}}
    played = play_book(FLAT, plans, BookRules(shared_buying_power=True, capital=3_000), rules=small)
    assert played.ledgers["one"].ended == {1: ("refused", 0), 2: ("filled", 60)}


def test_buying_power_that_is_not_shared_is_each_strategys_own() -> None:
    small = AccountRules(allocated_capital=1_000)
    plans = {"one": {"12:01": order("buy", 15)}, "two": {"12:01": order("buy", 10)}}
    played = play_book(FLAT, plans, BookRules(), rules=small)
    assert played.ledgers["one"].answers == [RiskRefused(Refusal.BUYING_POWER)]
    assert [len(ledger.fills) for ledger in played.ledgers.values()] == [0, 1]


# Decisions.


def test_refusal_is_visible_at_the_next_step_and_the_children_end_with_their_entry() -> None:
    acts = [order("buy", 20, stop_loss_price=90, take_profit_price=120), working]
    book = BookRules(limits=RiskLimits(max_order_quantity=10))
    played = play_book(FLAT, {"one": {"12:01": acts, "12:02": working}}, book)
    ledger = played.ledgers["one"]
    assert ledger.answers == [1, [(1, "new"), (2, "held"), (3, "held")], []]
    assert ledger.ended == {1: ("refused", 0), 2: ("cancelled", 0), 3: ("cancelled", 0)}
    assert ledger.ended_at == dict.fromkeys((1, 2, 3), "12:01")
    assert ledger.fills == []
    assert played.refused["one"] == {"book": 1}


def test_order_that_is_let_through_is_eligible_as_if_there_were_no_book() -> None:
    played = play_book(FLAT, {"one": {"12:01": [order("buy", 5, stop_loss_price=90), working], "12:02": working}}, BookRules())
    assert played.ledgers["one"].fills == [fill(1, "12:01", "buy", 5, 100)]
    assert played.ledgers["one"].answers[1:] == [[(1, "new"), (2, "held")], [(2, "working")]]


@pytest.mark.parametrize("latency", [0.0, 90.0])
def test_waiting_order_that_is_cancelled_is_gone(latency: float) -> None:
    rules = AccountRules(allocated_capital=CAPITAL, latency_seconds=latency)
    played = play_book(FLAT, {"one": {"12:01": [order("buy", 5), cancel(1), working]}}, BookRules(), rules=rules)
    assert played.ledgers["one"].answers == [1, True, []]
    assert played.ledgers["one"].ended == {1: ("cancelled", 0)}
    assert played.book.refusals == {}


def test_order_that_grows_is_refused_and_one_that_shrinks_is_not() -> None:
    acts = {"12:01": order("buy", 5, kind="limit", limit_price=90), "12:02": [amend(1, quantity=6), amend(1, quantity=4)]}
    played = play_book(FLAT, {"one": acts}, BookRules())
    assert played.ledgers["one"].answers == [1, RiskRefused(Refusal.BOOK), True]


def test_net_position_limit_counts_all_strategies_and_what_they_have_open() -> None:
    plans = {
        "one": {"12:01": order("buy", 10)},
        "two": {"12:01": order("sell", 5), "12:03": order("buy", 5)},
        "three": {"12:01": order("buy", 1), "12:03": [order("buy", 1), order("sell", 16), order("sell", 15)]},
    }
    played = play_book(FLAT, plans, BookRules(limits=RiskLimits(max_position_quantity=10)))
    three = played.ledgers["three"]
    # 12:01: the net could come to ten by one's order, so three's is too much, though two sells.
    # 12:03: five net, and ten with two's exit, so no more buys. From five, fifteen may be sold.
    assert three.ended == {1: ("refused", 0), 2: ("refused", 0), 3: ("refused", 0), 4: ("filled", 15)}
    assert played.ledgers["two"].ended == {1: ("filled", 5), 2: ("filled", 5)}
    assert played.book.refusals == {Refusal.POSITION_QUANTITY: 3}
    assert played.net_lots["12:04"] == [-5]


def test_net_position_limit_lets_through_what_brings_the_net_to_the_other_side() -> None:
    plans = {"one": {"12:01": order("buy", 10)}, "two": {"12:02": [order("sell", 21), order("sell", 20)]}}
    played = play_book(FLAT, plans, BookRules(limits=RiskLimits(max_position_notional=1_000)))
    assert played.ledgers["two"].ended == {1: ("refused", 0), 2: ("filled", 20)}
    assert played.book.refusals == {Refusal.POSITION_NOTIONAL: 1}


def test_two_exits_of_one_position_are_not_both_exits() -> None:
    plans = {"one": {"12:01": order("buy", 10)}, "two": {"12:03": order("sell", 5)}}
    plans["one"]["12:03"] = [order("sell", 10), order("sell", 6)]  # type: ignore[index]
    played = play_book(FLAT, plans, BookRules(limits=RiskLimits(max_position_quantity=10)))
    assert played.ledgers["one"].ended[3] == ("filled", 6)  # the net may come to six short, then two's to eleven
    assert played.ledgers["two"].ended == {1: ("refused", 0)}


@pytest.mark.parametrize(
    ("limits", "plan", "reason"),
    [
        (RiskLimits(max_order_quantity=4), order("buy", 5), Refusal.ORDER_QUANTITY),
        (RiskLimits(max_order_notional=499), order("buy", 5), Refusal.ORDER_NOTIONAL),
        (RiskLimits(allowed_symbols=("BBB",)), order("buy", 5), Refusal.SYMBOL),
        (RiskLimits(price_band_fraction=0.05), order("buy", 5, kind="limit", limit_price=94), Refusal.PRICE_BAND),
        (RiskLimits(price_band_fraction=0.05), order("buy", 5, kind="stop", stop_price=106), Refusal.PRICE_BAND),
    ],
)
def test_limit_of_the_book_refuses_an_order(limits: RiskLimits, plan: object, reason: Refusal) -> None:
    played = play_book(FLAT, {"one": {"12:01": plan}}, BookRules(limits=limits))  # type: ignore[dict-item]
    assert played.ledgers["one"].ended == {1: ("refused", 0)}
    assert played.book.refusals == {reason: 1}


def test_orders_per_minute_are_those_of_all_strategies() -> None:
    plans = {name: {"12:01": order("buy", 1), "12:02": order("buy", 1)} for name in ("one", "two", "three")}
    played = play_book(FLAT, plans, BookRules(limits=RiskLimits(max_orders_per_minute=2)))
    assert [sorted(ledger.ended.items()) for ledger in played.ledgers.values()] == [
        [(1, ("filled", 1)), (2, ("filled", 1))],
        [(1, ("filled", 1)), (2, ("filled", 1))],
        [(1, ("refused", 0)), (2, ("refused", 0))],
    ]


def test_same_order_of_two_strategies_is_no_duplicate() -> None:
    played = play_book(FLAT, {name: {"12:01": order("buy", 1)} for name in ("one", "two")}, BookRules())
    assert [len(ledger.fills) for ledger in played.ledgers.values()] == [1, 1]


# Running limits.

FALLING = "12:00 100\n12:01 100\n12:02 100 100 60 60\n12:03 60\n12:04 60\n12:05 60"


def test_system_drawdown_halts_everybody_and_cancels() -> None:
    plans = {
        "one": {"12:01": order("buy", 80), "12:04": order("sell", 80)},  # loses 3,200 of the book's 30,000
        "two": {"12:02": order("buy", 10, kind="limit", limit_price=50), "12:03": working, "12:04": [working, state]},
        "three": {"12:03": order("buy", 1), "12:04": [state, order("buy", 1)]},
    }
    played = play_book(FALLING, plans, BookRules(limits=RiskLimits(drawdown_fraction=0.10)))
    one, two, three = (played.ledgers[name] for name in plans)
    assert played.book.state is TradingState.HALTED
    assert one.states == two.states == three.states == [("12:03", "halted")]
    assert two.answers == [1, [(1, "working")], [], "halted"]
    assert two.ended == {1: ("cancelled", 0)}
    assert three.ended == {1: ("cancelled", 0)}  # decided in the step in which the book was halted
    assert three.answers == [1, "halted", RiskRefused(Refusal.HALTED)]
    assert one.answers[1] == RiskRefused(Refusal.HALTED)
    assert played.net_lots["12:05"] == [80]  # positions are kept
    assert played.book.notes()[1] == "the book is halted since 2024-01-02T12:03:00Z: drawdown"
    assert played.book.monitor.equity == units(30_000 - 80 * 40)


def test_system_drawdown_that_is_not_reached_changes_nothing() -> None:
    played = play_book(
        FALLING, {"one": {"12:01": order("buy", 80)}}, BookRules(capital=33_000, limits=RiskLimits(drawdown_fraction=0.10))
    )
    assert played.book.state is TradingState.ACTIVE
    assert played.ledgers["one"].states == []


def test_system_daily_loss_may_reduce_first_and_a_drawdown_halt_later() -> None:
    limits = RiskLimits(daily_loss_fraction=0.05, daily_loss_policy=Policy.REDUCE, drawdown_fraction=0.20)
    text = "12:00 100\n12:01 100\n12:02 100 100 90 90\n12:03 90\n12:04 90 90 70 70\n12:05 70"
    plans = {
        "one": {"12:01": order("buy", 80), "12:04": [order("buy", 1), order("sell", 10)]},
        "two": {"12:04": order("buy", 1), "12:05": nothing},
    }
    rules = {"one": None, "two": AccountRules(allocated_capital=100)}
    played = play_book(text, plans, BookRules(limits=limits), rules={k: v for k, v in rules.items() if v})
    assert played.ledgers["one"].answers[1:] == [RiskRefused(Refusal.REDUCING), 2]
    assert played.ledgers["two"].answers[0] == RiskRefused(Refusal.REDUCING)
    assert played.ledgers["one"].states == [("12:03", "reducing"), ("12:05", "halted")]


def test_system_reducing_an_order_of_that_step_is_refused_unless_it_reduces() -> None:
    limits = RiskLimits(drawdown_fraction=0.10, drawdown_policy=Policy.REDUCE)
    plans = {"one": {"12:01": order("buy", 80), "12:03": order("sell", 30)}, "two": {"12:03": order("buy", 1)}}
    played = play_book(FALLING, plans, BookRules(limits=limits))
    assert played.ledgers["one"].ended[2] == ("filled", 30)
    assert played.ledgers["two"].ended == {1: ("refused", 0)}
    assert played.book.refusals == {Refusal.REDUCING: 1}


def test_system_exposure_is_net_and_not_gross() -> None:
    plans = {"one": {"12:01": order("buy", 50)}, "two": {"12:01": order("sell", 48), "12:03": order("buy", 48)}}
    played = play_book(FLAT, plans, BookRules(limits=RiskLimits(exposure_fraction=0.1)))
    # 50 long and 48 short are 200 of 20,000; without the shorts it is 5,000.
    assert played.ledgers["one"].states == [("12:04", "reducing")]
    assert played.book.monitor.exposure == units(5_000)


def test_system_consecutive_losses_are_those_of_all_strategies_in_order() -> None:
    text = "12:00 100\n12:01 100\n12:02 99\n12:03 99\n12:04 98\n12:05 98"
    plans = {
        "one": {"12:01": order("buy", 1), "12:02": order("sell", 1)},  # loses at 12:02
        "two": {"12:01": order("buy", 1), "12:04": order("sell", 1)},  # loses at 12:04
    }
    limits = RiskLimits(consecutive_losses=2, consecutive_losses_policy=Policy.HALT)
    played = play_book(text, plans, BookRules(limits=limits))
    assert played.ledgers["two"].states == [("12:05", "halted")]


# Whatever happens to a strategy.


def test_strategy_that_hangs_does_not_hold_up_the_book_and_is_left_alone() -> None:
    released = Event()

    def hang(ctx: StrategyContext) -> object:
        released.wait(20)
        return ctx.order("AAA", "buy", 1)

    plans = {"one": {"12:01": order("buy", 7), "12:03": [order("buy", 3), hang]}, "two": {"12:04": order("buy", 2)}}
    try:
        played = play_book(FLAT + "\n12:05 90", plans, BookRules(limits=RiskLimits(drawdown_fraction=0.001)), timeout=0.3)
        assert played.spine.timed_out == ["one"]
        assert played.ledgers["two"].ended == {1: ("filled", 2)}
        assert played.book.net_positions() == {"AAA": 9}  # what it had asked for in the step in which it hung is not let through
        assert played.threads["one"].account.closed_by is Refusal.HALTED  # the book was halted at the last bar
    finally:
        released.set()
        assert played.threads["one"].join(20)
    assert played.threads["one"].account.trading_state is TradingState.ACTIVE  # nobody has been at its tables
    assert played.threads["one"].account.refusals == {Refusal.HALTED: 1}


def test_order_that_the_book_never_decides_on_does_not_fill() -> None:
    played = play_book(
        FLAT, {"one": {"12:01": [order("buy", 7, stop_loss_price=90)], "12:03": working}}, BookRules(), asleep=True
    )
    assert played.ledgers["one"].fills == []
    assert played.ledgers["one"].answers[1] == [(1, "new"), (2, "held")]


# The kill switch.


def test_kill_switch_refuses_the_next_order_cancels_what_is_open_and_lets_go(tmp_path: Path) -> None:
    file = tmp_path / "HALT"
    switches: list[KillSwitch] = []

    def throw(ctx: StrategyContext) -> object:
        file.write_text("too hot")
        return switches[0].check()

    def release(ctx: StrategyContext) -> object:
        file.unlink()
        return switches[0].check()

    low = {"kind": "limit", "limit_price": 95}
    plans = {
        "one": {"12:01": order("buy", 1, **low), "12:03": [throw, order("buy", 2), working], "12:05": [release, order("buy", 3)]},
        "two": {
            "12:01": [order("buy", 4), order("buy", 5, **low)],
            "12:04": [order("buy", 6), working],
            "12:06": order("sell", 4),
        },
    }
    # Two may be before or behind its own 12:03 when the switch is thrown, so nothing of it could fill then.
    text = "12:00 100\n12:01 100\n12:02 100\n12:03 100 100 90 100\n12:04 100\n12:05 100\n12:06 100"
    played = play_book(
        text,
        plans,
        BookRules(),
        prepare=lambda spine: switches.append(KillSwitch(file, [one.account for one in spine.threads], Lines())),
    )
    one, two = played.ledgers["one"], played.ledgers["two"]
    assert one.answers == [1, True, RiskRefused(Refusal.KILL_SWITCH), [], False, 2]
    assert two.answers == [1, 2, RiskRefused(Refusal.KILL_SWITCH), [], 3]
    assert [one.ended[1], two.ended[2]] == [("cancelled", 0)] * 2
    assert [(one.order, one.time) for one in one.fills] == [(2, "12:05")]
    assert [(one.order, one.time) for one in two.fills] == [(1, "12:01"), (3, "12:06")]
    assert switches[0].count == 1
    assert OrderEnded(ns("12:03"), 1, OrderState.CANCELLED, "the kill switch was thrown", 0.0) in one.kept


def test_kill_switch_that_is_released_leaves_what_else_forbids_orders(tmp_path: Path) -> None:
    file = tmp_path / "HALT"
    played = play_book(FLAT, {"one": {"12:01": order("buy", 1)}}, BookRules())
    account = played.threads["one"].account
    switch = KillSwitch(file, [account], Lines())
    file.write_text("")
    assert switch.check()
    assert account.closed_by is Refusal.KILL_SWITCH
    account.closed_by = Refusal.JOURNAL
    file.unlink()
    assert not switch.check()
    assert account.closed_by is Refusal.JOURNAL


# However the session is cut up.


def test_strategy_that_raises_does_not_hold_up_the_book_and_its_position_stays_in_it() -> None:
    def fail(ctx: StrategyContext) -> object:
        raise ValueError("broken")

    plans = {"one": {"12:01": order("buy", 7), "12:03": fail}, "two": {"12:04": order("buy", 2)}}
    played = play_book(FLAT + "\n12:05 90", plans, BookRules())
    assert str(played.threads["one"].state) == "QUARANTINED"
    assert played.ledgers["two"].ended == {1: ("filled", 2)}
    assert played.net_lots["12:06"] == [9]
    assert played.book.monitor.equity == units(2 * CAPITAL - 9 * 10)
    assert played.differs == []


def test_symbols_of_their_own_every_strategy_is_at_the_step_when_it_is_settled() -> None:
    text = "AAA 12:00 100\nBBB 12:00 50\nAAA 12:01 100\nBBB 12:02 50\nAAA 12:03 100\nAAA 12:04 100\nBBB 12:05 40\nBBB 12:06 40"
    plans = {"one": {"12:01": order("buy", 5)}, "two": {"12:01": order("buy", 3, "BBB")}}
    streams = {"one": [("AAA", "1m")], "two": [("BBB", "1m")]}
    played = play_book(text, plans, BookRules(), instruments=(AAA, BBB), streams=streams, block=2)
    assert played.net_lots == {
        "00:00": [0, 0], "12:01": [0, 0], "12:02": [5, 0], "12:03": [5, 3], "12:04": [5, 3], "12:05": [5, 3], "12:06": [5, 3], "12:07": [5, 3],
    }  # fmt: skip
    assert played.book.monitor.equity == units(2 * CAPITAL - 3 * 10)


def test_lots_smaller_than_a_unit_are_added_up_in_lots() -> None:
    tenth = Instrument("AAA", tick=0.01, lot=0.1)
    plans = {"one": {"12:01": order("buy", 0.5)}, "two": {"12:01": order("sell", 0.2)}}
    played = play_book(FLAT, plans, INTERNAL, instruments=(tenth,))
    assert played.book.net_positions() == {"AAA": 3}
    assert played.book.positions.net_exposure == units(30)
    assert played.book.positions.gross_exposure == units(70)


# What the book came to.


def test_cross_lots_that_have_filled_are_counted_with_what_they_were_worth() -> None:
    plans = {
        "one": {"12:01": order("buy", 10), "12:03": order("buy", 2)},
        "two": {"12:01": order("sell", 4), "12:03": order("sell", 2)},
    }
    played = play_book(FLAT, plans, INTERNAL, rules=COSTLY)
    assert played.book.crossed_lots() == {"AAA": 6}
    assert played.book.crossings.notional == 6 * 100 * MONEY
    assert played.book.approved == 4


def test_cross_lots_that_were_to_cross_and_were_cancelled_are_not_counted() -> None:
    text = "AAA 12:00 100\nBBB 12:00 50\nBBB 12:01 50\nBBB 12:02 50\nAAA 12:03 100\nBBB 12:03 50"  # AAA is silent for two minutes
    plans = {"one": {"12:01": order("buy", 5), "12:02": cancel(1)}, "two": {"12:01": order("sell", 5), "12:02": cancel(1)}}
    played = play_book(text, plans, INTERNAL, rules=COSTLY, instruments=(AAA, BBB))
    assert (played.book.crossed_lots(), played.book.crossings.notional) == ({}, 0)


def test_order_that_fills_at_the_close_of_the_last_step_is_filled() -> None:
    at_close = replace(COSTLY, fill=FillRule.CLOSE, slippage=Slippage())
    plans = {"one": {"12:05": order("buy", 10)}, "two": {"12:05": order("sell", 4)}}
    played = play_book(FLAT, plans, INTERNAL, rules=at_close)
    assert [(one.quantity, one.price, one.time) for one in played.ledgers["one"].fills] == [(4, 100, "12:05"), (6, 100, "12:05")]
    assert [one.quantity for one in played.ledgers["two"].fills] == [4]
    assert played.book.final_equity() == 2 * units(CAPITAL) - round(6 * 100 * 0.001 * MONEY)


def test_final_equity_is_after_what_was_closed_at_the_end() -> None:
    closing = replace(COSTLY, at_end=AtEnd.CLOSE)
    played = play_book(FLAT, {"one": {"12:01": order("buy", 10)}}, BookRules(capital=2 * CAPITAL), rules=closing)
    assert played.ledgers["one"].final_equity < units(CAPITAL)
    assert played.book.final_equity() == played.ledgers["one"].final_equity + units(CAPITAL)
