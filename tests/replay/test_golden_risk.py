"""Ledgers by hand: what is refused before it is an order, and what running limits do to an account."""

from __future__ import annotations

from typing import Any

import pytest

from stratd.execution.rules import AccountRules
from stratd.model import Instrument
from stratd.risk.limits import Policy, RiskLimits
from tests.support.ledgers import (
    AAA,
    ANY,
    BBB,
    CAPITAL,
    Act,
    amend,
    expect,
    fill,
    nothing,
    order,
    play,
    state,
    trade,
    units,
    working,
)

FLAT = "12:00 100\n12:01 100\n12:02 100\n12:03 100"


def limit(side: str, quantity: float, price: float, **terms: Any) -> Act:
    return order(side, quantity, kind="limit", limit_price=price, **terms)


# Before an order.


def test_order_beyond_buying_power_is_refused_and_what_is_open_counts() -> None:
    ledger = play(
        FLAT,
        {
            "12:01": [
                order("buy", 1001),  # 100,100 of 100,000
                limit("buy", 600, 99),  # 60,000 at the last price
                order("buy", 500),  # and 50,000 more
                order("buy", 399),
            ],
            "12:02": [order("buy", 2), order("sell", 399)],  # 39,900 held and 60,000 open; selling is exempt
        },
    )
    expect(
        ledger,
        fills=[fill(ANY, "12:01", "buy", 399, 100), fill(ANY, "12:02", "sell", 399, 100)],
        cash=CAPITAL,
        trades=[trade("buy", 399, ("12:01", "12:02"), (100, 100), pnl=0, mae=0, mfe=0, bars=1)],
        refused=["buying_power"] * 3,
    )
    assert [bool(answer) for answer in ledger.answers] == [False, True, False, True, False, True]
    assert ledger.refusals[0][:3] == ("12:01", "buy", 1001)


def test_short_sales_need_buying_power_too() -> None:
    ledger = play(FLAT, {"12:01": [order("sell", 1001), order("sell", 999)], "12:02": [order("sell", 2), order("buy", 2500)]})
    expect(
        ledger,
        fills=[fill(ANY, "12:01", "sell", 999, 100)],
        cash=CAPITAL + 999 * 100,
        refused=["buying_power"] * 3,
    )


def test_leverage_multiplies_buying_power() -> None:
    ledger = play(
        FLAT,
        {"12:01": [order("buy", 3001), order("buy", 2999)]},
        rules=AccountRules(leverage=3),
    )
    expect(ledger, fills=[fill(ANY, "12:01", "buy", 2999, 100)], cash=CAPITAL - 299_900, refused=["buying_power"])


def test_amendment_beyond_buying_power_is_refused_and_leaves_the_order_as_it_was() -> None:
    ledger = play(
        FLAT,
        {
            "12:01": limit("buy", 500, 90),
            "12:02": amend(1, quantity=1200),  # 120,000 of 100,000
            "12:03": [working, amend(1, quantity=900)],
            "12:04": working,
        },
    )
    assert not ledger.answers[1]
    assert ledger.answers[2:] == [[(1, 500, 0)], True, [(1, 900, 0)]]
    assert ledger.fills == []


def test_buying_power_follows_equity() -> None:
    text = "12:00 100\n12:01 100\n12:02 120\n12:03 120"
    # 900 at 100 are worth 108,000 at 120: equity 118,000, and 10,000 are left: 83 at 120 are 9,960.
    ledger = play(text, {"12:01": order("buy", 900), "12:03": [order("buy", 84), order("buy", 83)]})
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 900, 100), fill(ANY, "12:03", "buy", 83, 120)],
        cash=CAPITAL - 90_000 - 83 * 120,
        unrealised=900 * 20,
        refused=["buying_power"],
    )


