"""Ledgers by hand: open orders count in what an order is judged by, leaving is always possible, and numbers that are too large stop."""

from __future__ import annotations

from typing import Any

import pytest

from stratd.execution.book import BookRules, Netting
from stratd.execution.rules import AccountRules, LotRule
from stratd.model import Instrument, RiskRefused
from stratd.risk.limits import Policy, RiskLimits
from tests.support.books import play_book
from tests.support.ledgers import ANY, CAPITAL, Act, Ledger, amend, cancel, expect, fill, held, order, play, state, trade, working

FLAT = "\n".join(f"12:{minute:02} 100" for minute in range(8))
DROP = "12:00 100\n12:01 100\n12:02 100\n12:03 90\n12:04 90\n12:05 90\n12:06 90"
DRAWDOWN = RiskLimits(drawdown_fraction=0.0005, drawdown_policy=Policy.REDUCE)


def said(ledger: Ledger) -> list[str]:
    """Answers as text; of a refusal its reason."""
    return [str(one.reason) if isinstance(one, RiskRefused) else str(one) for one in ledger.answers]


def limit(side: str, quantity: float, price: float, **terms: Any) -> Act:
    return order(side, quantity, kind="limit", limit_price=price, **terms)


# Open orders count.


def test_account_that_may_only_reduce_cannot_be_turned_around_by_several_orders() -> None:
    ledger = play(
        DROP,
        {
            "12:01": order("buy", 10),
            "12:04": [state, order("sell", 6), order("sell", 5), order("sell", 4)],  # 6 + 5 would be 1 too many
            "12:06": held,
        },
        limits=DRAWDOWN,
    )
    expect(
        ledger,
        fills=[
            fill(1, "12:01", "buy", 10, 100),
            fill(ANY, "12:04", "sell", 6, 90),
            fill(ANY, "12:04", "sell", 4, 90),
        ],
        cash=CAPITAL - 100,
        realised=-100,
        trades=[trade("buy", 10, ("12:01", "12:04"), (100, 90), pnl=-100, mae=None, mfe=None, bars=None)],
        refused=["reducing"],
    )
    assert ledger.answers[1] == "reducing"
    assert ledger.answers[-1] == (0, 0)


def test_account_that_may_only_reduce_takes_a_reduce_only_order_of_more_than_it_holds() -> None:
    plan = {"12:01": order("buy", 10), "12:04": order("sell", 40, reduce_only=True), "12:06": held}
    ledger = play(DROP, plan, limits=DRAWDOWN)
    assert [one[:4] for one in ledger.fills] == [(1, "12:01", "buy", 10), (2, "12:04", "sell", 10)]
    assert ledger.answers[-1] == (0, 0)
    assert ledger.refusals == []


def test_sales_that_turn_a_position_around_need_buying_power_together() -> None:
    # 10 held at 100 of 1,000: one sale of 20 turns it to 10 short, which is as much; another 5 would be 500 more.
    plan = {"12:01": order("buy", 10), "12:03": [order("sell", 20), order("sell", 5)], "12:06": held}
    ledger = play(FLAT, plan, rules=AccountRules(allocated_capital=1_000))
    assert ledger.positions == {"AAA": (-10, 100)}
    assert [one.reason for one in ledger.refusals] == ["buying_power"]


def test_position_limit_holds_for_all_open_orders_together() -> None:
    plan = {
        "12:01": [
            order("buy", 6),
            limit("buy", 4, 90),
            order("buy", 1),
            limit("buy", 1, 95),
            order("sell", 10),
            order("sell", 1),
        ],
        "12:02": [order("sell", 7), order("buy", 1)],
    }
    ledger = play(FLAT, plan, limits=RiskLimits(max_position_quantity=10))
    # The sales: 10 short at most. At 12:02 the position is 6 - 10 = -4; another 7 would be 11 short, and one bought is allowed: 4 + 1.
    assert [bool(answer) for answer in ledger.answers] == [True, True, False, False, True, False, False, True]
    assert {one.reason for one in ledger.refusals} == {"position_quantity"}
    assert ledger.positions == {"AAA": (-3, 100)}


