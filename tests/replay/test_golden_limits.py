"""Ledgers by hand: limits, what must be filled at once, whole lots, ticks, the smallest notional, and orders that only reduce."""

from __future__ import annotations

from typing import Any

import pytest

from stratd.execution.rules import AccountRules, Commission, Intrabar, LimitFill, Slippage
from stratd.model import Instrument
from tests.support.ledgers import ANY, CAPITAL, Act, expect, fill, order, play, trade, working


def limit(side: str, quantity: float, price: float, **terms: Any) -> Act:
    return order(side, quantity, kind="limit", limit_price=price, **terms)


TOUCH_THEN_THROUGH = """
    12:00 100
    12:01 100 101    98    99   # touches 98
    12:02  99 100    97.99 99   # trades through it
"""


@pytest.mark.parametrize(("rule", "time"), [(LimitFill.THROUGH, "12:03"), (LimitFill.TOUCH, "12:02")])
def test_resting_limit_fills_at_its_price_when_the_bar_trades_through_or_where_asked_touches(rule: LimitFill, time: str) -> None:
    ledger = play(TOUCH_THEN_THROUGH, {"12:01": limit("buy", 10, 98)}, rules=AccountRules(limit_fill=rule))
    expect(ledger, fills=[fill(1, time, "buy", 10, 98, maker=True)], cash=CAPITAL - 10 * 98, unrealised=10 * (99 - 98))


def test_resting_limit_to_sell_is_the_mirror() -> None:
    ledger = play("12:00 100\n12:01 100 102 99 101\n12:02 101 102.01 100 101", {"12:01": limit("sell", 10, 102)})
    expect(ledger, fills=[fill(1, "12:03", "sell", 10, 102, maker=True)], cash=CAPITAL + 10 * 102, unrealised=10 * (102 - 101))


def test_limit_that_the_open_betters_fills_at_the_open_as_a_taker_without_slippage() -> None:
    rules = AccountRules(commission=Commission(taker_bps=10, maker_bps=2), slippage=Slippage(bps=100, ticks=5))
    ledger = play("12:00 100\n12:01 96 97 95 96.5", {"12:01": limit("buy", 10, 98)}, rules=rules)
    fee = 10 * 96 * 0.001
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 10, 96, fee=fee)],
        cash=CAPITAL - 10 * 96 - fee,
        unrealised=10 * (96.5 - 96),
        fees=fee,
    )


def test_limit_that_the_open_just_meets_fills_at_the_open() -> None:
    ledger = play("12:00 100\n12:01 98 99 98 99", {"12:01": limit("buy", 10, 98)})
    expect(ledger, fills=[fill(1, "12:01", "buy", 10, 98)], cash=CAPITAL - 10 * 98, unrealised=10 * (99 - 98))


def test_limit_fills_over_bars_as_the_volume_allows() -> None:
    ledger = play(
        """
        12:00 100 100 100 100 1000
        12:01 99   99  97  99 16     # 4 at the limit
        12:02 99   99  98  99 1000   # only touched
        12:03 97   98  96  97 1000   # the rest at the open, which is better
        """,
        {"12:01": limit("buy", 10, 98), "12:02": working, "12:03": working},
        rules=AccountRules(participation=0.25),
    )
    expect(
        ledger,
        fills=[fill(1, "12:02", "buy", 4, 98, maker=True), fill(1, "12:03", "buy", 6, 97)],
        cash=CAPITAL - 4 * 98 - 6 * 97,
        unrealised=10 * 97 - 4 * 98 - 6 * 97,
    )
    assert ledger.answers[1:] == [[(1, 10, 4)], [(1, 10, 4)]]


def test_volume_of_a_bar_goes_to_the_open_first_and_a_limit_gets_what_is_left() -> None:
    ledger = play(
        "12:00 100 100 100 100 1000\n12:01 100 100 97 98 24\n12:02 98 98 97 98 1000",
        {"12:01": [limit("buy", 5, 98), order("buy", 4)]},
        rules=AccountRules(participation=0.25),
    )
    expect(
        ledger,
        fills=[
            fill(2, "12:01", "buy", 4, 100),
            fill(1, "12:02", "buy", 2, 98, maker=True),  # of the 6 in all
            fill(1, "12:02", "buy", 3, 98),  # at the open of the next bar
        ],
        cash=CAPITAL - 4 * 100 - 5 * 98,
        unrealised=4 * (98 - 100),
    )