def test_buying_power_takes_the_prices_at_which_the_step_was_marked() -> None:
    """A step's marks come before its first event: at AAA's event, BBB is worth what it closed at in the same step."""
    text = "".join(f"AAA 12:0{minute} 100\nBBB 12:0{minute} {50 if minute < 3 else 5000}\n" for minute in range(5))
    ledger = play(
        text, {"12:02": order("buy", 1, "BBB"), "12:04": order("buy", 30, "BBB")}, instruments=(AAA, BBB)
    )  # 30 at 5,000 are 150,000
    expect(
        ledger,
        fills=[fill(1, "12:02", "buy", 1, 50, symbol="BBB")],
        cash=CAPITAL - 50,
        unrealised=5000 - 50,
        refused=["buying_power"],
    )


def test_same_order_twice_at_one_event_is_refused() -> None:
    ledger = play(
        FLAT,
        {
            "12:01": [order("buy", 10), order("buy", 10), limit("buy", 10, 90), limit("buy", 10, 91), limit("buy", 10, 90)],
            "12:02": order("buy", 10),
        },
    )
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 10, 100), fill(ANY, "12:02", "buy", 10, 100)],
        cash=CAPITAL - 2 * 1000,
        refused=["duplicate", "duplicate"],
    )
    assert [bool(answer) for answer in ledger.answers] == [True, False, True, True, False, True]


def test_same_order_twice_is_let_through_where_asked() -> None:
    ledger = play(FLAT, {"12:01": [order("buy", 10), order("buy", 10)]}, limits=RiskLimits(refuse_duplicates=False))
    expect(ledger, fills=[fill(1, "12:01", "buy", 10, 100), fill(2, "12:01", "buy", 10, 100)], cash=CAPITAL - 2 * 1000)


def test_orders_beyond_the_rate_are_refused_until_the_next_minute() -> None:
    ledger = play(
        FLAT,
        {"12:01": [order("buy", 1), order("buy", 2), order("buy", 3)], "12:02": order("buy", 4)},
        limits=RiskLimits(max_orders_per_minute=2),
    )
    expect(
        ledger,
        fills=[
            fill(1, "12:01", "buy", 1, 100),
            fill(2, "12:01", "buy", 2, 100),
            fill(ANY, "12:02", "buy", 4, 100),
        ],
        cash=CAPITAL - 7 * 100,
        refused=["order_rate"],
    )


@pytest.mark.parametrize(
    ("act", "accepted"),
    [
        (limit("buy", 1, 94), False),
        (limit("buy", 1, 96), True),
        (limit("sell", 1, 106), False),
        (limit("sell", 1, 104), True),
        (order("sell", 1, kind="stop", stop_price=94), False),
        (order("sell", 1, kind="stop", stop_price=96), True),
        (order("buy", 1, kind="stop_limit", stop_price=104, limit_price=106), False),
        (order("buy", 1), True),
    ],
)
def test_price_far_from_the_last_one_is_refused(act: Act, accepted: bool) -> None:
    ledger = play("12:00 100", {"12:01": act}, limits=RiskLimits(price_band_fraction=0.05))
    expect(ledger, fills=[], cash=CAPITAL, refused=[] if accepted else ["price_band"])


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (RiskLimits(max_position_quantity=15), "position_quantity"),
        (RiskLimits(max_position_notional=1500), "position_notional"),
        (RiskLimits(max_order_quantity=10), "order_quantity"),
        (RiskLimits(max_order_notional=1000), "order_notional"),
    ],
)
def test_order_beyond_a_limit_of_size_is_refused_and_what_reduces_is_not(limits: RiskLimits, reason: str) -> None:
    """Ten, then eleven more; then half of it is sold."""
    ledger = play(FLAT, {"12:01": order("buy", 10), "12:02": order("buy", 11), "12:03": order("sell", 5)}, limits=limits)
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 10, 100), fill(ANY, "12:03", "sell", 5, 100)],
        cash=CAPITAL - 5 * 100,
        refused=[reason],
    )


def test_position_limit_holds_for_shorts() -> None:
    ledger = play(
        FLAT,
        {"12:01": order("sell", 10), "12:02": [order("sell", 6), order("sell", 5)]},
        limits=RiskLimits(max_position_quantity=15),
    )
    expect(
        ledger,
        fills=[fill(1, "12:01", "sell", 10, 100), fill(ANY, "12:02", "sell", 5, 100)],
        cash=CAPITAL + 15 * 100,
        refused=["position_quantity"],
    )