def test_notional_limit_holds_for_all_open_orders_together() -> None:
    plan = {"12:01": [order("buy", 6), order("buy", 4), limit("buy", 1, 95)]}
    ledger = play(FLAT, plan, limits=RiskLimits(max_position_notional=1_000))
    assert ledger.positions == {"AAA": (10, 100)}
    assert [one.reason for one in ledger.refusals] == ["position_notional"]


def test_lots_of_amendments_that_are_under_way_count() -> None:
    plan = {
        "12:01": [limit("buy", 1, 90), limit("buy", 1, 91)],
        "12:02": [amend(1, quantity=9), amend(2, quantity=3), order("buy", 1), working],
        "12:05": working,
    }
    ledger = play(FLAT, plan, limits=RiskLimits(max_position_quantity=10), rules=AccountRules(latency_seconds=60))
    # 1 + 1, then 9 + 1; neither 9 + 3 nor 9 + 1 + 1 is allowed.
    assert said(ledger) == [
        *("1", "2", "True", "position_quantity", "position_quantity"),
        *("[(1, 1.0, 0.0), (2, 1.0, 0.0)]", "[(1, 9.0, 0.0), (2, 1.0, 0.0)]"),
    ]


# Leaving is always possible.


def test_exit_is_exempt_from_the_limits_on_size_and_rate() -> None:
    limits = RiskLimits(max_order_quantity=6, max_order_notional=600, max_orders_per_minute=1)
    plan = {
        "12:01": order("buy", 6),
        "12:02": order("buy", 6),
        "12:04": [limit("buy", 1, 50), order("sell", 1, reduce_only=True), order("sell", 11), limit("sell", 2, 120)],
    }
    ledger = play(FLAT, plan, limits=limits)
    # The last one, with what is open, is one more than is held: it opens, and there was an order in this minute.
    assert ledger.positions == {}
    assert [one[:4] for one in ledger.fills[2:]] == [(4, "12:04", "sell", 1), (5, "12:04", "sell", 11)]
    assert [one.reason for one in ledger.refusals] == ["order_rate"]


# Amendments are checked.


def test_amendment_to_a_price_outside_the_band_is_refused_recorded_and_changes_nothing() -> None:
    plan = {
        "12:01": limit("buy", 10, 99),
        "12:02": [amend(1, limit_price=200.0), amend(1, limit_price=98.5)],
        "12:03": [working, cancel(1)],
    }
    ledger = play(FLAT, plan, limits=RiskLimits(price_band_fraction=0.02))
    assert said(ledger) == ["1", "price_band", "True", "[(1, 10.0, 0.0)]", "True"]
    assert [one[:4] for one in ledger.refusals] == [("12:02", "buy", 10, "price_band")]
    assert ledger.fills == []


def test_account_that_may_only_reduce_lets_an_entry_only_become_smaller() -> None:
    plan = {
        "12:01": [order("buy", 10), limit("buy", 5, 80)],
        "12:04": [state, amend(2, limit_price=89.0), amend(2, quantity=6), amend(2, quantity=4)],
        "12:05": working,
    }
    ledger = play(DROP, plan, limits=DRAWDOWN)
    assert said(ledger) == ["1", "2", "reducing", "reducing", "reducing", "True", "[(2, 4.0, 0.0)]"]


def test_stop_can_be_moved_in_an_account_that_may_only_reduce() -> None:
    plan = {
        "12:01": order("buy", 10, stop_loss_price=80),
        "12:04": [state, amend(2, stop_price=89.0)],
    }
    ledger = play(DROP + "\n12:07 88", plan, limits=DRAWDOWN)
    assert said(ledger) == ["1", "reducing", "True"]
    assert [one[:5] for one in ledger.fills] == [(1, "12:01", "buy", 10, 100), (2, "12:07", "sell", 10, 88)]