@pytest.mark.parametrize(("fraction", "volume", "lots"), [(0.29, 100, 29), (0.07, 100, 7), (0.1, 30, 3), (0.1, 39.9, 3)])
def test_participation_is_a_fraction_of_the_volume_in_decimals(fraction: float, volume: float, lots: int) -> None:
    """0.29 x 100 is 29, though 0.29 * 100 in binary is 28.999999999999996."""
    ledger = play(
        f"12:00 100\n12:01 100 100 100 100 {volume}",
        {"12:01": order("buy", 50)},
        rules=AccountRules(participation=fraction),
    )
    expect(ledger, fills=[fill(1, "12:01", "buy", lots, 100)], cash=CAPITAL - lots * 100)


# At once: volume 16 x 0.25 = 4 lots.

AT_ONCE = "12:00 100 100 100 100 1000\n12:01 101 102 97 101 16\n12:02 101 101 97 101 1000"


@pytest.mark.parametrize(
    ("act", "filled", "ended"),
    [
        pytest.param(order("buy", 10, time_in_force="ioc"), 4, "cancelled", id="ioc takes what is there"),
        pytest.param(order("buy", 3, time_in_force="ioc"), 3, "filled", id="ioc finds enough"),
        pytest.param(order("buy", 10, time_in_force="fok"), 0, "cancelled", id="fok finds too little"),
        pytest.param(order("buy", 4, time_in_force="fok"), 4, "filled", id="fok finds just enough"),
        pytest.param(limit("buy", 3, 102, time_in_force="ioc"), 3, "filled", id="ioc limit that the open betters"),
        pytest.param(limit("buy", 3, 100, time_in_force="ioc"), 0, "cancelled", id="ioc limit that only the bar meets"),
        pytest.param(limit("buy", 10, 102, time_in_force="ioc"), 4, "cancelled", id="ioc limit takes what is there"),
        pytest.param(limit("buy", 5, 102, time_in_force="fok"), 0, "cancelled", id="fok limit finds too little"),
        pytest.param(limit("buy", 4, 102, time_in_force="fok"), 4, "filled", id="fok limit finds just enough"),
    ],
)
def test_order_that_acts_at_once_does_so_at_the_open_of_its_first_bar(act: Act, filled: int, ended: str) -> None:
    ledger = play(AT_ONCE, {"12:01": act}, rules=AccountRules(participation=0.25))
    expect(ledger, fills=[fill(1, "12:01", "buy", filled, 101)] if filled else [], cash=CAPITAL - filled * 101)
    assert ledger.ended == {1: (ended, filled)}


def test_order_that_acts_at_once_waits_over_absent_minutes() -> None:
    ledger = play("12:00 100\n12:03 105\n12:04 106", {"12:01": order("buy", 10, time_in_force="fok")})
    expect(ledger, fills=[fill(1, "12:03", "buy", 10, 105)], cash=CAPITAL - 10 * 105, unrealised=10 * (106 - 105))


# Lots, ticks, notional.


@pytest.mark.parametrize(
    ("lot", "wanted", "got"),
    [(0.1, 1.27, 1.2), (0.1, 0.3, 0.3), (100, 250, 200), (0.001, 2.0019, 2.001), (1, 7, 7), (0.25, 0.99, 0.75)],
)
def test_quantity_is_rounded_towards_zero_to_lots(lot: float, wanted: float, got: float) -> None:
    ledger = play(
        "12:00 100\n12:01 100\n12:02 102", {"12:01": order("buy", wanted)}, instruments=(Instrument("AAA", tick=0.01, lot=lot),)
    )
    expect(ledger, fills=[fill(1, "12:01", "buy", got, 100)], cash=CAPITAL - got * 100, unrealised=got * 2)


def test_quantity_below_a_lot_is_refused() -> None:
    ledger = play("12:00 100\n12:01 100", {"12:01": order("buy", 99)}, instruments=(Instrument("AAA", tick=0.01, lot=100),))
    expect(ledger, fills=[], cash=CAPITAL, refused=["zero_lots"])
    assert not ledger.answers[0]


QUARTERS = (Instrument("AAA", tick=0.25),)