def test_symbol_that_is_not_allowed_is_refused() -> None:
    ledger = play(
        "AAA 12:00 100\nBBB 12:00 50\nAAA 12:01 100\nBBB 12:01 50",
        {"12:01": [order("buy", 1, "BBB"), order("buy", 1)]},
        limits=RiskLimits(allowed_symbols=("AAA",)),
        instruments=(AAA, BBB),
    )
    expect(ledger, fills=[fill(ANY, "12:01", "buy", 1, 100)], cash=CAPITAL - 100, refused=["symbol"])


def test_refusal_changes_nothing_else() -> None:
    acts = {"12:01": order("buy", 10), "12:03": order("sell", 10)}
    plain = play(FLAT, acts)
    refused = play(FLAT, {**acts, "12:02": [order("buy", 5000), order("buy", 0.5)]})
    assert [one.reason for one in refused.refusals] == ["buying_power", "zero_lots"]
    assert [one[1:] for one in refused.fills] == [one[1:] for one in plain.fills]
    assert (refused.cash, refused.equity, refused.trades) == (plain.cash, plain.equity, plain.trades)
    assert refused.hash == plain.hash, "the hash is over fills"


# While it runs.


def halting(**more: Any) -> RiskLimits:
    return RiskLimits(daily_loss_fraction=0.01, **more)


FALLING = """
    12:00 100
    12:01 100              # 500 at 100
    12:02  99  99 98 98.5  # equity down by 750
    12:03  98  98 97 97.5  # by 1,250: more than 1,000
    12:04  97  97 90 95
    12:05  95
"""


def test_daily_loss_halts_at_the_close_cancels_working_orders_keeps_the_position_and_refuses_all() -> None:
    ledger = play(
        FALLING,
        {
            "12:01": order("buy", 500),
            "12:02": [order("sell", 500, kind="stop", stop_price=96), state],
            "12:03": state,
            "12:04": [state, working, order("sell", 500), order("buy", 1)],
            "12:05": order("sell", 1),
        },
        limits=halting(),
    )
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 500, 100)],
        cash=CAPITAL - 50_000,
        unrealised=500 * (95 - 100),
        refused=["halted", "halted", "halted"],
    )
    assert ledger.answers[2:6] == ["active", "active", "halted", []]
    assert ledger.states == [("12:04", "halted")]
    assert ledger.ended[2] == ("cancelled", 0)
    assert ledger.ended_at[2] == "12:04"
    assert ledger.positions == {"AAA": (500, 100)}


def test_daily_loss_between_the_bars_of_a_15m_strategy_halts_it_there_and_then() -> None:
    minutes = "".join(f"12:{minute:02} 100\n" for minute in range(16))
    ledger = play(
        minutes + "12:16 97.5\n12:17 97 97 90 91\n12:29 91\n12:30 91",
        {
            "12:15": [order("buy", 500), order("sell", 500, kind="stop", stop_price=96)],
            "12:30": [state, order("sell", 500)],
        },
        rules=AccountRules(leverage=2),
        limits=halting(),
        streams=[("AAA", "15m")],
    )
    # The bar of 12:17 would have taken the stop; it was cancelled at 12:17.
    expect(
        ledger,
        fills=[fill(1, "12:15", "buy", 500, 100)],
        cash=CAPITAL - 50_000,
        unrealised=500 * (91 - 100),
        refused=["halted"],
    )
    assert ledger.states == [("12:17", "halted")]
    assert ledger.ended_at[2] == "12:17"
    assert ledger.answers[2] == "halted"