def test_amendment_that_arrives_after_as_much_has_filled_ends_the_order() -> None:
    text = "12:00 100\n12:01 100 100 100 100 4\n12:02 100 100 100 100 4\n12:03 100 100 100 100 4\n12:04 100 100 100 100 400"
    plan = {"12:01": [order("buy", 20)], "12:02": amend(1, quantity=5)}
    ledger = play(text, plan, rules=AccountRules(participation=1, latency_seconds=60))
    # Eligible from 12:02: 4 there, 4 at 12:03; the amendment to 5 comes with the bar of 12:03, after 4: one more is left.
    assert [one[:4] for one in ledger.fills] == [(1, "12:02", "buy", 4), (1, "12:03", "buy", 1)]
    assert ledger.ended == {1: ("filled", 5)}


# Numbers that are too large.


def test_orders_and_positions_beyond_what_money_can_count_are_refused_and_halt() -> None:
    rules = AccountRules(allocated_capital=4e10)
    text = "12:00 100\n12:01 100\n12:02 100\n12:03 190\n12:04 210\n12:05 210"
    plan = {"12:01": [order("buy", 390_000_000), order("buy", 20_000_000)], "12:04": state, "12:05": state}
    ledger = play(text, plan, rules=rules)
    assert said(ledger) == ["1", "too_large", "active", "halted"]
    assert ledger.positions == {"AAA": (390_000_000, 100)}
    assert ledger.final_equity == round((4e10 + 390_000_000 * 110) * 1e8)


def test_turnover_and_average_prices_are_right_beyond_what_one_number_can_hold() -> None:
    count = 130  # fills of 900 million each: 117 billion
    text = "\n".join(f"{12 + minute // 60}:{minute % 60:02} 100 100 100 100 1000000000" for minute in range(count + 4))
    plan: dict[str, Act] = {
        f"{12 + at // 60}:{at % 60:02}": order("buy" if at % 2 else "sell", 9_000_000) for at in range(2, count)
    }
    plan["12:01"] = order("buy", 9_000_001)
    plan[f"{12 + count // 60}:{count % 60:02}"] = order("sell", 9_000_001)
    ledger = play(text, plan, rules=AccountRules(allocated_capital=4e9), sizes=((4096, 4096),))
    only = ledger.trades[0]
    assert (only.entry_price, only.exit_price) == (100, 100)
    assert len(ledger.fills) == count


# Tables grow.


@pytest.mark.parametrize("older", range(14, 27, 2))
def test_orders_that_cross_in_part_have_room_for_both_of_their_fills(older: int) -> None:
    instruments = tuple(Instrument(f"S{at}", tick=0.01) for at in range(7))
    text = "\n".join(f"S{at} 12:{minute:02} {100 + 10 * at}" for minute in range(older + 10) for at in range(7))
    one: dict[str, Any] = {f"12:{minute:02}": order("buy", 1, "S0") for minute in range(1, older + 1)}
    one[f"12:{older + 2:02}"] = [order("buy", 5, each.symbol) for each in instruments]
    one[f"12:{older + 6:02}"] = [order("sell", 5 + (older if at == 0 else 0), each.symbol) for at, each in enumerate(instruments)]
    two: dict[str, Any] = {f"12:{older + 2:02}": [order("sell", 3, each.symbol) for each in instruments]}
    rules = {
        "one": AccountRules(allocated_capital=1e6, lots=LotRule.FIFO),
        "two": AccountRules(allocated_capital=1e6),
    }
    played = play_book(text, {"one": one, "two": two}, BookRules(netting=Netting.INTERNAL), rules=rules, instruments=instruments)
    ledger = played.ledgers["one"]
    assert ledger.positions == {}
    assert ledger.realised == 0
    assert ledger.cash == ledger.final_equity == round(1e6 * 1e8)
    assert sum(one.quantity for one in ledger.fills if one.side == "buy") == older + 35