def test_prices_of_orders_are_rounded_so_that_they_are_never_worse_and_never_sooner() -> None:
    ledger = play(
        """
        12:00 100
        12:01 100 101.50 98.25 100
        """,
        {
            "12:01": [
                limit("buy", 1, 98.60),  # down to 98.50
                limit("sell", 1, 101.10),  # up to 101.25
                order("buy", 1, kind="stop", stop_price=101.10),  # up to 101.25
                order("sell", 1, kind="stop", stop_price=98.90),  # down to 98.75
            ]
        },
        instruments=QUARTERS,
    )
    assert [(one.limit_price, one.stop_price) for one in ledger.orders.values()] == [
        (98.50, None),
        (101.25, None),
        (None, 101.25),
        (None, 98.75),
    ]
    expect(
        ledger,
        fills=[  # Stops come before limits.
            fill(3, "12:02", "buy", 1, 101.25),
            fill(4, "12:02", "sell", 1, 98.75),
            fill(1, "12:02", "buy", 1, 98.50, maker=True),
            fill(2, "12:02", "sell", 1, 101.25, maker=True),
        ],
        cash=CAPITAL + (98.75 - 101.25) + (101.25 - 98.50),
        realised=(98.75 - 101.25) + (101.25 - 98.50),
        trades=[
            trade("buy", 1, ("12:02", "12:02"), (101.25, 98.75), pnl=-2.5, mae=-2.5, mfe=0, bars=None),
            trade("buy", 1, ("12:02", "12:02"), (98.50, 101.25), pnl=2.75, mae=0, mfe=2.75, bars=None),
        ],
    )


def test_price_within_a_millionth_of_a_tick_is_on_the_grid() -> None:
    ledger = play(
        "12:00 100\n12:01 100 101.50 98.25 100",
        {
            "12:01": [
                limit("buy", 1, 98.50 - 1e-7),  # 4e-7 ticks below
                limit("sell", 1, 101.25 + 1e-7),
                limit("buy", 2, 98.75 - 1e-6),  # 4e-6 ticks below: not on the grid, so down
            ]
        },
        instruments=QUARTERS,
    )
    assert [one.limit_price for one in ledger.orders.values()] == [98.50, 101.25, 98.50]


def test_stop_limit_has_both_prices_rounded() -> None:
    ledger = play(
        "12:00 100\n12:01 100",
        {
            "12:01": [
                order("buy", 1, kind="stop_limit", stop_price=105.10, limit_price=106.10),
                order("sell", 1, kind="stop_limit", stop_price=95.10, limit_price=94.10),
            ]
        },
        instruments=QUARTERS,
    )
    assert [(one.stop_price, one.limit_price) for one in ledger.orders.values()] == [(105.25, 106.00), (95.00, 94.25)]
    expect(ledger, fills=[], cash=CAPITAL)


def test_fill_prices_are_rounded_against_the_trader_both_ways() -> None:
    ledger = play(
        "12:00 100\n12:01 100.25\n12:02 102\n12:03 102",
        {"12:01": order("buy", 10), "12:02": order("sell", 10)},
        rules=AccountRules(slippage=Slippage(bps=1)),
        instruments=QUARTERS,
    )
    # 100.25 x 1.0001 goes up to 100.50; 102 x 0.9999 goes down to 101.75.
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 10, 100.50), fill(2, "12:02", "sell", 10, 101.75)],
        cash=CAPITAL + 10 * (101.75 - 100.50),
        realised=10 * (101.75 - 100.50),
        trades=[trade("buy", 10, ("12:01", "12:02"), (100.50, 101.75), pnl=12.5, mae=10 * (100.25 - 100.50), mfe=12.5, bars=1)],
    )


def test_order_below_the_smallest_notional_is_refused_but_what_closes_the_position_is_not() -> None:
    ledger = play(
        """
        12:00 100
        12:01 100
        12:02  60
        12:03  60
        12:04  60
        """,
        {
            "12:01": [order("buy", 4), order("buy", 5)],  # 400 and 500
            "12:03": [order("sell", 2), order("sell", 5)],  # 120; 300, but all of it
        },
        instruments=(Instrument("AAA", tick=0.01, min_notional=500),),
    )
    expect(
        ledger,
        fills=[fill(ANY, "12:01", "buy", 5, 100), fill(ANY, "12:03", "sell", 5, 60)],
        cash=CAPITAL + 5 * (60 - 100),
        realised=5 * (60 - 100),
        trades=[trade("buy", 5, ("12:01", "12:03"), (100, 60), pnl=-200, mae=-200, mfe=0, bars=2)],
        refused=["min_notional", "min_notional"],
    )
    assert [bool(answer) for answer in ledger.answers] == [False, True, False, True]