def test_daily_loss_that_reduces_takes_what_reduces_and_nothing_else() -> None:
    ledger = play(
        FALLING,
        {
            "12:01": order("buy", 500),
            "12:04": [state, order("buy", 1), order("sell", 501), order("sell", 200)],
            "12:05": order("sell", 300),
        },
        limits=halting(daily_loss_policy=Policy.REDUCE),
    )
    expect(
        ledger,
        fills=[
            fill(1, "12:01", "buy", 500, 100),
            fill(ANY, "12:04", "sell", 200, 97),
            fill(ANY, "12:05", "sell", 300, 95),
        ],
        cash=CAPITAL + 200 * (97 - 100) + 300 * (95 - 100),
        realised=200 * (97 - 100) + 300 * (95 - 100),
        trades=[trade(*("buy", 500, ("12:01", "12:05"), (100, (200 * 97 + 300 * 95) / 500)), pnl=-2100, mae=None, mfe=0, bars=4)],
        refused=["reducing", "reducing"],
    )
    assert ledger.states == [("12:04", "reducing")]


def test_reducing_leaves_orders_that_work_already() -> None:
    ledger = play(
        FALLING,
        {
            "12:01": [order("buy", 500), limit("buy", 10, 91), order("sell", 500, kind="stop", stop_price=96)],
            "12:04": working,
        },
        rules=AccountRules(leverage=2),
        limits=halting(daily_loss_policy=Policy.REDUCE),
    )
    assert ledger.states == [("12:04", "reducing")]
    assert ledger.answers[-1] == [(2, 10, 0), (3, 500, 0)]
    assert ledger.fills == [
        fill(1, "12:01", "buy", 500, 100),
        fill(3, "12:05", "sell", 500, 96),
        fill(2, "12:05", "buy", 10, 91, maker=True),
    ]


def test_daily_loss_starts_again_with_the_utc_day_and_drawdown_does_not() -> None:
    text = """
        23:57 100
        23:58 100                  # 500 at 100
        23:59  98.4                # down by 800
        2024-01-03T00:00 96.8      # by 800 since midnight, by 1,600 in all
        2024-01-03T00:01 96.8
    """
    acts = {"23:58": order("buy", 500), "2024-01-03T00:02": state}
    daily = play(text, acts, limits=halting())
    assert (daily.states, daily.answers[-1]) == ([], "active")
    both = play(text, acts, limits=halting(drawdown_fraction=0.015))
    assert (both.states, both.answers[-1]) == ([("2024-01-03T00:01", "halted")], "halted")


def test_daily_loss_of_an_exchange_counts_the_gap_over_night() -> None:
    ledger = play(
        """
        2024-01-02T20:57 100
        2024-01-02T20:58 100       # 500 at 100
        2024-01-02T20:59  99       # down by 500
        2024-01-03T14:30  97.5     # by 750 since the close before
        2024-01-03T14:31  96.9     # by 1,050
        2024-01-03T14:32  96.9
        """,
        {"20:58": order("buy", 500), "2024-01-03T14:31": state, "2024-01-03T14:32": state},
        limits=halting(),
        instruments=(Instrument("AAA", tick=0.01, calendar="XNYS"),),
    )
    assert ledger.answers[1:] == ["active", "halted"]
    assert ledger.states == [("2024-01-03T14:32", "halted")]


def test_drawdown_is_measured_from_the_highest_equity() -> None:
    ledger = play(
        """
        12:00 100
        12:01 100
        12:02 104        # equity 102,000: 2 percent of it are 2,040
        12:03 100        # 100,000: down by 2,000
        12:04  99.5      # 99,750: down by 2,250
        12:05  99.5
        """,
        {"12:01": order("buy", 500), "12:04": state, "12:05": [state, order("sell", 500)]},
        limits=RiskLimits(drawdown_fraction=0.02),
    )
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 500, 100)],
        cash=CAPITAL - 50_000,
        unrealised=500 * (99.5 - 100),
        refused=["halted"],
    )
    assert ledger.states == [("12:05", "halted")]
    assert ledger.answers[1:3] == ["active", "halted"]


LOSSES = "12:00 100\n12:01 100\n12:02 99\n12:03 99\n12:04 98\n12:05 98\n12:06 98"


def test_losing_trades_in_a_row_reduce() -> None:
    ledger = play(
        LOSSES,
        {
            "12:01": order("buy", 10),  # at 100
            "12:02": order("sell", 10),  # at 99
            "12:03": order("buy", 10),  # at 99
            "12:04": [state, order("sell", 10)],  # at 98
            "12:05": [state, order("buy", 10)],
        },
        limits=RiskLimits(consecutive_losses=2),
    )
    expect(
        ledger,
        fills=[
            fill(1, "12:01", "buy", 10, 100),
            fill(2, "12:02", "sell", 10, 99),
            fill(3, "12:03", "buy", 10, 99),
            fill(4, "12:04", "sell", 10, 98),
        ],
        cash=CAPITAL - 20,
        realised=-20,
        trades=[
            trade("buy", 10, ("12:01", "12:02"), (100, 99), pnl=-10, mae=-10, mfe=0, bars=1),
            trade("buy", 10, ("12:03", "12:04"), (99, 98), pnl=-10, mae=-10, mfe=0, bars=1),
        ],
        refused=["reducing"],
    )
    assert ledger.states == [("12:05", "reducing")]
    assert [ledger.answers[3], ledger.answers[5]] == ["active", "reducing"]


def test_winning_trade_begins_the_count_of_losses_again() -> None:
    ledger = play(
        LOSSES,
        {
            "12:01": order("buy", 10),
            "12:02": order("sell", 20),  # loses 1 each, 10 short at 99
            "12:04": order("buy", 20),  # gains 1 each, 10 long at 98
            "12:05": order("sell", 10),  # neither
            "12:06": state,
        },
        limits=RiskLimits(consecutive_losses=2),
    )
    assert [one.pnl for one in ledger.trades] == [units(-10), units(10), 0]
    assert (ledger.states, ledger.answers[-1]) == ([], "active")


def test_exposure_reduces_at_the_first_close_beyond_it_and_for_good() -> None:
    ledger = play(
        "12:00 100\n12:01 100\n12:02 100\n12:03 100\n12:04 100",
        {
            "12:01": [order("buy", 600), state],  # 60,000 of 100,000
            "12:02": [state, order("buy", 1), order("sell", 300)],
            "12:03": [state, order("buy", 2), order("sell", 300)],
            "12:04": [state, order("sell", 1), nothing],
        },
        limits=RiskLimits(exposure_fraction=0.5),
    )
    expect(
        ledger,
        fills=[
            fill(1, "12:01", "buy", 600, 100),
            fill(ANY, "12:02", "sell", 300, 100),
            fill(ANY, "12:03", "sell", 300, 100),
        ],
        cash=CAPITAL,
        trades=[trade("buy", 600, ("12:01", "12:03"), (100, 100), pnl=0, mae=0, mfe=0, bars=2)],
        refused=["reducing"] * 3,
    )
    assert [one for one in ledger.answers if isinstance(one, str)] == ["active", "reducing", "reducing", "reducing"]
    assert ledger.states == [("12:02", "reducing")]


def test_states_only_get_stricter() -> None:
    ledger = play(
        FALLING,
        {"12:01": order("buy", 500), "12:02": state, "12:04": state},
        limits=halting(exposure_fraction=0.4),
    )
    # 50,000 of 100,000 at 12:02; the loss at 12:04.
    assert ledger.states == [("12:02", "reducing"), ("12:04", "halted")]
    assert ledger.answers == [1, "reducing", "halted"]


def test_halt_cancels_the_children_of_a_bracket_too() -> None:
    ledger = play(
        FALLING,
        {"12:01": order("buy", 500, stop_loss_price=96, take_profit_price=110), "12:04": working},
        limits=halting(),
    )
    expect(ledger, fills=[fill(1, "12:01", "buy", 500, 100)], cash=CAPITAL - 50_000, unrealised=500 * (95 - 100))
    assert ledger.ended == {1: ("filled", 500), 2: ("cancelled", 0), 3: ("cancelled", 0)}
    assert ledger.answers[-1] == []