# Orders that only reduce.

HELD = """
    12:00 100
    12:01 100   # 10 long
    12:02 104
    12:03 103
"""


def test_reduce_only_order_fills_what_is_held_and_is_cancelled() -> None:
    ledger = play(HELD, {"12:01": order("buy", 10), "12:02": order("sell", 15, reduce_only=True)})
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 10, 100), fill(2, "12:02", "sell", 10, 104)],
        cash=CAPITAL + 10 * 4,
        realised=10 * 4,
        trades=[trade("buy", 10, ("12:01", "12:02"), (100, 104), pnl=40, mae=0, mfe=40, bars=1)],
    )
    assert ledger.ended[2] == ("cancelled", 10)


def test_reduce_only_order_without_a_position_never_fills() -> None:
    ledger = play(HELD, {"12:01": order("sell", 10, reduce_only=True)})
    assert ledger.fills == []
    assert ledger.final_equity == ledger.cash
    assert ledger.positions == {}


def test_reduce_only_order_is_cancelled_when_something_else_closes_the_position() -> None:
    ledger = play(
        HELD,
        {
            "12:01": order("buy", 10),
            "12:02": [limit("sell", 10, 120, reduce_only=True), order("sell", 10)],
            "12:03": working,
        },
    )
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 10, 100), fill(3, "12:02", "sell", 10, 104)],
        cash=CAPITAL + 10 * 4,
        realised=10 * 4,
        trades=[trade("buy", 10, ("12:01", "12:02"), (100, 104), pnl=40, mae=0, mfe=40, bars=1)],
    )
    assert ledger.ended[2] == ("cancelled", 0)
    assert ledger.answers[-1] == []


def test_reduce_only_limit_fills_what_another_order_has_left() -> None:
    ledger = play(
        HELD + "12:04 103 106 103 105",
        {"12:01": order("buy", 10), "12:02": [limit("sell", 10, 105, reduce_only=True), order("sell", 6)]},
    )
    assert ledger.fills[1:] == [fill(3, "12:02", "sell", 6, 104), fill(2, "12:05", "sell", 4, 105, maker=True)]
    assert ledger.positions == {}
    assert ledger.ended[2] == ("cancelled", 4)


@pytest.mark.parametrize(("intrabar", "first", "price"), [(Intrabar.PESSIMISTIC, 2, 95), (Intrabar.OPTIMISTIC, 3, 110)])
def test_stop_and_target_in_one_bar_come_in_the_worse_order_or_where_asked_the_better(
    intrabar: Intrabar, first: int, price: float
) -> None:
    ledger = play(
        """
        12:00 100
        12:01 100
        12:02 100 112  94 103
        12:03 103
        """,
        {
            "12:01": order("buy", 10),
            "12:02": [
                order("sell", 10, kind="stop", stop_price=95, reduce_only=True),
                limit("sell", 10, 110, reduce_only=True),
            ],
        },
        rules=AccountRules(intrabar=intrabar),
    )
    pnl = 10 * (price - 100)
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 10, 100), fill(first, "12:03", "sell", 10, price, maker=first == 3)],
        cash=CAPITAL + pnl,
        realised=pnl,
        trades=[
            trade("buy", 10, ("12:01", "12:03"), (100, price), pnl=pnl, mae=min(0, pnl), mfe=max(0, pnl), bars=1),
        ],
    )
    assert ledger.ended[5 - first] == ("cancelled", 0)


def test_sell_order_where_shorts_are_off_only_reduces() -> None:
    ledger = play(
        HELD,
        {"12:01": order("buy", 10), "12:02": order("sell", 15), "12:03": order("sell", 5)},
        rules=AccountRules(allow_short=False),
    )
    assert ledger.fills == [fill(1, "12:01", "buy", 10, 100), fill(2, "12:02", "sell", 10, 104)]
    assert ledger.positions == {}
    assert ledger.ended[2] == ("cancelled", 10)


def test_resting_sell_order_where_shorts_are_off_ends_with_the_position() -> None:
    ledger = play(
        HELD,
        {"12:01": order("buy", 10), "12:02": [order("sell", 10), limit("sell", 10, 103.5)]},
        rules=AccountRules(allow_short=False),
    )
    assert ledger.fills == [fill(1, "12:01", "buy", 10, 100), fill(2, "12:02", "sell", 10, 104)]
    assert ledger.positions == {}
